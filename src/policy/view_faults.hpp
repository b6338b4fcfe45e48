// Views and materialized views that show rows of tenant tables past their policies.
#pragma once

#include "policy/tenancy.hpp"

namespace rls_tenant {

// What is wrong with a view, as Faults.
List *view_faults(TenancyReader *reader, Oid relid);
List *materialized_view_faults(TenancyReader *reader, Oid relid);

}  // namespace rls_tenant
