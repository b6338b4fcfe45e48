// What policies have put into a query, made as short as it can be before the query is planned.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

void planning_init();

}  // namespace rls_tenant
