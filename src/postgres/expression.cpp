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

}  // namespace

List *relations_in(Node *tree) {
  List *relations = NIL;
  collect_relations(tree, &relations);
  return relations;
}

}  // namespace rls_tenant
