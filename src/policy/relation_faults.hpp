// What is wrong with a relation of any kind: the rules of a table, and of what reads it or refers to it.
#pragma once

#include "policy/table_faults.hpp"

namespace rls_tenant {

// What is wrong with a table, view or materialised view, as Faults; NIL if nothing is, or it is something else.
List *relation_faults(Oid relid, Snapshot snapshot = nullptr);

}  // namespace rls_tenant
