// What policies have put into a query, made as short as it can be before the query is planned.
#pragma once

#include "context/plan_marks.hpp"

namespace rls_tenant {

// The query may be changed: whoever keeps one hands the planner a copy. Without policies there is nothing to shorten
// but the defaults of an INSERT. marks: to be added to the plan's dependencies.
void shorten_query(Query *query, Lifetime lifetime, List **marks);

}  // namespace rls_tenant
