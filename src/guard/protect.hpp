// Making a table a tenant table, by statements that a person could have written.
#pragma once

#include "postgres/statements.hpp"

namespace rls_tenant {

// The Statements that the table still needs, in order; NIL if it is protected. column and access may be nullptr: the
// column of the setting, and the access that the table has (all of the tenant's rows if it has none). membership: the
// source that isolation asks; empty: the tenant of the context; nullptr: what the table has, or else that. public_read:
// the rows that every tenant may read; empty: none; nullptr: those that it may read today.
List *protect_statements(Oid relid, const char *column, const char *access, const char *membership,
                         const char *public_read);

}  // namespace rls_tenant
