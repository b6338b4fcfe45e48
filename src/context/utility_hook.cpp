// Before a command that is not planned is run: what it may not do to the context.
//
// 1. A pin. ALTER ROLE and ALTER DATABASE say for whom other sessions work: who may not is refused before anything
// else.
// 2. A SET for the session. It is refused by what is written, since the setting's own hooks cannot tell SET from SET
// LOCAL.
//
// No command is for both, so that their order shows in nothing. Both come before the next hook: what is refused must
// not have been audited, rewritten or run by another module.

#include "context/utility_hook.hpp"

#include "context/context.hpp"
#include "context/pinned_context.hpp"

namespace rls_tenant {

namespace {

ProcessUtility_hook_type previous_utility = nullptr;

void process_utility(PlannedStmt *statement, const char *text, bool read_only_tree, ProcessUtilityContext context,
                     ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *qc) {
  check_pin(statement->utilityStmt);
  check_session_set(statement->utilityStmt);
  const auto next = previous_utility != nullptr ? previous_utility : standard_ProcessUtility;
  next(statement, text, read_only_tree, context, params, environment, dest, qc);
}

}  // namespace

void utility_hook_init() {
  previous_utility = ProcessUtility_hook;
  ProcessUtility_hook = process_utility;
}

}  // namespace rls_tenant
