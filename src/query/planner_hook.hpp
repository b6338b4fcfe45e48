// The library's one planner hook.
#pragma once

namespace rls_tenant {

void planner_hook_init();

}  // namespace rls_tenant
