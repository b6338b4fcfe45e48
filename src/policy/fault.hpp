// A rule that a relation breaks, and the statement that mends it.
#pragma once

#include "policy/rules.hpp"

namespace rls_tenant {

struct Fault {
  const char *rule;  // its name, by RT_RULE
  const char *detail;
  const char *remedy;
  // What it is the same by as the fault of before a transaction: a detail that has no expression in it, and the
  // expression. (What was written before cannot be printed where the transaction has dropped what it calls.)
  const char *subject;
  const Node *part;  // nullptr: none
};

// Adds one to a list of Faults; the detail is its subject, and it is about no expression.
void add_fault(List **faults, const char *rule, const char *detail, const char *remedy);
// Adds one that is about part of an expression.
void add_fault_of(List **faults, const Fault &fault);

bool is_same_fault(const Fault &left, const Fault &right);

}  // namespace rls_tenant
