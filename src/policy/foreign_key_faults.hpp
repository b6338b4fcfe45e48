// Foreign keys between tenant tables that leave the tenant out.
#pragma once

#include "policy/tenancy.hpp"

namespace rls_tenant {

// Adds them to a list of Faults: the check of a foreign key asks no policy, so the key itself must compare the tenant.
// referenced: those to that table only.
void check_foreign_keys(List **faults, const Tenancy &table, Oid referenced = InvalidOid);

}  // namespace rls_tenant
