// What the planner makes of policies: fast calls, and values of the context for partitioned and foreign tables.
#pragma once

#include "context.hpp"

namespace rls_tenant {

void plan_constant_init();

// Refuses a plan that holds values of another context than the present one.
void check_plan_constants(const PlannedStmt *plan);

// The value of a setting that plans may hold, as text; nullptr: none holds one. Good until the next plan is made.
const char *planned_value(Setting setting);

}  // namespace rls_tenant
