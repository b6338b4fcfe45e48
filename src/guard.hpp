// The guard: refuses, at commit, tables that were made without tenant column, row-level security or policy.
#pragma once

#include "prelude.hpp"

namespace rls_tenant {

void guard_init();

// Whether rls_tenant.guard is off, which only a superuser can have said.
bool is_guard_off();

}  // namespace rls_tenant
