// Lists of faults.

#include "policy/fault.hpp"

namespace rls_tenant {

void add_fault(List **faults, const char *rule, const char *detail, const char *remedy) {
  Fault *fault = static_cast<Fault *>(palloc(sizeof(Fault)));
  *fault = {rule, detail, remedy};
  *faults = lappend(*faults, fault);
}

}  // namespace rls_tenant
