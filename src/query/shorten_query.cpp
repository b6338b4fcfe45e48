// Planning what policies have put into a query is most of what they cost, so before that it is made as short as it can
// be: a check that is made already, or that nothing can fail, goes; a context function becomes the fast call, or the
// value itself in a plan that is run once and thrown away.

#include "query/shorten_query.hpp"

#include "context/own_functions.hpp"
#include "query/plan_constant.hpp"

namespace rls_tenant {

namespace {

// --- Checks

// Whether a check before this one asks the same of the same rows, and got the same answer. steady: expressions that
// are known to give the same answer twice.
bool is_repeated(const List *checks, const WithCheckOption *check, List **steady) {
  const ListCell *cell;
  foreach (cell, checks) {
    const WithCheckOption *before = lfirst_node(WithCheckOption, cell);
    if (before == check) return false;
    if (before->kind != check->kind || strcmp(before->relname, check->relname) != 0 ||
        !equal(before->qual, check->qual)) {
      continue;
    }
    if (list_member_ptr(*steady, before->qual)) return true;
    if (contain_volatile_functions(before->qual)) return false;
    *steady = lappend(*steady, before->qual);
    return true;
  }
  return false;
}

// Whether an UPDATE leaves the columns that an expression reads as they were: no assignment, no trigger and no
// generated column changes them. Of a table with partitions or children, whose triggers differ, nothing is known.
bool leaves_columns(const Query *query, const List *assigned, Node *expression) {
  const RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
  if (target->rtekind != RTE_RELATION || target->relkind != RELKIND_RELATION) return false;
  if (target->inh && has_subclass(target->relid)) return false;
  Bitmapset *columns = nullptr;
  pull_varattnos(expression, query->resultRelation, &columns);
  const Relation relation = table_open(target->relid, NoLock);
  bool left = relation->trigdesc == nullptr || !relation->trigdesc->trig_update_before_row;
  for (int member = -1; left && (member = bms_next_member(columns, member)) >= 0;) {
    const AttrNumber attribute = static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber);
    left = attribute > 0 && TupleDescAttr(RelationGetDescr(relation), attribute - 1)->attgenerated == '\0';
    const ListCell *cell;
    foreach (cell, assigned) {
      if (lfirst_node(TargetEntry, cell)->resno == attribute) left = false;
    }
  }
  table_close(relation, NoLock);
  return left;
}

// Whether a check of a new version of a row asks what its old version has met, of columns that stay as they were: then
// nothing can fail it. An UPDATE finds only rows that meet the table's conditions, ON CONFLICT DO UPDATE checks them.
bool is_met_already(const Query *query, const WithCheckOption *check) {
  if (check->kind != WCO_RLS_UPDATE_CHECK) return false;
  bool met = false;
  const List *assigned = query->targetList;
  if (query->commandType == CMD_UPDATE) {
    met = list_member(rt_fetch(query->resultRelation, query->rtable)->securityQuals, check->qual);
  } else if (query->commandType == CMD_INSERT && query->onConflict != nullptr) {
    assigned = query->onConflict->onConflictSet;
    const ListCell *cell;
    foreach (cell, query->withCheckOptions) {
      const WithCheckOption *other = lfirst_node(WithCheckOption, cell);
      if (other->kind == WCO_RLS_CONFLICT_CHECK && equal(other->qual, check->qual)) met = true;
    }
  }
  return met && !checkExprHasSubLink(check->qual) && !contain_volatile_functions(check->qual) &&
         leaves_columns(query, assigned, check->qual);
}

// Takes out what policies say without need: with_tenant_isolation() alone, which is always true, and checks that are
// made already, as those of tenant_isolation are where tenant_access says the same.
void drop_needless(Query *query) {
  ListCell *cell, *inner;
  List *steady = NIL;
  foreach (cell, query->rtable) {
    RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
    foreach (inner, entry->securityQuals) {
      if (!is_tenant_isolation_call(static_cast<const Node *>(lfirst(inner)))) continue;
      entry->securityQuals = foreach_delete_current(entry->securityQuals, inner);
    }
  }
  foreach (cell, query->withCheckOptions) {
    const WithCheckOption *check = lfirst_node(WithCheckOption, cell);
    if (!is_tenant_isolation_call(check->qual) && !is_repeated(query->withCheckOptions, check, &steady)) continue;
    query->withCheckOptions = foreach_delete_current(query->withCheckOptions, cell);
  }
  foreach (cell, query->withCheckOptions) {
    if (!is_met_already(query, lfirst_node(WithCheckOption, cell))) continue;
    query->withCheckOptions = foreach_delete_current(query->withCheckOptions, cell);
  }
}

// --- Context functions

// What a query is prepared for.
struct Preparation {
  Lifetime lifetime;
  bool wants_values;  // also where no operator compares with the call: those the support function gives
  List **marks;       // of the values that have been put into it
};

// Puts fast calls in the place of calls whose argument was left out, and values where operators compare with them.
bool shorten_calls(Node *node, void *argument) {
  Preparation *preparation = static_cast<Preparation *>(argument);
  if (node == nullptr) return false;
  if (IsA(node, OpExpr) && preparation->lifetime != Lifetime::kept) {
    ListCell *cell;
    foreach (cell, reinterpret_cast<OpExpr *>(node)->args) {
      Node *value = context_constant(static_cast<Node *>(lfirst(cell)), preparation->lifetime, preparation->marks);
      if (value != nullptr) lfirst(cell) = value;
    }
  }
  if (IsA(node, FuncExpr) && !preparation->wants_values) {
    FuncExpr *call = reinterpret_cast<FuncExpr *>(node);
    const Oid fast = fast_function(call);
    if (OidIsValid(fast)) call->funcid = fast;
  }
  return expression_tree_walker(node, compat::tree_walker(shorten_calls), argument);
}

// Policies and defaults call what reads the context without its argument, whose default PostgreSQL would read from the
// catalog each time, before the support function is asked.
void shorten_conditions(Query *query, Preparation *preparation) {
  const ListCell *cell;
  foreach (cell, query->rtable) {
    const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
    if (entry->securityQuals != NIL) shorten_calls(reinterpret_cast<Node *>(entry->securityQuals), preparation);
  }
  foreach (cell, query->withCheckOptions) shorten_calls(lfirst_node(WithCheckOption, cell)->qual, preparation);
  if (query->commandType == CMD_INSERT) shorten_calls(reinterpret_cast<Node *>(query->targetList), preparation);
}

void prepare_queries_of(Query *query, Preparation *preparation);
bool prepare_queries_within(Node *node, void *preparation);

// Prepares a query and, where policies have put something into them, those within it. In a plan that wants values the
// support function must find the calls that are left as PostgreSQL made them, and all of them if the plan is kept.
void prepare_query(Query *query, Preparation *preparation) {
  const bool outside = preparation->wants_values;
  drop_needless(query);
  preparation->wants_values |= reads_for_constant(query);
  if (!preparation->wants_values || preparation->lifetime != Lifetime::kept) shorten_conditions(query, preparation);
  if (query->hasRowSecurity) prepare_queries_of(query, preparation);
  preparation->wants_values = outside;
}

// Prepares the queries within a query.
void prepare_queries_of(Query *query, Preparation *preparation) {
  const ListCell *cell;
  foreach (cell, query->rtable) {
    const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind == RTE_SUBQUERY) prepare_query(entry->subquery, preparation);
  }
  foreach (cell, query->cteList) {
    prepare_query(castNode(Query, lfirst_node(CommonTableExpr, cell)->ctequery), preparation);
  }
  if (query->hasSubLinks) {
    query_tree_walker(query, compat::tree_walker(prepare_queries_within), preparation,
                      QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES);
  }
}

bool prepare_queries_within(Node *node, void *preparation) {
  if (node == nullptr) return false;
  if (IsA(node, Query)) {
    prepare_query(reinterpret_cast<Query *>(node), static_cast<Preparation *>(preparation));
    return false;
  }
  return expression_tree_walker(node, compat::tree_walker(prepare_queries_within), preparation);
}

}  // namespace

void shorten_query(Query *query, Lifetime lifetime, List **marks) {
  if (!query->hasRowSecurity && query->commandType != CMD_INSERT) return;
  Preparation preparation = {lifetime, false, marks};
  prepare_query(query, &preparation);
}

}  // namespace rls_tenant
