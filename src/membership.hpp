// Memberships: who is in which group, asked by is_member() and its kin.
#pragma once

#include "prelude.hpp"

namespace rls_tenant {

void membership_init();
void membership_support_init();
void membership_filter_init();

}  // namespace rls_tenant
