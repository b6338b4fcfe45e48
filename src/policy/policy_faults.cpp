// Judging how a policy says what it says.

#include "policy/policy_faults.hpp"

#include "postgres/condition.hpp"
#include "context/own_functions.hpp"
#include "policy/expression.hpp"
#include "policy/public_rows.hpp"

namespace rls_tenant {

namespace {

bool is_current_setting(Oid function) {
  return function == F_CURRENT_SETTING_TEXT || function == F_CURRENT_SETTING_TEXT_BOOL;
}

bool is_setting_call(const Node *node) {
  return IsA(node, FuncExpr) && is_current_setting(reinterpret_cast<const FuncExpr *>(node)->funcid);
}

// Whether an expression reads the tenant of the context, or a setting that could hold one.
bool reads_context(Node *node, void *context) {
  if (node == nullptr) return false;
  if (is_tenant(node) || is_setting_call(node)) return true;
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

// The walk for matches_missing_context(): true at what makes something of NULL.
bool makes_something_of_null(Node *node, void *context) {
  if (node == nullptr) return false;
  switch (nodeTag(node)) {
    case T_NullTest:
      if (reinterpret_cast<NullTest *>(node)->nulltesttype == IS_NULL && reads_context(node, nullptr)) return true;
      break;
    case T_CoalesceExpr:
      if (reads_context(node, nullptr)) return true;
      break;
    case T_BoolExpr: {
      const BoolExpr *boolean = reinterpret_cast<BoolExpr *>(node);
      if (boolean->boolop == NOT_EXPR && IsA(linitial(boolean->args), DistinctExpr) && reads_context(node, nullptr))
        return true;
      break;
    }
    case T_BooleanTest: {
      const BoolTestType test = reinterpret_cast<BooleanTest *>(node)->booltesttype;
      if ((test == IS_NOT_TRUE || test == IS_NOT_FALSE || test == IS_UNKNOWN) && reads_context(node, nullptr))
        return true;
      break;
    }
    case T_OpExpr: {
      const List *args = reinterpret_cast<OpExpr *>(node)->args;
      if (list_length(args) == 2 && reads_context(node, nullptr) &&
          (is_empty_text(static_cast<Node *>(linitial(args))) || is_empty_text(static_cast<Node *>(lsecond(args))))) {
        return true;
      }
      break;
    }
    default:
      break;
  }
  if (IsA(node, SubLink)) return false;
  return expression_tree_walker(node, compat::tree_walker(makes_something_of_null), context);
}

// What the walks through a policy look for.
struct Search {
  const char *found;
};

// Whether a sub-select is computed once for the whole query.
bool is_computed_once(const SubLink *link) {
  return (link->subLinkType == EXPR_SUBLINK || link->subLinkType == ARRAY_SUBLINK ||
          link->subLinkType == EXISTS_SUBLINK) &&
         !contain_vars_of_level(link->subselect, 1);
}

bool names_per_row_function(Oid function, void *context) {
  if (is_current_setting(function)) {
    static_cast<Search *>(context)->found = "current_setting()";
  } else if (func_volatile(function) == PROVOLATILE_VOLATILE) {
    static_cast<Search *>(context)->found = psprintf("the volatile function %s", format_procedure(function));
  }
  return static_cast<Search *>(context)->found != nullptr;
}

// The first setting or volatile function that is asked for each row.
bool find_per_row(Node *node, void *context) {
  if (node == nullptr) return false;
  check_stack_depth();
  if (IsA(node, SubLink) && is_computed_once(reinterpret_cast<SubLink *>(node))) return false;
  if (check_functions_in_node(node, names_per_row_function, context)) return true;
  if (IsA(node, Query))
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(find_per_row), context, 0);
  return expression_tree_walker(node, compat::tree_walker(find_per_row), context);
}

// attribute::text = tenant and the like: it confines, but no index serves it.
bool is_cast_condition(const Node *node, AttrNumber attribute) {
  if (!IsA(node, OpExpr) || !is_tenant_condition(reinterpret_cast<const OpExpr *>(node), attribute)) return false;
  const ListCell *cell;
  foreach (cell, reinterpret_cast<const OpExpr *>(node)->args) {
    const Node *side = static_cast<const Node *>(lfirst(cell));
    if (is_attribute(side, attribute) && !IsA(strip_relabel(side), Var)) return true;
  }
  return false;
}

// Whether a condition says in AND that the bare attribute is the tenant, so that an index may serve whatever else it
// says.
bool has_plain_condition(Node *expression, AttrNumber attribute) {
  const ListCell *cell;
  foreach (cell, conjuncts(expression)) {
    const Node *part = static_cast<const Node *>(lfirst(cell));
    if (IsA(part, OpExpr) && is_tenant_condition(reinterpret_cast<const OpExpr *>(part), attribute) &&
        !is_cast_condition(part, attribute))
      return true;
  }
  return false;
}

// The first part of an expression, below AND, OR and NOT, that fits; nullptr: none does.
template <typename Fits>
const Node *find_part(const Node *expression, const Fits &fits) {
  check_stack_depth();
  if (expression == nullptr) return nullptr;
  if (!IsA(expression, BoolExpr)) return fits(expression) ? expression : nullptr;
  const ListCell *cell;
  foreach (cell, reinterpret_cast<const BoolExpr *>(expression)->args) {
    const Node *found = find_part(static_cast<const Node *>(lfirst(cell)), fits);
    if (found != nullptr) return found;
  }
  return nullptr;
}

// EXISTS (SELECT … FROM m WHERE m.group = column AND m.user = (the user of the context)).
struct MembershipLookup {
  Oid relid;
  AttrNumber user_column;
  AttrNumber group_column;
  AttrNumber outer_column;
};

// Whether an expression is the user of the context, or a setting that could hold one.
bool is_user(const Node *node) {
  node = strip_relabel(node);
  while (node != nullptr && IsA(node, CoerceViaIO))
    node = reinterpret_cast<const Node *>(reinterpret_cast<const CoerceViaIO *>(node)->arg);
  if (node == nullptr) return false;
  if (is_setting_call(node)) return true;
  if (IsA(node, SubLink)) {
    const SubLink *link = reinterpret_cast<const SubLink *>(node);
    const Query *query = castNode(Query, link->subselect);
    return link->subLinkType == EXPR_SUBLINK && query->rtable == NIL && list_length(query->targetList) == 1 &&
           is_user(reinterpret_cast<const Node *>(linitial_node(TargetEntry, query->targetList)->expr));
  }
  if (!IsA(node, FuncExpr)) return false;
  const SettingFunctions *functions = setting_functions(Setting::user);
  for (int i = 0; i < id_type_count; i++) {
    const Oid function = reinterpret_cast<const FuncExpr *>(node)->funcid;
    if (OidIsValid(function) && (function == functions->getter[i] || function == functions->fast[i])) return true;
  }
  return false;
}

bool read_membership_lookup(const Node *node, MembershipLookup *lookup) {
  Join join;
  if (!IsA(node, SubLink) || reinterpret_cast<const SubLink *>(node)->subLinkType != EXISTS_SUBLINK ||
      !read_join(node, &join) || list_length(join.own) != 1 || list_length(join.query->rtable) != 1) {
    return false;
  }
  const Var *group = linitial_node(Var, join.own);
  const RangeTblEntry *entry = rt_fetch(group->varno, join.query->rtable);
  if (entry->rtekind != RTE_RELATION) return false;
  *lookup = {entry->relid, InvalidAttrNumber, group->varattno, linitial_node(Var, join.outer)->varattno};
  const ListCell *cell;
  foreach (cell, conjuncts(join.query->jointree->quals)) {
    const Node *part = static_cast<const Node *>(lfirst(cell));
    if (!IsA(part, OpExpr) || !is_equality(reinterpret_cast<const OpExpr *>(part))) continue;
    const Node *left = strip_relabel(static_cast<const Node *>(linitial(reinterpret_cast<const OpExpr *>(part)->args)));
    const Node *right = strip_relabel(static_cast<const Node *>(lsecond(reinterpret_cast<const OpExpr *>(part)->args)));
    if (IsA(right, Var)) {
      const Node *other = left;
      left = right;
      right = other;
    }
    if (IsA(left, Var) && reinterpret_cast<const Var *>(left)->varlevelsup == 0 && is_user(right))
      lookup->user_column = reinterpret_cast<const Var *>(left)->varattno;
  }
  return lookup->user_column != InvalidAttrNumber;
}

void add(List **faults, const char *rule, const char *detail, const char *remedy) {
  Fault *fault = static_cast<Fault *>(palloc(sizeof(Fault)));
  *fault = {rule, detail, remedy};
  *faults = lappend(*faults, fault);
}

// "current_tenant_uuid" and so on, by the type of the column.
const char *getter_for(Oid relid, AttrNumber attribute) {
  const std::optional<IdType> type = id_type_of(getBaseType(get_atttype(relid, attribute)));
  return psprintf("current_tenant_%s()", id_type_name(type.value_or(IdType::bigint)));
}

// What a policy shall say instead, where the part in question is all that it says; else the advice. No name stands in a
// comment: whoever named it could end the comment.
const char *instead(const Tenancy &table, const Policy *policy, const Node *part, const char *condition,
                    const char *advice) {
  const bool whole = (policy->qual == nullptr || equal(policy->qual, part)) &&
                     (policy->check == nullptr || equal(policy->check, part));
  if (!whole) return advice;
  return psprintf("ALTER POLICY %s ON %s%s%s;", quote_identifier(policy->name), relation_name(table.relid),
                  policy->qual != nullptr ? psprintf(" USING (%s)", condition) : "",
                  policy->check != nullptr ? psprintf(" WITH CHECK (%s)", condition) : "");
}

void judge_expression(List **faults, const Tenancy &table, const Policy *policy, const Node *expression) {
  if (expression == nullptr) return;
  Search search = {nullptr};
  if (find_per_row(const_cast<Node *>(expression), &search)) {
    add(faults, "per_row_setting", psprintf("policy \"%s\" asks %s for each row", policy->name, search.found),
        "/* read the context by rls_tenant.current_tenant_uuid() and its kin, and anything else as (SELECT …) */");
  }
  const Node *cast = find_part(expression, [&](const Node *part) {
    return table.attribute != InvalidAttrNumber && is_cast_condition(part, table.attribute) &&
           !has_plain_condition(const_cast<Node *>(expression), table.attribute);
  });
  if (cast != nullptr) {
    const char *column = quote_identifier(get_attname(table.relid, table.attribute, false));
    add(faults, "cast_column", psprintf("policy \"%s\" casts %s, so that no index serves it", policy->name, column),
        instead(table, policy, cast, psprintf("%s = rls_tenant.%s", column, getter_for(table.relid, table.attribute)),
                "/* compare the column itself in that policy */"));
  }
  MembershipLookup lookup;
  const Node *looks_up = find_part(expression, [&](const Node *part) { return read_membership_lookup(part, &lookup); });
  if (looks_up != nullptr) {
    const char *name = get_rel_name(lookup.relid);
    const char *outer = quote_identifier(get_attname(table.relid, lookup.outer_column, false));
    const char *policy_says = instead(
        table, policy, looks_up, psprintf("rls_tenant.is_member(%s, %s)", outer, quote_literal_cstr(name)), nullptr);
    const char *remedy =
        "/* make that table a source by add_membership(), and ask is_member() in the policy instead */";
    if (policy_says != nullptr) {
      remedy = psprintf("SELECT rls_tenant.add_membership(%s, %s, %s, %s); %s", quote_literal_cstr(name),
                        quote_literal_cstr(relation_name(lookup.relid)),
                        quote_literal_cstr(get_attname(lookup.relid, lookup.user_column, false)),
                        quote_literal_cstr(get_attname(lookup.relid, lookup.group_column, false)), policy_says);
    }
    add(faults, "subquery_per_row",
        psprintf("policy \"%s\" looks into %s for each row", policy->name, relation_name(lookup.relid)), remedy);
  }
}

// What backs a table that belongs to tenants through another: its one policy, said again; else the advice.
const char *floor_like(const Tenancy &table, uint32 needed) {
  const char *advice = "/* write a RESTRICTIVE policy TO PUBLIC that says the same */";
  const Policy *only =
      list_length(table.policies) == 1 ? static_cast<const Policy *>(linitial(table.policies)) : nullptr;
  if (only == nullptr || only->qual == nullptr || only->check != nullptr || needed != all_commands ||
      strcmp(only->name, "tenant_isolation") == 0)
    return advice;
  Relation relation = try_relation_open(table.relid, AccessShareLock);
  if (relation == nullptr) return advice;
  const char *condition = deparse_condition(relation, only->qual);
  relation_close(relation, AccessShareLock);
  return psprintf("CREATE POLICY tenant_isolation ON %s AS RESTRICTIVE USING (%s);", relation_name(table.relid),
                  condition);
}

// Permissive policies that each confine, without a RESTRICTIVE one behind them: the next policy opens the table.
void judge_floor(List **faults, const Tenancy &table) {
  const uint32 floor = floor_commands(table.policies, table.attribute, true);
  uint32 needed = 0;
  const ListCell *cell;
  foreach (cell, table.policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (!policy->permissive) continue;
    const uint32 bare = policy->commands & ~floor;
    if ((bare & ~confined_commands(policy, table.attribute)) != 0)
      return;  // which is worse, and table_faults() says so
    needed |= bare;
  }
  if (needed == 0) return;
  add(faults, "no_floor", psprintf("no RESTRICTIVE policy FOR %s backs its permissive ones", command_words(needed)),
      table.attribute != InvalidAttrNumber ? protect_call(table.relid, table.attribute) : floor_like(table, needed));
}

// Rows that every tenant may read are no fault, but somebody should know of them.
void tell_public_rows(List **faults, const Tenancy &table) {
  Node *condition = public_condition(table.policies, table.attribute);
  Relation relation = condition != nullptr ? try_relation_open(table.relid, AccessShareLock) : nullptr;
  if (relation == nullptr) return;
  add(faults, "public_rows", psprintf("every tenant may read rows where %s", deparse_condition(relation, condition)),
      protect_call(table.relid, table.attribute, ", public_read => ''"));
  relation_close(relation, AccessShareLock);
}

}  // namespace

bool matches_missing_context(const Node *open) { return makes_something_of_null(const_cast<Node *>(open), nullptr); }

List *policy_faults(const Tenancy &table) {
  List *faults = NIL;
  if (has_confining_policy(table) && !OidIsValid(table.ancestor)) judge_floor(&faults, table);
  if (table.relation.row_security) tell_public_rows(&faults, table);
  const ListCell *cell;
  foreach (cell, table.policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    const int before = list_length(faults);
    judge_expression(&faults, table, policy, policy->qual);
    if (list_length(faults) == before) judge_expression(&faults, table, policy, policy->check);
  }
  return faults;
}

}  // namespace rls_tenant
