// The planner's view of is_member() and has_role(): an index condition, a selectivity, and a cost that a DBA sets.

#include "context/context.hpp"
#include "context/own_functions.hpp"
#include "membership/lookup.hpp"
#include "membership/membership_functions.hpp"

namespace rls_tenant {

namespace {

double membership_cost;

// How many groups are looked up in the statistics; the others are assumed to be like them.
constexpr uint32 groups_estimated = 100;

// A call as it stands in a query: is_member(group_id, source) or has_role(group_id, role, source).
struct Call {
  Node *group;
  Node *role;  // nullptr: none
  Node *source;
  IdType type;
};

bool read_call(const List *arguments, Call *call) {
  const int count = list_length(arguments);
  if (count != 2 && count != 3) return false;
  Node *group = static_cast<Node *>(linitial(arguments));
  const std::optional<IdType> type = id_type_of(getBaseType(exprType(group)));
  if (!type) return false;
  *call = {group, count == 3 ? static_cast<Node *>(lsecond(arguments)) : nullptr, static_cast<Node *>(llast(arguments)),
           *type};
  return true;
}

// group = ANY (array)
Expr *any_of(Node *group, Oid equality, Oid collation, Node *array) {
  ScalarArrayOpExpr *result = makeNode(ScalarArrayOpExpr);
  result->opno = equality;
  result->opfuncid = get_opcode(equality);
  result->useOr = true;
  result->inputcollid = collation;
  result->args = list_make2(group, array);
  result->location = -1;
  return reinterpret_cast<Expr *>(result);
}

// index_groups_…(source, role)
Node *groups_call(const Call *call) {
  const Oid type = id_type_oid(call->type);
  Node *role = call->role != nullptr ? static_cast<Node *>(copyObjectImpl(call->role))
                                     : reinterpret_cast<Node *>(makeNullConst(TEXTOID, -1, DEFAULT_COLLATION_OID));
  return reinterpret_cast<Node *>(makeFuncExpr(groups_function(call->type), get_array_type(type),
                                               list_make2(copyObjectImpl(call->source), role), InvalidOid,
                                               DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL));
}

// What a btree index on the group's column can look up; nullptr where there is nothing.
List *index_condition(SupportRequestIndexCondition *request) {
  Call call;
  if (!is_funcclause(request->node) || request->indexarg != 0) return nullptr;
  if (!read_call(reinterpret_cast<const FuncExpr *>(request->node)->args, &call)) return nullptr;
  const IndexOptInfo *index = request->index;
  if (request->indexcol > 0 && !compat::index_order_survives_arrays) return nullptr;
  if (index->relam != BTREE_AM_OID || index->indexkeys[request->indexcol] == 0) return nullptr;
  if (!is_pseudo_constant_for_index(request->root, call.source, request->index)) return nullptr;
  if (call.role != nullptr && !is_pseudo_constant_for_index(request->root, call.role, request->index)) return nullptr;
  if (OidIsValid(request->indexcollation) && !get_collation_isdeterministic(request->indexcollation)) return nullptr;
  const Oid equality = get_opfamily_member(request->opfamily, index->opcintype[request->indexcol],
                                           id_type_oid(call.type), BTEqualStrategyNumber);
  if (!OidIsValid(equality) || !OidIsValid(groups_function(call.type))) return nullptr;
  // A role that may be NULL: then has_role() is false, and index_groups_…() gives the groups of all roles.
  request->lossy =
      call.role != nullptr && (!IsA(call.role, Const) || reinterpret_cast<Const *>(call.role)->constisnull);
  return list_make1(any_of(call.group, equality, request->indexcollation, groups_call(&call)));
}

// The text of a constant that is not NULL, or nullptr.
const char *constant_text(const Node *node) {
  if (node == nullptr || !IsA(node, Const)) return nullptr;
  const Const *constant = reinterpret_cast<const Const *>(node);
  if (constant->constisnull || constant->consttype != TEXTOID) return nullptr;
  return TextDatumGetCString(constant->constvalue);
}

// The part of the rows that have one value of an expression.
Selectivity one_value(SupportRequestSelectivity *request, Node *expression) {
  VariableStatData variable;
  bool is_default;
  examine_variable(request->root, expression, request->varRelid, &variable);
  const double distinct = get_variable_numdistinct(&variable, &is_default);
  ReleaseVariableStats(variable);
  return 1.0 / Max(distinct, 1.0);
}

// The rows that the user's groups have, by the column's statistics.
bool estimate_rows(SupportRequestSelectivity *request, const Call *call) {
  Node *constant = estimate_expression_value(request->root, call->source);
  const char *source = constant_text(constant);
  if (source == nullptr) return false;
  const GroupSet *set = user_groups(source, strlen(source));
  if (set == nullptr || set->type != call->type) return false;
  const Oid type = id_type_oid(call->type);
  const Oid column_type = exprType(call->group);
  const Oid equality = OpernameGetOprid(list_make2(makeString(pstrdup("pg_catalog")), makeString(pstrdup("="))),
                                        call->type == IdType::bigint ? getBaseType(column_type) : type, type);
  if (!OidIsValid(equality)) return false;
  const char *role = constant_text(call->role);
  ArrayType *groups = role != nullptr ? groups_array_of_role(set, role, static_cast<uint32>(strlen(role)))
                                      : groups_array(set, groups_estimated);
  const int all = role != nullptr ? ArrayGetNItems(ARR_NDIM(groups), ARR_DIMS(groups)) : static_cast<int>(set->count);
  const int looked_up = ArrayGetNItems(ARR_NDIM(groups), ARR_DIMS(groups));
  if (looked_up == 0) {  // as one group: the plan may be kept, and serve others
    request->selectivity = one_value(request, call->group);
    return true;
  }
  Node *array =
      reinterpret_cast<Node *>(makeConst(get_array_type(type), -1, type == TEXTOID ? DEFAULT_COLLATION_OID : InvalidOid,
                                         -1, PointerGetDatum(groups), false, false));
  Node *clause = reinterpret_cast<Node *>(
      any_of(call->group, equality, type == TEXTOID ? DEFAULT_COLLATION_OID : InvalidOid, array));
  const Selectivity found =
      clause_selectivity(request->root, clause, request->varRelid, request->jointype, request->sjinfo);
  request->selectivity = Min(1.0, found * all / looked_up);
  return true;
}

// Which part of the rows passes.
bool estimate(SupportRequestSelectivity *request) {
  Call call;
  if (request->is_join || !read_call(request->args, &call) || present_context(Setting::user) == nullptr) return false;
  if (contain_var_clause(call.group)) return estimate_rows(request, &call);
  // The same for every row: in or out.
  Node *check = reinterpret_cast<Node *>(
      makeFuncExpr(request->funcid, BOOLOID, request->args, InvalidOid, request->inputcollid, COERCE_EXPLICIT_CALL));
  const Node *result = estimate_expression_value(request->root, check);
  if (!IsA(result, Const) || reinterpret_cast<const Const *>(result)->constisnull) return false;
  request->selectivity = DatumGetBool(reinterpret_cast<const Const *>(result)->constvalue) ? 1 : 0;
  return true;
}

}  // namespace

RT_FUNCTION(rls_tenant_membership_support) {
  Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (IsA(request, SupportRequestIndexCondition)) {
    PG_RETURN_POINTER(index_condition(reinterpret_cast<SupportRequestIndexCondition *>(request)));
  }
  if (IsA(request, SupportRequestSelectivity)) {
    PG_RETURN_POINTER(estimate(reinterpret_cast<SupportRequestSelectivity *>(request)) ? request : nullptr);
  }
  if (IsA(request, SupportRequestCost) && membership_cost >= 0) {
    SupportRequestCost *cost = reinterpret_cast<SupportRequestCost *>(request);
    cost->startup = 0;
    cost->per_tuple = membership_cost * cpu_operator_cost;
    PG_RETURN_POINTER(cost);
  }
  PG_RETURN_POINTER(nullptr);
}

void planner_support_init() {
  DefineCustomRealVariable("rls_tenant.membership_cost",
                           "The cost of one membership check, in units of cpu_operator_cost.",
                           "The planner evaluates cheap conditions first. -1: the COST of the function itself.",
                           &membership_cost, 2, -1, 1e9, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

}  // namespace rls_tenant
