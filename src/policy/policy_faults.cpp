// What audit() says of policies that confine rows: that they cost more than they need, or that the next one may open
// the table.

#include "policy/policy_faults.hpp"

#include "context/own_functions.hpp"
#include "policy/confinement.hpp"
#include "policy/expression.hpp"
#include "policy/fault.hpp"
#include "policy/public_rows.hpp"
#include "policy/table_faults.hpp"
#include "postgres/condition.hpp"
#include "postgres/expression.hpp"

namespace rls_tenant {

namespace {

// Whether a sub-select is computed once for the whole query.
bool is_computed_once(const SubLink *link) {
  return (link->subLinkType == EXPR_SUBLINK || link->subLinkType == ARRAY_SUBLINK ||
          link->subLinkType == EXISTS_SUBLINK) &&
         !contain_vars_of_level(link->subselect, 1);
}

// found: const char **
bool is_called_per_row(Oid function, void *found) {
  const char **name = static_cast<const char **>(found);
  if (is_current_setting(function)) {
    *name = "current_setting()";
  } else if (func_volatile(function) == PROVOLATILE_VOLATILE) {
    *name = psprintf("the volatile function %s", format_procedure(function));
  }
  return *name != nullptr;
}

// The first setting or volatile function that is called for each row; found: const char **
bool find_per_row(Node *node, void *found) {
  if (node == nullptr) return false;
  check_stack_depth();
  if (IsA(node, SubLink) && is_computed_once(reinterpret_cast<SubLink *>(node))) return false;
  if (check_functions_in_node(node, is_called_per_row, found)) return true;
  if (IsA(node, Query))
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(find_per_row), found, 0);
  return expression_tree_walker(node, compat::tree_walker(find_per_row), found);
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
  if (is_current_setting_call(node)) return true;
  if (IsA(node, SubLink)) {
    const SubLink *link = reinterpret_cast<const SubLink *>(node);
    const Query *query = castNode(Query, link->subselect);
    return link->subLinkType == EXPR_SUBLINK && query->rtable == NIL && list_length(query->targetList) == 1 &&
           is_user(reinterpret_cast<const Node *>(linitial_node(TargetEntry, query->targetList)->expr));
  }
  Setting setting;
  IdType type;
  return IsA(node, FuncExpr) && is_getter(reinterpret_cast<const FuncExpr *>(node)->funcid, &setting, &type) &&
         setting == Setting::user;
}

// The column that is compared with the user of the context; InvalidAttrNumber: a condition compares none.
AttrNumber user_column_of(const Node *condition) {
  if (!IsA(condition, OpExpr) || !is_equality(reinterpret_cast<const OpExpr *>(condition))) return InvalidAttrNumber;
  const List *args = reinterpret_cast<const OpExpr *>(condition)->args;
  const Node *column = strip_relabel(static_cast<const Node *>(linitial(args)));
  const Node *user = strip_relabel(static_cast<const Node *>(lsecond(args)));
  if (IsA(user, Var)) {
    const Node *other = column;
    column = user;
    user = other;
  }
  const bool compares = IsA(column, Var) && reinterpret_cast<const Var *>(column)->varlevelsup == 0 && is_user(user);
  return compares ? reinterpret_cast<const Var *>(column)->varattno : InvalidAttrNumber;
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
    const AttrNumber column = user_column_of(static_cast<const Node *>(lfirst(cell)));
    if (column != InvalidAttrNumber) lookup->user_column = column;
  }
  return lookup->user_column != InvalidAttrNumber;
}

// "current_tenant_uuid()" and so on, by the type of the column.
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

// A setting or a volatile function that is called for each row.
void check_calls(List **faults, const Policy *policy, const Node *expression) {
  const char *found = nullptr;
  if (!find_per_row(const_cast<Node *>(expression), &found)) return;
  add_fault(
      faults, RT_RULE(per_row_setting), psprintf("policy \"%s\" calls %s for each row", policy->name, found),
      "/* read the context by rls_tenant.current_tenant_uuid() and the functions like it, and write anything else "
      "as (SELECT …) */");
}

