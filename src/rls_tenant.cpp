// The module: its magic block, and _PG_init with one line per part of it.

#include "postgres/prelude.hpp"

#include "context/context.hpp"
#include "context/own_functions.hpp"
#include "context/pinned_context.hpp"
#include "context/utility_hook.hpp"
#include "guard/guard.hpp"
#include "membership/membership_functions.hpp"
#include "policy/tenancy.hpp"
#include "postgres/hidden_setting.hpp"
#include "postgres/transaction_end.hpp"
#include "query/executor_hooks.hpp"
#include "query/plan_constant.hpp"
#include "query/planner_hook.hpp"

extern "C" {
__attribute__((visibility("default"))) const Pg_magic_struct *PG_MAGIC_FUNCTION_NAME();
RT_MODULE_MAGIC;
// NOLINTNEXTLINE(bugprone-reserved-identifier): the name is PostgreSQL's
__attribute__((visibility("default"))) void _PG_init();
}

// The settings that are a superuser's to set.
static constexpr const char *superuser_settings[] = {
    "rls_tenant.tenant_type",
    "rls_tenant.account_type",
    "rls_tenant.user_type",
    "rls_tenant.missing_context",
    "rls_tenant.one_tenant_per_transaction",
    "rls_tenant.tenant_column",
    "rls_tenant.guard",
    "rls_tenant.handed_down",
};

void _PG_init() {
  using namespace rls_tenant;
  if (IsInParallelMode() && !InitializingParallelWorker) {
    // Its leader has not looked at the settings that it handed down, and the worker cannot tell old ones from new.
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("a parallel worker needs the library rls_tenant, which its session has not loaded"),
                    errdetail("Only a session that has loaded it can hand its context down."),
                    errhint("Set session_preload_libraries = 'rls_tenant'.")));
  }
  for (const char *name : superuser_settings) refuse_hidden_setting(name);
  // At the end of a transaction the last to ask comes first: the guard's check comes before the context's end.
  transaction_end_init();
  context_init();
  own_functions_init();
  pinned_context_init();
  plan_constant_init();
  membership_init();
  tenancy_init();
  guard_init();
  // Each of PostgreSQL's hooks once. They run at different times, so that their order here is of no account; within
  // each, the hook's own file says what comes when.
  utility_hook_init();
  planner_hook_init();
  executor_hooks_init();
  MarkGUCPrefixReserved("rls_tenant");
}
