// Lists of faults.

#include "policy/fault.hpp"

namespace rls_tenant {

void add_fault(List **faults, const char *rule, const char *detail, const char *remedy) {
  add_fault_of(faults, {rule, detail, remedy, detail, nullptr});
}

void add_fault_of(List **faults, const Fault &fault) {
  Fault *copy = static_cast<Fault *>(palloc(sizeof(Fault)));
  *copy = fault;
  *faults = lappend(*faults, copy);
}

bool is_same_fault(const Fault &left, const Fault &right) {
  return strcmp(left.rule, right.rule) == 0 && strcmp(left.subject, right.subject) == 0 && equal(left.part, right.part);
}

}  // namespace rls_tenant
