// Values of the context in plans, for partitioned and foreign tables.
#pragma once

#include "context.hpp"

namespace rls_tenant {

void plan_constant_init();

// Refuses a plan that holds values of another context than the present one.
void check_plan_constants(const PlannedStmt *plan);

}  // namespace rls_tenant
