// A rule that a relation breaks, and the statement that mends it.
#pragma once

#include "policy/rules.hpp"

namespace rls_tenant {

struct Fault {
  const char *rule;  // its name, by RT_RULE
  const char *detail;
  const char *remedy;
};

// Adds one to a list of Faults.
void add_fault(List **faults, const char *rule, const char *detail, const char *remedy);

}  // namespace rls_tenant
