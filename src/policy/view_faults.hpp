// Views and materialized views that show rows of tenant tables past their policies, and rules that do.
#pragma once

#include "policy/tenancy.hpp"

namespace rls_tenant {

// What is wrong with a view or materialized view, as Faults.
List *view_faults(const Tenancy &view);

// Adds what a rule of a view, or of a table that keeps no tenants apart, does to tenant tables past their policies: it
// runs as the owner, whatever security_invoker says.
void check_rule_owner(List **faults, const Tenancy &relation);

}  // namespace rls_tenant
