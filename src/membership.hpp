// Memberships: who is in which group, asked by is_member() and its kin.
#pragma once

#include "prelude.hpp"

namespace rls_tenant {

void membership_init();
void membership_support_init();
void membership_planner_init();

// Whether the planner itself is calling, which evaluates a stable function to estimate only.
bool is_estimate();

}  // namespace rls_tenant
