// A rule that a relation breaks, and the statement that mends it.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

struct Fault {
  const char *rule;  // its name, as in doc/audit.md
  const char *detail;
  const char *remedy;
};

// Adds one to a list of Faults.
void add_fault(List **faults, const char *rule, const char *detail, const char *remedy);

}  // namespace rls_tenant