// A condition on the tenant column that no index serves.
void check_cast(List **faults, const Tenancy &table, const Policy *policy, const Node *expression) {
  if (table.attribute == InvalidAttrNumber || has_plain_condition(const_cast<Node *>(expression), table.attribute))
    return;
  const Node *cast = find_part(expression, [&](const Node *part) { return is_cast_condition(part, table.attribute); });
  if (cast == nullptr) return;
  const char *column = quote_identifier(attribute_name(table.relid, table.attribute));
  const char *condition = psprintf("%s = rls_tenant.%s", column, getter_for(table.relid, table.attribute));
  add_fault(faults, RT_RULE(cast_column),
            psprintf("policy \"%s\" casts %s, so that no index serves it", policy->name, column),
            instead(table, policy, cast, condition, "/* compare the column itself in that policy */"));
}

// A membership table that is queried for each row.
void check_lookup(List **faults, const Tenancy &table, const Policy *policy, const Node *expression) {
  MembershipLookup lookup;
  const Node *part = find_part(expression, [&](const Node *node) { return read_membership_lookup(node, &lookup); });
  if (part == nullptr) return;
  const char *name = quote_literal_cstr(unqualified_name(lookup.relid));
  const char *outer = quote_identifier(attribute_name(table.relid, lookup.outer_column));
  const char *altered = instead(table, policy, part, psprintf("rls_tenant.is_member(%s, %s)", outer, name), nullptr);
  const char *remedy = "/* make that table a source by add_membership(), and ask is_member() in the policy instead */";
  if (altered != nullptr) {
    remedy = psprintf("SELECT rls_tenant.add_membership(%s, %s, %s, %s); %s", name,
                      quote_literal_cstr(relation_name(lookup.relid)),
                      quote_literal_cstr(attribute_name(lookup.relid, lookup.user_column)),
                      quote_literal_cstr(attribute_name(lookup.relid, lookup.group_column)), altered);
  }
  add_fault(faults, RT_RULE(subquery_per_row),
            psprintf("policy \"%s\" queries %s for each row", policy->name, relation_name(lookup.relid)), remedy);
}

void check_expression(List **faults, const Tenancy &table, const Policy *policy, const Node *expression) {
  if (expression == nullptr) return;
  check_calls(faults, policy, expression);
  check_cast(faults, table, policy, expression);
  check_lookup(faults, table, policy, expression);
}

// What backs a table that belongs to tenants through another: its one policy, said again; else the advice.
const char *floor_like(const Tenancy &table, uint32 needed) {
  const Policy *only =
      list_length(table.policies) == 1 ? static_cast<const Policy *>(linitial(table.policies)) : nullptr;
  const char *condition = nullptr;
  if (only != nullptr && only->check == nullptr && needed == all_commands && strcmp(only->name, whole_floor.name) != 0)
    condition = deparse_condition(table.relid, only->qual);
  if (condition == nullptr) return "/* write a RESTRICTIVE policy TO PUBLIC that says the same */";
  return psprintf("CREATE POLICY %s ON %s AS RESTRICTIVE USING (%s);", whole_floor.name, relation_name(table.relid),
                  condition);
}

// Permissive policies that each confine, without a RESTRICTIVE one behind them: the next policy opens the table.
void check_floor(List **faults, const Tenancy &table) {
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
  add_fault(
      faults, RT_RULE(no_floor),
      psprintf("no RESTRICTIVE policy FOR %s backs its permissive ones", command_words(needed)),
      table.attribute != InvalidAttrNumber ? protect_call(table.relid, table.attribute) : floor_like(table, needed));
}

// Rows that every tenant may read are not a fault, but somebody should know of them.
void note_public_rows(List **faults, const Tenancy &table) {
  const char *condition = deparse_condition(table.relid, public_condition(table.policies, table.attribute));
  if (condition == nullptr) return;
  add_fault(faults, RT_RULE(public_rows), psprintf("every tenant may read rows where %s", condition),
            protect_call(table.relid, table.attribute, ", public_read => ''"));
}

}  // namespace

List *policy_faults(const Tenancy &table) {
  List *faults = NIL;
  if (has_confining_policy(table) && !OidIsValid(table.ancestor)) check_floor(&faults, table);
  if (table.relation.row_security) note_public_rows(&faults, table);
  const ListCell *cell;
  foreach (cell, table.policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    const int before = list_length(faults);
    check_expression(&faults, table, policy, policy->qual);
    if (list_length(faults) == before) check_expression(&faults, table, policy, policy->check);
  }
  return faults;
}

}  // namespace rls_tenant
