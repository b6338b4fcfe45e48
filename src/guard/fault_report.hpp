// What the guard says of relations that do not keep tenants apart.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// A relation with what is wrong with it.
struct FaultyRelation {
  Oid relid;
  const char *name;
  List *faults;         // Faults
  const char *problem;  // why protect() could not mend it; nullptr: nothing is to be said of that
};

// Raises one error about all of them, or one warning.
void report_faults(List *relations);

}  // namespace rls_tenant
