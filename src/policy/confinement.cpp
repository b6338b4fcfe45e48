// Judging the expressions of policies. What is not understood does not confine.

#include "policy/confinement.hpp"

#include "context/own_functions.hpp"
#include "policy/expression.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

bool has_column(List *vars, Index varno, AttrNumber attribute) {
  const ListCell *cell;
  foreach (cell, vars) {
    const Var *var = lfirst_node(Var, cell);
    if (static_cast<Index>(var->varno) == varno && var->varattno == attribute) return true;
  }
  return false;
}

// Whether what a join asks for makes the outer attribute equal to the tenant.
bool join_confines_attribute(const Join *join, AttrNumber attribute) {
  if (has_column(join->outer_tenant, 1, attribute)) return true;
  const ListCell *own, *outer;
  forboth(own, join->own, outer, join->outer) {
    const Var *var = lfirst_node(Var, own);
    if (lfirst_node(Var, outer)->varattno == attribute && has_column(join->own_tenant, var->varno, var->varattno))
      return true;
  }
  return false;
}

// Whether the attribute is what the policies of a relation under row-level security confine it by.
bool is_tenant_key(Oid relid, AttrNumber attribute) {
  if (!relation_row(relid).row_security) return false;
  const ListCell *cell;
  foreach (cell, relation_policies(relid)) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (says_tenant(policy, attribute)) return true;
  }
  return false;
}

// What inherits from a table may hold its keys once more.
bool has_inheritors(const RangeTblEntry *entry) {
  return entry->inh && entry->relkind == RELKIND_RELATION && relation_row(entry->relid).has_children;
}

// The relation by whose row a join gives the outer row its tenant, as its index in the join's query; 0: it gives none.
// That there is but one such row is for a foreign key to say, by which no_foreign_key goes.
Index tenant_relation(const Join *join) {
  const ListCell *cell, *own;
  foreach (cell, join->own_tenant) {
    const Var *var = lfirst_node(Var, cell);
    const RangeTblEntry *entry = rt_fetch(var->varno, join->query->rtable);
    if (entry->rtekind != RTE_RELATION || has_inheritors(entry) || !is_tenant_key(entry->relid, var->varattno))
      continue;
    foreach (own, join->own) {
      if (lfirst_node(Var, own)->varno == var->varno) return static_cast<Index>(var->varno);
    }
  }
  return 0;
}

bool join_gives_tenant(const Join *join) { return tenant_relation(join) != 0; }

// Whether a condition that is not AND, OR or NOT can only be true for rows of the tenant.
bool leaf_confines(const Node *expression, AttrNumber attribute) {
  Join join;
  if (read_join(expression, &join))
    return attribute != InvalidAttrNumber ? join_confines_attribute(&join, attribute) : join_gives_tenant(&join);
  if (attribute == InvalidAttrNumber) return false;
  if (IsA(expression, OpExpr)) return is_tenant_condition(reinterpret_cast<const OpExpr *>(expression), attribute);
  return source_of_condition(expression, attribute) != nullptr;
}

// Whether some part of an expression, below AND and OR, confines by the attribute.
bool has_confining_leaf(const Node *expression, AttrNumber attribute) {
  check_stack_depth();
  if (expression == nullptr) return false;
  if (!IsA(expression, BoolExpr)) return leaf_confines(expression, attribute);
  const BoolExpr *boolean = reinterpret_cast<const BoolExpr *>(expression);
  const ListCell *cell;
  foreach (cell, boolean->boolop == NOT_EXPR ? NIL : boolean->args) {
    if (has_confining_leaf(static_cast<const Node *>(lfirst(cell)), attribute)) return true;
  }
  return false;
}

}  // namespace

bool is_true(const Node *expression) {
  if (expression != nullptr && IsA(expression, BoolExpr)) {
    const BoolExpr *boolean = reinterpret_cast<const BoolExpr *>(expression);
    if (boolean->boolop == NOT_EXPR) return false;
    const bool any = boolean->boolop == OR_EXPR;
    const ListCell *cell;
    foreach (cell, boolean->args) {
      if (is_true(static_cast<const Node *>(lfirst(cell))) == any) return any;
    }
    return !any;
  }
  return expression != nullptr && IsA(expression, Const) && !reinterpret_cast<const Const *>(expression)->constisnull &&
         DatumGetBool(reinterpret_cast<const Const *>(expression)->constvalue);
}

bool confines(const Node *expression, AttrNumber attribute) {
  check_stack_depth();
  if (expression == nullptr) return false;
  if (IsA(expression, Const)) return !is_true(expression);  // false or NULL lets no row through
  if (!IsA(expression, BoolExpr)) return leaf_confines(expression, attribute);
  const BoolExpr *boolean = reinterpret_cast<const BoolExpr *>(expression);
  if (boolean->boolop == NOT_EXPR) return false;
  const bool any = boolean->boolop == AND_EXPR;  // one confined branch of AND is enough, OR needs them all
  const ListCell *cell;
  foreach (cell, boolean->args) {
    if (confines(static_cast<const Node *>(lfirst(cell)), attribute) == any) return any;
  }
  return !any;
}

