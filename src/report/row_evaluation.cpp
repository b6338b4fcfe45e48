// Evaluating parts of policies on a row that was read before: the row takes the table's place, so that neither the
// table's privileges nor its policies matter, and what a policy calls runs with no more rights than the role's.

#include "report/row_evaluation.hpp"

#include "context/context_const.hpp"
#include "context/own_functions.hpp"
#include "policy/confinement.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/condition.hpp"
#include "postgres/expression.hpp"
#include "postgres/subtransaction.hpp"

namespace rls_tenant {

namespace {

enum class Truth { yes, no, null, error };

// What an expression has come to.
struct KnownTruth {
  Node *expression;
  Truth truth;
  const char *error;
};

// Takes the one row of one boolean that a condition comes to.
struct TruthReceiver {
  DestReceiver base;
  Truth truth;
};

bool receive_truth(TupleTableSlot *slot, DestReceiver *receiver) {
  bool isnull;
  const Datum value = slot_getattr(slot, 1, &isnull);
  reinterpret_cast<TruthReceiver *>(receiver)->truth = isnull                ? Truth::null
                                                       : DatumGetBool(value) ? Truth::yes
                                                                             : Truth::no;
  return true;
}

void receiver_startup(DestReceiver *, int, TupleDesc) {}
void receiver_nothing(DestReceiver *) {}

// SELECT expression FROM unnest(the row in an array) AS relation. The policy's tree is put in as it is stored, so that
// no name in it is looked up again: its columns are those of the first and only relation of the query.
Query *truth_query(const EvaluatedRow *row, Node *expression, const Oid *array_type, const char **text) {
  *text = psprintf("SELECT FROM pg_catalog.unnest($1) AS %s", quote_identifier(RelationGetRelationName(row->relation)));
  RawStmt *raw = linitial_node(RawStmt, raw_parser(*text, RAW_PARSE_DEFAULT));
  Query *query = parse_analyze_fixedparams(raw, *text, array_type, 1, nullptr);
  TargetEntry *target = makeTargetEntry(static_cast<Expr *>(copyObjectImpl(expression)), 1, pstrdup("truth"), false);
  query->targetList = list_make1(target);
  query->hasSubLinks = checkExprHasSubLink(expression);
  return query;
}

Truth truth_of(const EvaluatedRow *row, Node *expression) {
  const Oid array_type = get_array_type(row->relation->rd_rel->reltype);
  ParamListInfo parameters = makeParamList(1);
  parameters->params[0] = {row->array, false, PARAM_FLAG_CONST, array_type};
  const char *text;
  Query *query = truth_query(row, expression, &array_type, &text);
  AcquireRewriteLocks(query, true, false);
  PlannedStmt *plan = pg_plan_query(linitial_node(Query, QueryRewrite(query)), text, 0, parameters);
  TruthReceiver receiver = {};
  receiver.base = {receive_truth, receiver_startup, receiver_nothing, receiver_nothing, DestNone};
  receiver.truth = Truth::null;
  PushActiveSnapshot(GetTransactionSnapshot());
  QueryDesc *description =
      CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot, &receiver.base, parameters, nullptr, 0);
  ExecutorStart(description, 0);
  compat::execute_all(description);
  ExecutorFinish(description);
  ExecutorEnd(description);
  FreeQueryDesc(description);
  PopActiveSnapshot();
  return receiver.truth;
}

// The same as the role, once for each row and expression. An error ends the subtransaction, and with it the role.
const KnownTruth *find_truth(EvaluatedRow *row, Node *expression) {
  const ListCell *cell;
  foreach (cell, row->known) {
    const KnownTruth *known = static_cast<const KnownTruth *>(lfirst(cell));
    if (equal(known->expression, expression)) return known;
  }
  KnownTruth *known = static_cast<KnownTruth *>(palloc0(sizeof(KnownTruth)));
  known->expression = expression;
  known->error = in_subtransaction([&] { as_role(row->role, 0, [&] { known->truth = truth_of(row, expression); }); });
  if (known->error != nullptr) known->truth = Truth::error;
  row->known = lappend(row->known, known);
  return known;
}

// What a condition's first argument says of the row: its column's value.
const char *argument_text(const EvaluatedRow *row, const Node *argument) {
  argument = strip_relabel(argument);
  if (argument == nullptr || !IsA(argument, Var)) return nullptr;
  const Var *var = reinterpret_cast<const Var *>(argument);
  return var->varlevelsup == 0 && var->varattno > 0 ? attribute_text(row, var->varattno) : nullptr;
}

// Why a condition that is neither AND nor OR is not true.
const char *reason_of(const EvaluatedRow *row, Node *expression, const KnownTruth *known) {
  if (known->truth == Truth::error) return psprintf("error: %s", known->error);
  if (IsA(expression, FuncExpr)) {
    const FuncExpr *call = reinterpret_cast<const FuncExpr *>(expression);
    const bool role = is_role_check(call->funcid);
    if (role || is_membership_check(call->funcid)) {
      const char *group = argument_text(row, static_cast<const Node *>(linitial(call->args)));
      return psprintf(
          role ? "not a member: %s does not have the role in group %s" : "not a member: %s is not in group %s",
          context_words(Setting::user), group != nullptr ? quote_literal_cstr(group) : "of the row");
    }
  }
  const bool is_constant = IsA(expression, Const);
  if (!is_constant && row->tenant != InvalidAttrNumber && confines(expression, row->tenant)) {
    const char *tenant = attribute_text(row, row->tenant);
    return psprintf("wrong tenant: the row is of %s, the context of %s",
                    tenant != nullptr ? psprintf("tenant \"%s\"", tenant) : "no tenant (NULL)",
                    context_words(Setting::tenant));
  }
  if (!is_constant && confines(expression, InvalidAttrNumber)) {
    return psprintf("wrong tenant: the row belongs to no row of %s", context_words(Setting::tenant));
  }
  return known->truth == Truth::null ? "the condition is NULL" : "the condition is false";
}

// Whether an expression, or a sub-select in it, reads a system column of the policy's relation; levels: of queries from
// there up to it.
bool reads_system_column(Node *node, void *levels) {
  if (node == nullptr) return false;
  Index *level = static_cast<Index *>(levels);
  if (IsA(node, Var)) {
    const Var *var = reinterpret_cast<const Var *>(node);
    return var->varno == 1 && var->varlevelsup == *level && var->varattno < 0;
  }
  if (!IsA(node, Query)) return expression_tree_walker(node, compat::tree_walker(reads_system_column), levels);
  ++*level;
  const bool found =
      query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(reads_system_column), levels, 0);
  --*level;
  return found;
}

