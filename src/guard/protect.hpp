// Making a table a tenant table, by statements that a person could have written.
#pragma once

#include "policy/tenancy.hpp"

namespace rls_tenant {

// What is asked of protect(), each as SQL or a name.
struct ProtectRequest {
  const char *column;       // of the tenant; nullptr: that of the setting
  const char *access;       // nullptr: the one that the table has, or all of the tenant's rows if it has none
  const char *membership;   // the source that isolation asks; empty: none, but the tenant of the context; nullptr: what
                            // the table has, or else that
  const char *public_read;  // the rows that every tenant may read; empty: none; nullptr: those that it may read today
};

// The Statements that the table still needs, in order; NIL if it is protected.
List *protect_statements(const Tenancy &table, const ProtectRequest &request);

}  // namespace rls_tenant
