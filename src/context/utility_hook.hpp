// The library's one ProcessUtility hook.
#pragma once

namespace rls_tenant {

void utility_hook_init();

}  // namespace rls_tenant
