// Trees of expressions and queries.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// What a cast that changes no bits was applied to.
inline const Node *strip_relabel(const Node *node) {
  while (node != nullptr && IsA(node, RelabelType)) {
    node = reinterpret_cast<const Node *>(reinterpret_cast<const RelabelType *>(node)->arg);
  }
  return node;
}

// The OIDs of the relations that a tree of expressions or queries names, each once.
List *relations_in(Node *tree);

// Those of the functions that it calls, also by operators, casts and aggregates.
List *functions_in(Node *tree);

}  // namespace rls_tenant
