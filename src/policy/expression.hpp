// What the parts of a policy's expression mean.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Whether an expression is the tenant of the context.
bool is_tenant(const Node *node);

// Whether an expression is that attribute of the policy's relation, also cast in a way that keeps values apart.
bool is_attribute(const Node *node, AttrNumber attribute);

// Whether an operator is PostgreSQL's own equality, and one that tells apart whatever differs in its bytes.
bool is_equality(const OpExpr *expression);

// attribute = (the tenant of the context), either way round.
bool is_tenant_condition(const OpExpr *expression, AttrNumber attribute);

// The expressions that a condition puts together by AND: itself, if it is not an AND.
List *conjuncts(Node *expression);

// The source that a condition is_member(column) or is_member(column, 'source') asks; nullptr if it is none.
const char *source_of(const Node *expression);
// The same, for the attribute of the policy's relation.
const char *source_of_condition(const Node *expression, AttrNumber attribute);

// What EXISTS (SELECT … FROM o WHERE …), or column IN (SELECT …), asks for, as far as it is understood: columns that
// are equal. "Own" are those of the relations that it reads, "outer" those of the policy's relation.
struct Join {
  const Query *query;
  List *own;           // Vars of its own, …
  List *outer;         // … and at the same place the outer Var that each must equal
  List *own_tenant;    // Vars of its own that must be the tenant
  List *outer_tenant;  // outer ones
};

// Reads EXISTS or IN; false if it is neither, or not understood.
bool read_join(const Node *expression, Join *join);

// PostgreSQL's current_setting(), which could read the context or anything else.
bool is_current_setting(Oid function);
bool is_current_setting_call(const Node *node);

// Whether a part of a policy lets rows through when there is no context.
bool matches_missing_context(const Node *open);

}  // namespace rls_tenant
