// Running statements that read the context: each is bound to the context that it was started with.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

void executor_hooks_init();

}  // namespace rls_tenant
