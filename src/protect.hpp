// Making a table a tenant table, by statements that a person could have written.
#pragma once

#include "table_rules.hpp"

namespace rls_tenant {

// The statements that the table still needs, in order, as strings; NIL if it is protected. column and access may be
// nullptr: the column of the setting, and the access that the table has (all of the tenant's rows if it has none).
List *protect_statements(Oid relid, const char *column, const char *access);

// Runs statements by SPI as the current user, with the search_path pinned.
void run_statements(List *statements);

}  // namespace rls_tenant
