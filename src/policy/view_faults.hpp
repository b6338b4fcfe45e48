// Views and materialized views that show rows of tenant tables past their policies.
#pragma once

#include "policy/tenancy.hpp"

namespace rls_tenant {

// What is wrong with a view or materialized view, as Faults.
List *view_faults(const Tenancy &view);

}  // namespace rls_tenant
