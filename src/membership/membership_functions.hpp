// Memberships: who is in which group, asked by is_member() and its kin.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

void membership_init();
void membership_support_init();
void membership_planner_init();

// has_role() for a group of that type (a domain's base type), which is not NULL, before the running statement; false if
// there is no user and that does not raise.
bool user_has_role(Datum group, Oid type, const char *role, const char *source);

// Whether the planner itself is calling, which evaluates a stable function to estimate only.
bool is_estimate();

}  // namespace rls_tenant