bool says_tenant(const Policy *policy, AttrNumber attribute) {
  return (has_confining_leaf(policy->qual, attribute) && confines(policy->qual, attribute)) ||
         (has_confining_leaf(policy->check, attribute) && confines(policy->check, attribute));
}

namespace {

void add_lookups(List **lookups, const Node *expression) {
  check_stack_depth();
  if (expression == nullptr) return;
  Join join;
  if (IsA(expression, BoolExpr)) {
    const ListCell *cell;
    foreach (cell, reinterpret_cast<const BoolExpr *>(expression)->args)
      add_lookups(lookups, static_cast<const Node *>(lfirst(cell)));
  } else if (read_join(expression, &join) && join_gives_tenant(&join)) {
    const Index varno = tenant_relation(&join);
    Lookup *lookup = static_cast<Lookup *>(palloc0(sizeof(Lookup)));
    lookup->relid = rt_fetch(varno, join.query->rtable)->relid;
    const ListCell *own, *outer;
    forboth(own, join.own, outer, join.outer) {
      if (static_cast<Index>(lfirst_node(Var, own)->varno) != varno) continue;
      lookup->theirs = lappend_int(lookup->theirs, lfirst_node(Var, own)->varattno);
      lookup->ours = lappend_int(lookup->ours, lfirst_node(Var, outer)->varattno);
    }
    *lookups = lappend(*lookups, lookup);
  }
}

}  // namespace

List *tenant_lookups(List *policies) {
  List *lookups = NIL;
  const ListCell *cell;
  foreach (cell, policies) {
    add_lookups(&lookups, static_cast<const Policy *>(lfirst(cell))->qual);
    add_lookups(&lookups, static_cast<const Policy *>(lfirst(cell))->check);
  }
  return lookups;
}

const Node *open_branch(const Node *expression, AttrNumber attribute) {
  if (confines(expression, attribute)) return nullptr;
  if (expression == nullptr || !IsA(expression, BoolExpr)) return expression;
  const BoolExpr *boolean = reinterpret_cast<const BoolExpr *>(expression);
  const ListCell *cell;
  foreach (cell, boolean->boolop == OR_EXPR ? boolean->args : NIL) {
    const Node *open = open_branch(static_cast<const Node *>(lfirst(cell)), attribute);
    if (open != nullptr) return open;
  }
  return expression;
}

const char *membership_of(const Policy *policy, AttrNumber attribute) {
  const ListCell *cell;
  foreach (cell, conjuncts(policy->qual != nullptr ? policy->qual : policy->check)) {
    const char *source = source_of_condition(static_cast<const Node *>(lfirst(cell)), attribute);
    if (source != nullptr) return source;
  }
  return nullptr;
}

bool relies_on_tenant_isolation(Node *expression) {
  const ListCell *cell;
  foreach (cell, conjuncts(expression)) {
    if (is_tenant_isolation_call(static_cast<const Node *>(lfirst(cell)))) return true;
  }
  return false;
}

bool says_condition(Node *expression, AttrNumber attribute, const char *membership) {
  const ListCell *cell;
  foreach (cell, conjuncts(expression)) {
    const Node *part = static_cast<const Node *>(lfirst(cell));
    const char *source = source_of_condition(part, attribute);
    if (membership == nullptr ? source == nullptr && !IsA(part, Const) && confines(part, attribute)
                              : source != nullptr && strcmp(source, membership) == 0) {
      return true;
    }
  }
  return false;
}

Node *without_form(Node *expression, AttrNumber attribute) {
  List *rest = NIL;
  const ListCell *cell;
  foreach (cell, conjuncts(expression)) {
    Node *part = static_cast<Node *>(lfirst(cell));
    if (is_tenant_isolation_call(part) || (IsA(part, OpExpr) && confines(part, attribute))) continue;
    rest = lappend(rest, part);
  }
  if (list_length(rest) == list_length(conjuncts(expression))) return expression;
  return rest == NIL ? makeBoolConst(true, false) : reinterpret_cast<Node *>(make_ands_explicit(rest));
}

uint32 confined_commands(const Policy *policy, AttrNumber attribute) {
  // A permissive policy without an expression lets nothing through; a restrictive one holds nothing back.
  const Node *check = policy->check != nullptr ? policy->check : policy->qual;
  const bool old_rows = policy->qual != nullptr ? confines(policy->qual, attribute) : policy->permissive;
  const bool new_rows = check != nullptr ? confines(check, attribute) : policy->permissive;
  uint32 result = 0;
  if (old_rows) result |= command_select | command_delete;
  if (new_rows) result |= command_insert;
  if (old_rows && new_rows) result |= command_update;
  return result & policy->commands;
}

bool is_always_true(const Policy *policy) { return is_true(policy->qual) || is_true(policy->check); }

}  // namespace rls_tenant
