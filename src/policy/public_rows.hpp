// Public read, members write: a tenant table of which every tenant may read the rows that meet a condition, and only
// their own tenant writes them.
//
// The floor of such a table is said by four RESTRICTIVE policies instead of tenant_isolation. That for SELECT reads
// (condition AND context IS NOT NULL) OR tenant condition, and tenant_public admits the same rows by its first half. A
// reader without a context is told so as on any other table: no index on the condition can answer for it.
#pragma once

#include "context/context.hpp"
#include "policy/policy.hpp"

namespace rls_tenant {

// A RESTRICTIVE policy that protect() makes.
struct Floor {
  const char *name;
  uint32 commands;
};
constexpr Floor whole_floor = {"tenant_isolation", all_commands};
constexpr Floor public_floors[] = {{"tenant_isolation_select", command_select},
                                   {"tenant_isolation_insert", command_insert},
                                   {"tenant_isolation_update", command_update},
                                   {"tenant_isolation_delete", command_delete}};

// The PERMISSIVE policy that admits the public rows.
constexpr char public_name[] = "tenant_public";

// Why a condition cannot say which rows are public: it does not speak of the row alone. nullptr: it can.
const char *public_condition_problem(Node *condition);

// What is public by (condition AND context IS NOT NULL), and the setting that it asks for; nullptr: it is none.
Node *public_rows_of(const Node *expression, Setting *setting);

// What is public by the floor for SELECT, if the policy is one by that tenant attribute; nullptr: it is none.
Node *public_rows_of_floor(const Policy *policy, AttrNumber attribute);

// The condition under which rows of a table with these policies are public, on purpose: all parts of the form are
// there. nullptr: they are not, or the table has no such rows.
Node *public_condition(List *policies, AttrNumber attribute);

// The commands for which RESTRICTIVE policies hold every role, or only some, to the tenant; FOR SELECT every role to
// the tenant and to public rows.
uint32 floor_commands(List *policies, AttrNumber attribute, bool to_public);

}  // namespace rls_tenant
