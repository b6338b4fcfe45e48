// What a tenant table must be: one list of rules for guard, protect() and audit.
#pragma once

#include "policy/tenancy.hpp"

namespace rls_tenant {

// What is wrong with a table, as Faults; NIL if nothing is.
List *table_faults(const Tenancy &table);

// SELECT rls_tenant.protect('…'); with the column if it is not the one of the setting, and with more arguments.
const char *protect_call(Oid relid, AttrNumber attribute, const char *more = "");

}  // namespace rls_tenant
