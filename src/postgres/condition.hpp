// A condition in SQL on the columns of one relation: read as a tree, printed with every name qualified.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Reads text as a condition on the relation's columns, as CREATE POLICY would; anything else is an error that speaks of
// `what` and gives the hint.
Node *parse_condition(Relation relation, const char *text, const char *what, const char *hint);

// An expression on the relation's columns as text whose every name is qualified.
const char *deparse_condition(Relation relation, Node *expression);
// The same; nullptr where there is no expression, or the relation is gone.
const char *deparse_condition(Oid relid, Node *expression);

}  // namespace rls_tenant
