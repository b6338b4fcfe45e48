// Memberships: who is in which group, as is_member() and the other SQL functions say.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

void membership_init();
void planner_support_init();

// What has_role() says of a group of that type (a domain's base type), which is not NULL, before the running statement;
// false if there is no user and that does not raise.
bool user_has_role(Datum group, Oid type, const char *role, const char *source);

// Runs a planner. It calls stable functions for estimates only, for which some of many groups do.
PlannedStmt *plan_with_estimates(planner_hook_type planner, Query *query, const char *text, int options,
                                 ParamListInfo parameters);

}  // namespace rls_tenant
