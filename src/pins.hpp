// Pinned contexts: defaults of a role or database, which a transaction falls back to.
#pragma once

#include "prelude.hpp"

namespace rls_tenant {

// Refuses ALTER ROLE and ALTER DATABASE … SET or RESET of a context by who is no DBA: a role could pin itself, so that
// what forgets its context reads that tenant from then on, or leave the tenant that a DBA has pinned it to.
void pins_init();

}  // namespace rls_tenant
