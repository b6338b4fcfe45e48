// The guard: refuses, at commit, tables that were made without tenant column, row-level security or policy.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

void guard_init();

}  // namespace rls_tenant
