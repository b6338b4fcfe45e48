// Does a policy confine rows to the tenant? Decided on the expression's tree, never on its text.
#pragma once

#include "policy/policy.hpp"

namespace rls_tenant {

// Whether the expression can only be true for rows whose attribute equals the tenant of the context. InvalidAttrNumber,
// for a relation without such an attribute: for rows that belong to a row of the tenant in another table.
bool confines(const Node *expression, AttrNumber attribute);

// Whether a policy confines rows by a condition on the attribute. (The constant false confines, too, and says nothing.)
bool says_tenant(const Policy *policy, AttrNumber attribute);

// How policies look up whose a row is, in a relation that does not say so itself: the row of a tenant table of which
// these attributes equal those at the same place here.
struct Lookup {
  Oid relid;
  List *theirs, *ours;  // attribute numbers
};
List *tenant_lookups(List *policies);

// The part of an expression that lets rows of other tenants through: a branch of OR, or all of it; nullptr: it
// confines.
const Node *open_branch(const Node *expression, AttrNumber attribute);

// The membership source by which a policy confines rows: is_member(attribute), alone or in AND; nullptr: none.
const char *membership_of(const Policy *policy, AttrNumber attribute);

// Whether a condition calls with_tenant_isolation(), alone or in AND.
bool relies_on_tenant_isolation(Node *expression);

// Whether a condition says, alone or in AND, what keeps rows to the tenant of the context or, if a source is given, to
// the user's tenants by that source.
bool says_condition(Node *expression, AttrNumber attribute, const char *membership);

// What is left of a condition without with_tenant_isolation() and without attribute = (the context's tenant): true if
// it says no more.
Node *without_form(Node *expression, AttrNumber attribute);

// Those of the policy's commands for which it confines the rows that it lets through.
uint32 confined_commands(const Policy *policy, AttrNumber attribute);

// Whether an expression is the constant true, or OR true.
bool is_true(const Node *expression);

// Whether USING or WITH CHECK is simply true.
bool is_always_true(const Policy *policy);

}  // namespace rls_tenant
