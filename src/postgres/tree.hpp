// Looking through the trees of expressions and queries.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// The OIDs of the relations that a tree names, sub-selects included, each once.
List *relations_in(Node *tree);

}  // namespace rls_tenant
