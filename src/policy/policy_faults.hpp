// What audit() says of a table's policies beyond table_faults().
#pragma once

#include "policy/tenancy.hpp"

namespace rls_tenant {

// As Faults.
List *policy_faults(const Tenancy &table);

}  // namespace rls_tenant
