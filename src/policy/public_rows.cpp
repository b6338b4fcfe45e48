// Which rows of a tenant table are public. Only the form that protect() makes is understood, by its names and its
// parts.

#include "policy/public_rows.hpp"

#include "context/own_functions.hpp"
#include "policy/confinement.hpp"
#include "policy/expression.hpp"

namespace rls_tenant {

namespace {

constexpr uint32 write_commands = all_commands & ~command_select;

// The time of the transaction or statement: the same for every tenant, and nobody can set it.
bool is_time(const Node *node) {
  if (IsA(node, SQLValueFunction)) {
    const SQLValueFunctionOp what = reinterpret_cast<const SQLValueFunction *>(node)->op;
    return what == SVFOP_CURRENT_TIMESTAMP || what == SVFOP_CURRENT_TIMESTAMP_N;
  }
  if (!IsA(node, FuncExpr)) return false;
  const Oid function = reinterpret_cast<const FuncExpr *>(node)->funcid;
  return function == F_NOW || function == F_TRANSACTION_TIMESTAMP || function == F_STATEMENT_TIMESTAMP;
}

// found: const char **. A function that was dropped meanwhile is unfit, too: the policies may be those before the
// transaction.
bool is_unfit_function(Oid function, void *found) {
  const char **problem = static_cast<const char **>(found);
  char volatility = PROVOLATILE_VOLATILE;
  bool is_ours = false;
  with_syscache(PROCOID, ObjectIdGetDatum(function), [&](HeapTuple tuple) {
    const Form_pg_proc form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    volatility = form->provolatile;
    is_ours = form->pronamespace == get_namespace_oid(extension_schema, true);
  });
  if (is_ours) {
    *problem = psprintf("It asks for the context: %s.", format_procedure(function));
  } else if (volatility != PROVOLATILE_IMMUTABLE) {
    *problem = psprintf("It calls %s, which can mean something else in each session.", format_procedure(function));
  }
  return *problem != nullptr;
}

// Whether a kind of expression is understood. (The checks of domains could ask for anything.)
bool is_understood(const Node *node) {
  switch (nodeTag(node)) {
    case T_Var:
    case T_Const:
    case T_FuncExpr:
    case T_OpExpr:
    case T_DistinctExpr:
    case T_NullIfExpr:
    case T_ScalarArrayOpExpr:
    case T_BoolExpr:
    case T_RelabelType:
    case T_ArrayCoerceExpr:
    case T_CollateExpr:
    case T_CaseExpr:
    case T_CaseWhen:
    case T_CaseTestExpr:
    case T_ArrayExpr:
    case T_RowExpr:
    case T_RowCompareExpr:
    case T_CoalesceExpr:
    case T_MinMaxExpr:
    case T_NullTest:
    case T_BooleanTest:
    case T_SubscriptingRef:
    case T_List:
      return true;
    case T_CoerceViaIO:
      return get_typisdefined(reinterpret_cast<const CoerceViaIO *>(node)->resulttype) &&
             get_typisdefined(
                 exprType(reinterpret_cast<const Node *>(reinterpret_cast<const CoerceViaIO *>(node)->arg)));
    default:
      return false;
  }
}

// Whether a cast by way of text can raise an error that shows the value: one to a type that is not text itself.
bool can_fail(const CoerceViaIO *cast) {
  char category;
  bool is_preferred;
  get_type_category_preferred(cast->resulttype, &category, &is_preferred);
  return category != TYPCATEGORY_STRING;
}

// The first part that does not speak of the row alone; found: const char **
bool find_problem(Node *node, void *found) {
  if (node == nullptr || is_time(node)) return false;
  check_stack_depth();
  const char **problem = static_cast<const char **>(found);
  if (IsA(node, SubLink)) {
    *problem = "It has a sub-select, and what that reads is not the row's.";
  } else if (IsA(node, SQLValueFunction)) {
    *problem = "It asks for the role, the schema or the time of day of the session.";
  } else if (!is_understood(node)) {
    *problem = "It has a part that is not understood.";
  } else if (IsA(node, CoerceViaIO) && can_fail(reinterpret_cast<const CoerceViaIO *>(node))) {
    *problem = psprintf("It casts to %s: the error for an invalid value would show that value of another tenant's row.",
                        format_type_be(reinterpret_cast<const CoerceViaIO *>(node)->resulttype));
  } else if (IsA(node, Var) && reinterpret_cast<const Var *>(node)->varattno <= 0) {
    *problem = "It names a system column, or the row as a whole.";
  } else if (check_functions_in_node(node, is_unfit_function, found)) {
    return true;
  } else if (IsA(node, FuncExpr)) {
    const FuncExpr *call = reinterpret_cast<const FuncExpr *>(node);
    if (list_length(call->args) < get_func_nargs(call->funcid))
      *problem = psprintf("It leaves arguments of %s to their defaults.", format_procedure(call->funcid));
  }
  return *problem != nullptr || expression_tree_walker(node, compat::tree_walker(find_problem), found);
}

// Whether a condition, and each branch of OR in it, depends on some column.
bool depends_on_row(Node *condition) {
  if (!IsA(condition, BoolExpr)) return contain_vars_of_level(condition, 0);
  const BoolExpr *boolean = reinterpret_cast<const BoolExpr *>(condition);
  const bool any = boolean->boolop == AND_EXPR;
  const ListCell *cell;
  foreach (cell, boolean->args) {
    if (depends_on_row(static_cast<Node *>(lfirst(cell))) == any) return any;
  }
  return !any;
}

// Whether an expression asks that there is a context, and of which setting.
bool is_context_test(const Node *node, Setting *setting) {
  if (!IsA(node, NullTest)) return false;
  const NullTest *test = reinterpret_cast<const NullTest *>(node);
  if (test->nulltesttype != IS_NOT_NULL || test->argisrow || !IsA(test->arg, FuncExpr)) return false;
  const FuncExpr *call = reinterpret_cast<const FuncExpr *>(test->arg);
  IdType type;
  return call->args == NIL && is_getter(call->funcid, setting, &type);
}

// Whether an expression is a tenant condition as protect() writes it, and which setting it asks.
bool is_condition(const Node *node, AttrNumber attribute, Setting *setting) {
  *setting = IsA(node, OpExpr) ? Setting::tenant : Setting::user;
  return IsA(node, OpExpr) ? is_tenant_condition(reinterpret_cast<const OpExpr *>(node), attribute)
                           : source_of_condition(node, attribute) != nullptr;
}

}  // namespace

const char *public_condition_problem(Node *condition) {
  const char *problem = nullptr;
  if (find_problem(condition, &problem)) return problem;
  if (!depends_on_row(condition))
    return "It, or a branch of OR in it, names no column, and so is true for every row or for none.";
  return nullptr;
}

Node *public_rows_of(const Node *expression, Setting *setting) {
  if (expression == nullptr || !IsA(expression, BoolExpr)) return nullptr;
  const BoolExpr *both = reinterpret_cast<const BoolExpr *>(expression);
  if (both->boolop != AND_EXPR || !is_context_test(static_cast<const Node *>(llast(both->args)), setting))
    return nullptr;
  List *parts = list_truncate(list_copy(both->args), list_length(both->args) - 1);
  Node *rows = reinterpret_cast<Node *>(make_ands_explicit(parts));
  return public_condition_problem(rows) == nullptr ? rows : nullptr;
}

Node *public_rows_of_floor(const Policy *policy, AttrNumber attribute) {
  if (policy->permissive || policy->commands != command_select || policy->qual == nullptr ||
      !IsA(policy->qual, BoolExpr)) {
    return nullptr;
  }
  const BoolExpr *either = reinterpret_cast<const BoolExpr *>(policy->qual);
  Setting tested, asked;
  if (either->boolop != OR_EXPR || list_length(either->args) != 2 ||
      !is_condition(static_cast<const Node *>(lsecond(either->args)), attribute, &asked)) {
    return nullptr;
  }
  Node *rows = public_rows_of(static_cast<const Node *>(linitial(either->args)), &tested);
  return rows != nullptr && tested == asked ? rows : nullptr;
}

Node *public_condition(List *policies, AttrNumber attribute) {
  if (attribute == InvalidAttrNumber) return nullptr;
  Node *rows = nullptr;
  uint32 written = 0;
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (policy->permissive) {
      if (strcmp(policy->name, public_name) == 0 && policy->commands != command_select) return nullptr;
      continue;
    }
    if (!policy->to_public) continue;
    const uint32 held = confined_commands(policy, attribute);
    if (held & command_select) return nullptr;  // holds the public rows back, too
    if (strcmp(policy->name, public_floors[0].name) == 0) rows = public_rows_of_floor(policy, attribute);
    written |= held;
  }
  return (written & write_commands) == write_commands ? rows : nullptr;
}

uint32 floor_commands(List *policies, AttrNumber attribute, bool to_public) {
  uint32 result = 0;
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (!policy->permissive && policy->to_public == to_public) result |= confined_commands(policy, attribute);
  }
  if (to_public && result == write_commands && public_condition(policies, attribute) != nullptr)
    result |= command_select;
  return result;
}

}  // namespace rls_tenant
