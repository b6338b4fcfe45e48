// What is wrong with a relation of any kind: the rules of a table, and of what reads it or refers to it.
#pragma once

#include "policy/tenancy.hpp"

namespace rls_tenant {

// What is wrong with a table, view or materialized view, as Faults; NIL if nothing is, or it is something else.
List *relation_faults(const Tenancy &tenancy);

}  // namespace rls_tenant
