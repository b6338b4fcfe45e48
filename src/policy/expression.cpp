// Reading the parts of a policy's expression. What is not understood means nothing.

#include "policy/expression.hpp"

#include "context/own_functions.hpp"
#include "postgres/expression.hpp"

namespace rls_tenant {

namespace {

// PostgreSQL's casts of whole numbers to wider types.
bool is_widening(Oid function) {
  switch (function) {
    case F_INT4_INT2:
    case F_INT8_INT2:
    case F_INT8_INT4:
    case F_NUMERIC_INT2:
    case F_NUMERIC_INT4:
    case F_NUMERIC_INT8:
      return true;
    default:
      return false;
  }
}

// What is below casts that give different results for different values: those of strip_relabel(), a uuid's or whole
// number's to text, and a whole number's to a wider one.
const Node *strip_casts(const Node *node) {
  for (node = strip_relabel(node); node != nullptr; node = strip_relabel(node)) {
    if (IsA(node, CoerceViaIO)) {
      const CoerceViaIO *cast = reinterpret_cast<const CoerceViaIO *>(node);
      const std::optional<IdType> from = id_type_of(exprType(reinterpret_cast<const Node *>(cast->arg)));
      if (!from || from == IdType::text || id_type_of(cast->resulttype) != IdType::text) return node;
      node = reinterpret_cast<const Node *>(cast->arg);
    } else if (IsA(node, FuncExpr) && is_widening(reinterpret_cast<const FuncExpr *>(node)->funcid)) {
      node = static_cast<const Node *>(linitial(reinterpret_cast<const FuncExpr *>(node)->args));
    } else {
      return node;
    }
  }
  return node;
}

// Whether a function call reads the tenant of the context: one of our functions, with its default argument.
bool is_tenant_getter(const FuncExpr *call) {
  Setting setting;
  IdType type;
  return is_context_call(call, &setting, &type) && setting == Setting::tenant;
}

// (SELECT current_tenant_uuid()) and nothing more.
bool is_tenant_subselect(const SubLink *link) {
  if (link->subLinkType != EXPR_SUBLINK || !IsA(link->subselect, Query)) return false;
  const Query *query = castNode(Query, link->subselect);
  if (query->commandType != CMD_SELECT || query->rtable != NIL || query->jointree->fromlist != NIL ||
      query->jointree->quals != nullptr || query->setOperations != nullptr || query->hasAggs || query->hasTargetSRFs ||
      query->havingQual != nullptr || query->limitCount != nullptr || query->limitOffset != nullptr ||
      list_length(query->targetList) != 1) {
    return false;
  }
  return is_tenant(reinterpret_cast<const Node *>(linitial_node(TargetEntry, query->targetList)->expr));
}

}  // namespace

bool is_tenant(const Node *node) {
  node = strip_casts(node);
  if (node == nullptr) return false;
  if (IsA(node, FuncExpr)) return is_tenant_getter(reinterpret_cast<const FuncExpr *>(node));
  if (IsA(node, SubLink)) return is_tenant_subselect(reinterpret_cast<const SubLink *>(node));
  return false;
}

bool is_attribute(const Node *node, AttrNumber attribute) {
  node = strip_casts(node);
  if (node == nullptr || !IsA(node, Var)) return false;
  const Var *var = reinterpret_cast<const Var *>(node);
  return var->varno == 1 && var->varlevelsup == 0 && var->varattno == attribute;
}

namespace {

// Whether a collation is deterministic; one that the transaction has dropped counts as none.
bool is_deterministic(Oid collation) {
  return SearchSysCacheExists1(COLLOID, ObjectIdGetDatum(collation)) && get_collation_isdeterministic(collation);
}

}  // namespace

bool is_equality(const OpExpr *expression) {
  if (expression->opno >= FirstNormalObjectId || list_length(expression->args) != 2) return false;
  if (OidIsValid(expression->inputcollid) && !is_deterministic(expression->inputcollid)) return false;
  static Oid judged = InvalidOid;  // PostgreSQL's own operators do not change
  static bool verdict = false;
  if (expression->opno != judged) {
    Oid left, right;
    op_input_types(expression->opno, &left, &right);
    // As bpchar 'a' and 'a ' are equal, and two tenants.
    verdict = left != BPCHAROID && right != BPCHAROID && compat::is_index_equality(expression->opno);
    judged = expression->opno;
  }
  return verdict;
}

bool is_tenant_condition(const OpExpr *expression, AttrNumber attribute) {
  if (!is_equality(expression)) return false;
  const Node *left = static_cast<const Node *>(linitial(expression->args));
  const Node *right = static_cast<const Node *>(lsecond(expression->args));
  return (is_attribute(left, attribute) && is_tenant(right)) || (is_attribute(right, attribute) && is_tenant(left));
}

List *conjuncts(Node *expression) {
  if (expression == nullptr) return NIL;
  if (!IsA(expression, BoolExpr) || reinterpret_cast<BoolExpr *>(expression)->boolop != AND_EXPR)
    return list_make1(expression);
  List *result = NIL;
  const ListCell *cell;
  foreach (cell, reinterpret_cast<BoolExpr *>(expression)->args) {
    result = list_concat(result, conjuncts(static_cast<Node *>(lfirst(cell))));
  }
  return result;
}

const char *source_of(const Node *expression) {
  if (expression == nullptr || !IsA(expression, FuncExpr)) return nullptr;
  const FuncExpr *call = reinterpret_cast<const FuncExpr *>(expression);
  if (!is_membership_check(call->funcid)) return nullptr;
  if (list_length(call->args) == 1) return default_source;  // a default is filled in when the query is planned
  const Node *source = static_cast<const Node *>(lsecond(call->args));
  if (!IsA(source, Const) || reinterpret_cast<const Const *>(source)->constisnull) return nullptr;
  return TextDatumGetCString(reinterpret_cast<const Const *>(source)->constvalue);
}

namespace {

const Node *first_argument(const Node *call) {
  return static_cast<const Node *>(linitial(reinterpret_cast<const FuncExpr *>(call)->args));
}

}  // namespace

const char *source_of_condition(const Node *expression, AttrNumber attribute) {
  const char *source = source_of(expression);
  return source != nullptr && is_attribute(first_argument(expression), attribute) ? source : nullptr;
}

namespace {

// One side of an equality.
struct Term {
  enum { own, outer, tenant, other } kind;
  Var *var;
};

// inside: the term is part of the sub-select, where the policy's relation is one level up.
Term term_of(const Node *node, bool inside) {
  if (is_tenant(node)) return {Term::tenant, nullptr};
  node = strip_relabel(node);
  if (node == nullptr || !IsA(node, Var)) return {Term::other, nullptr};
  Var *var = reinterpret_cast<Var *>(const_cast<Node *>(node));
  if (var->varattno <= 0) return {Term::other, nullptr};
  if (var->varlevelsup == (inside ? 1u : 0u) && var->varno == 1) return {Term::outer, var};
  if (var->varlevelsup == 0 && inside) return {Term::own, var};
  return {Term::other, nullptr};
}

void add_equality(Join *join, Term left, Term right) {
  for (int turn = 0; turn < 2; turn++) {
    if (left.kind == Term::own && right.kind == Term::outer) {
      join->own = lappend(join->own, left.var);
      join->outer = lappend(join->outer, right.var);
    }
    if (left.kind == Term::own && right.kind == Term::tenant) join->own_tenant = lappend(join->own_tenant, left.var);
    if (left.kind == Term::outer && right.kind == Term::tenant)
      join->outer_tenant = lappend(join->outer_tenant, left.var);
    const Term other = left;
    left = right;
    right = other;
  }
}

// Whether a query gives a row only where its WHERE is true. (An aggregate gives one of nothing.)
bool is_plain_select(const Query *query) {
  return query->commandType == CMD_SELECT && query->setOperations == nullptr && !query->hasAggs &&
         query->groupClause == NIL && query->groupingSets == NIL && query->havingQual == nullptr &&
         !query->hasWindowFuncs && !query->hasTargetSRFs && query->limitCount == nullptr &&
         query->limitOffset == nullptr;
}

// What a sub-select's WHERE says.
void read_where(Join *join) {
  const ListCell *cell;
  foreach (cell, conjuncts(join->query->jointree->quals)) {
    const Node *part = static_cast<const Node *>(lfirst(cell));
    if (IsA(part, OpExpr) && is_equality(reinterpret_cast<const OpExpr *>(part))) {
      const List *args = reinterpret_cast<const OpExpr *>(part)->args;
      add_equality(join, term_of(static_cast<const Node *>(linitial(args)), true),
                   term_of(static_cast<const Node *>(lsecond(args)), true));
    } else if (source_of(part) != nullptr) {
      add_equality(join, term_of(first_argument(part), true), {Term::tenant, nullptr});
    }
  }
}

// What column IN (…), (column, column) IN (…) or column = ANY (…) says of a sub-select's targets.
void read_in(Join *join, Node *test) {
  const ListCell *cell;
  foreach (cell, conjuncts(test)) {
    const Node *part = static_cast<const Node *>(lfirst(cell));
    if (!IsA(part, OpExpr) || !is_equality(reinterpret_cast<const OpExpr *>(part))) continue;
    const List *args = reinterpret_cast<const OpExpr *>(part)->args;
    const Node *target = strip_relabel(static_cast<const Node *>(lsecond(args)));
    if (!IsA(target, Param) || reinterpret_cast<const Param *>(target)->paramkind != PARAM_SUBLINK) continue;
    const int number = reinterpret_cast<const Param *>(target)->paramid;
    const TargetEntry *entry = list_nth_node(TargetEntry, join->query->targetList, number - 1);
    add_equality(join, term_of(static_cast<const Node *>(linitial(args)), false),
                 term_of(reinterpret_cast<const Node *>(entry->expr), true));
  }
}

}  // namespace

bool read_join(const Node *expression, Join *join) {
  *join = {};
  if (expression == nullptr || !IsA(expression, SubLink)) return false;
  const SubLink *link = reinterpret_cast<const SubLink *>(expression);
  if ((link->subLinkType != EXISTS_SUBLINK && link->subLinkType != ANY_SUBLINK) || !IsA(link->subselect, Query))
    return false;
  join->query = castNode(Query, link->subselect);
  if (!is_plain_select(join->query)) return false;
  read_where(join);
  if (link->subLinkType == ANY_SUBLINK) read_in(join, link->testexpr);
  return true;
}

bool is_current_setting(Oid function) {
  return function == F_CURRENT_SETTING_TEXT || function == F_CURRENT_SETTING_TEXT_BOOL;
}

bool is_current_setting_call(const Node *node) {
  return IsA(node, FuncExpr) && is_current_setting(reinterpret_cast<const FuncExpr *>(node)->funcid);
}

namespace {

// Whether an expression reads the tenant of the context, or a setting that could hold one.
bool reads_context(Node *node, void *context) {
  if (node == nullptr) return false;
  if (is_tenant(node) || is_current_setting_call(node)) return true;
  if (IsA(node, SubLink)) {
    const Node *query = reinterpret_cast<SubLink *>(node)->subselect;
    return query_tree_walker(castNode(Query, const_cast<Node *>(query)), compat::tree_walker(reads_context), context,
                             0);
  }
  return expression_tree_walker(node, compat::tree_walker(reads_context), context);
}

bool is_empty_text(const Node *node) {
  node = strip_relabel(node);
  if (node == nullptr || !IsA(node, Const)) return false;
  const Const *constant = reinterpret_cast<const Const *>(node);
  return !constant->constisnull && constant->consttype == TEXTOID &&
         VARSIZE_ANY_EXHDR(DatumGetPointer(constant->constvalue)) == 0;
}

// Whether an expression can be true of NULL: IS NULL, coalesce(), IS NOT DISTINCT FROM, IS NOT TRUE, and a comparison
// with '', as which a setting can be read that is not set.
bool accepts_null(const Node *node) {
  switch (nodeTag(node)) {
    case T_NullTest:
      return reinterpret_cast<const NullTest *>(node)->nulltesttype == IS_NULL;
    case T_CoalesceExpr:
      return true;
    case T_BoolExpr: {
      const BoolExpr *boolean = reinterpret_cast<const BoolExpr *>(node);
      return boolean->boolop == NOT_EXPR && IsA(linitial(boolean->args), DistinctExpr);
    }
    case T_BooleanTest: {
      const BoolTestType test = reinterpret_cast<const BooleanTest *>(node)->booltesttype;
      return test == IS_NOT_TRUE || test == IS_NOT_FALSE || test == IS_UNKNOWN;
    }
    case T_OpExpr: {
      const List *args = reinterpret_cast<const OpExpr *>(node)->args;
      return list_length(args) == 2 && (is_empty_text(static_cast<const Node *>(linitial(args))) ||
                                        is_empty_text(static_cast<const Node *>(lsecond(args))));
    }
    default:
      return false;
  }
}

// The walk for matches_missing_context().
bool find_accepted_null(Node *node, void *context) {
  if (node == nullptr) return false;
  if (accepts_null(node) && reads_context(node, nullptr)) return true;
  if (IsA(node, SubLink)) return false;
  return expression_tree_walker(node, compat::tree_walker(find_accepted_null), context);
}

}  // namespace

bool matches_missing_context(const Node *open) { return find_accepted_null(const_cast<Node *>(open), nullptr); }

}  // namespace rls_tenant
