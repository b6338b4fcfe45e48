// Walks through trees, by PostgreSQL's own walkers.

#include "postgres/expression.hpp"

namespace rls_tenant {

namespace {

bool collect_relations(Node *node, void *relations) {
  if (node == nullptr) return false;
  check_stack_depth();
  if (IsA(node, RangeTblEntry)) {
    const RangeTblEntry *entry = reinterpret_cast<const RangeTblEntry *>(node);
    List **list = static_cast<List **>(relations);
    if (entry->rtekind == RTE_RELATION) *list = list_append_unique_oid(*list, entry->relid);
    return false;
  }
  if (IsA(node, Query)) {
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(collect_relations), relations,
                             QTW_EXAMINE_RTES_BEFORE);
  }
  return expression_tree_walker(node, compat::tree_walker(collect_relations), relations);
}

bool add_function(Oid function, void *functions) {
  List **list = static_cast<List **>(functions);
  *list = list_append_unique_oid(*list, function);
  return false;
}

bool collect_functions(Node *node, void *functions) {
  if (node == nullptr) return false;
  check_stack_depth();
  if (IsA(node, Query))
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(collect_functions), functions, 0);
  check_functions_in_node(node, add_function, functions);
  return expression_tree_walker(node, compat::tree_walker(collect_functions), functions);
}

}  // namespace

List *functions_in(Node *tree) {
  List *functions = NIL;
  collect_functions(tree, &functions);
  return functions;
}

List *relations_in(Node *tree) {
  List *relations = NIL;
  collect_relations(tree, &relations);
  return relations;
}

}  // namespace rls_tenant
