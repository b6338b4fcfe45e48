// What can be wrong with a policy's expression beyond its confining rows or not: for the words of guard and audit.
#pragma once

#include "policy/table_faults.hpp"

namespace rls_tenant {

// Whether a part of a policy lets rows through when there is no context: IS NULL, coalesce, IS NOT DISTINCT FROM.
bool matches_missing_context(const Node *open);

// What audit() says of the policies of a table beyond table_faults(): Faults.
List *policy_faults(const Tenancy &table);

}  // namespace rls_tenant