// A part that is neither AND nor OR.
Evaluation evaluate_leaf(EvaluatedRow *row, Node *expression) {
  const char *missing = missing_context_words(what_expression_reads(expression));
  if (missing != nullptr) return {false, expression, missing};
  Index levels = 0;
  if (reads_system_column(expression, &levels)) {
    return {false, expression, "not evaluated: the condition reads a system column"};
  }
  const KnownTruth *known = find_truth(row, expression);
  if (known->truth == Truth::yes) return {true, expression, nullptr};
  return {false, expression, reason_of(row, expression, known)};
}

bool look_for_settings(Node *node, void *settings) {
  if (node == nullptr) return false;
  if (IsA(node, FuncExpr))
    *static_cast<SettingSet *>(settings) |= what_function_reads(reinterpret_cast<FuncExpr *>(node)->funcid);
  if (IsA(node, Query)) {
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(look_for_settings), settings, 0);
  }
  return expression_tree_walker(node, compat::tree_walker(look_for_settings), settings);
}

// The value of a context function, as a constant; nullptr where there is none, or none of the type.
Node *value_of_call(const FuncExpr *call) {
  Setting setting;
  IdType type;
  if (!is_context_call(call, &setting, &type)) return nullptr;
  const ContextValue *value = present_context(setting);
  return value != nullptr ? reinterpret_cast<Node *>(context_const(value, type, call->funccollid)) : nullptr;
}

Node *fill_in(Node *node, void *context) {
  if (node == nullptr) return nullptr;
  if (IsA(node, FuncExpr)) {
    Node *constant = value_of_call(reinterpret_cast<FuncExpr *>(node));
    if (constant != nullptr) return constant;
  }
  if (IsA(node, Query)) {
    return reinterpret_cast<Node *>(
        query_tree_mutator(reinterpret_cast<Query *>(node), compat::tree_mutator(fill_in), context, 0));
  }
  return expression_tree_mutator(node, compat::tree_mutator(fill_in), context);
}

}  // namespace

Evaluation evaluate_condition(EvaluatedRow *row, Node *expression) {
  check_stack_depth();
  if (!IsA(expression, BoolExpr) || reinterpret_cast<BoolExpr *>(expression)->boolop == NOT_EXPR) {
    return evaluate_leaf(row, expression);
  }
  const BoolExpr *boolean = reinterpret_cast<BoolExpr *>(expression);
  const bool is_and = boolean->boolop == AND_EXPR;
  const char *reasons = nullptr;
  const ListCell *cell;
  foreach (cell, boolean->args) {
    const Evaluation evaluation = evaluate_condition(row, static_cast<Node *>(lfirst(cell)));
    if (evaluation.is_true != is_and) return evaluation;  // the first part that is not true, or of OR that is
    if (is_and) continue;
    const char *words =
        psprintf("%s: %s", deparse_condition(row->relation, with_context_values(evaluation.part)), evaluation.reason);
    reasons = reasons == nullptr ? words : psprintf("%s; %s", reasons, words);
  }
  return {is_and, expression, reasons};
}

const char *attribute_text(const EvaluatedRow *row, AttrNumber attribute) {
  bool isnull;
  const Datum value =
      heap_getattr(const_cast<HeapTuple>(&row->tuple), attribute, RelationGetDescr(row->relation), &isnull);
  if (isnull) return nullptr;
  Oid output;
  bool is_varlena;
  getTypeOutputInfo(TupleDescAttr(RelationGetDescr(row->relation), attribute - 1)->atttypid, &output, &is_varlena);
  return OidOutputFunctionCall(output, value);
}

SettingSet what_expression_reads(Node *expression) {
  SettingSet settings = 0;
  look_for_settings(expression, &settings);
  return settings;
}

const char *missing_context_words(SettingSet settings) {
  for (Setting setting : all_settings) {
    if ((settings & setting_bit(setting)) && present_context(setting) == nullptr) {
      return psprintf("no context: no %s is set", setting_word(setting));
    }
  }
  return nullptr;
}

Node *with_context_values(Node *expression) { return fill_in(expression, nullptr); }

}  // namespace rls_tenant
