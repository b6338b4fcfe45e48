// The planner's view of a context function: current_tenant_uuid() becomes whatever is best in this plan.
//
// Today that is always the fast call, which reads the value parsed once for the transaction. A plan constant for
// partitioned and foreign tables is to be chosen here, in `replacement`.

#include "functions.hpp"

namespace rls_tenant {

namespace {

// Which context function a call is, and of which setting; false if it is none.
bool identify(Oid function, Setting *setting, int *getter) {
  for (Setting candidate : all_settings) {
    const SettingFunctions *functions = setting_functions(candidate);
    for (int i = 0; i < getter_count; i++) {
      if (functions->getter[i] != function || !OidIsValid(function)) continue;
      *setting = candidate;
      *getter = i;
      return true;
    }
  }
  return false;
}

// The expression that takes the place of a call, or nullptr. Only a call whose argument is our own setting function
// (the default) speaks of the context; an argument that a user wrote is theirs.
Node *replacement(const FuncExpr *call) {
  Setting setting;
  int getter;
  if (list_length(call->args) != 1 || !identify(call->funcid, &setting, &getter)) return nullptr;
  const SettingFunctions *functions = setting_functions(setting);
  const Node *argument = static_cast<const Node *>(linitial(call->args));
  if (!IsA(argument, FuncExpr)) return nullptr;
  if (reinterpret_cast<const FuncExpr *>(argument)->funcid != functions->setting) return nullptr;
  const Oid fast = functions->fast[getter];
  if (!OidIsValid(fast)) return nullptr;
  FuncExpr *result =
      makeFuncExpr(fast, call->funcresulttype, NIL, call->funccollid, InvalidOid, COERCE_EXPLICIT_CALL);
  result->location = call->location;
  return reinterpret_cast<Node *>(result);
}

}  // namespace

RT_FUNCTION(rls_tenant_context_support) {
  Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSimplify)) PG_RETURN_POINTER(nullptr);
  PG_RETURN_POINTER(replacement(reinterpret_cast<SupportRequestSimplify *>(request)->fcall));
}

// true: what a policy that calls it says beside is for other policies to hold.
RT_FUNCTION(rls_tenant_isolated) { PG_RETURN_BOOL(true); }

RT_FUNCTION(rls_tenant_isolated_support) {
  Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSimplify)) PG_RETURN_POINTER(nullptr);
  PG_RETURN_POINTER(makeBoolConst(true, false));
}

}  // namespace rls_tenant
