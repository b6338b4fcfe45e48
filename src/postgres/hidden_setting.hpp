// A connection option hides what a DBA has set for the role or database, until the library that owns the setting is
// loaded and refuses the option: then the setting would have its default, and the DBA's value would be gone.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Refuses a connection option for a setting that is about to be defined for superusers. To be asked before the library
// has changed anything: PostgreSQL loads it again after an error.
void refuse_hidden_setting(const char *name);

}  // namespace rls_tenant
