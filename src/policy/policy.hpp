// The policies of a relation, as pg_policy has them.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// The commands a policy can be for, one bit each.
enum Command : uint32 { command_select = 1, command_insert = 2, command_update = 4, command_delete = 8 };
constexpr uint32 all_commands = 15;

// "SELECT, INSERT" and so on.
const char *command_words(uint32 commands);

// One row of pg_policy.
struct Policy {
  const char *name;
  uint32 commands;
  bool permissive;
  List *roles;  // OIDs; that of PUBLIC is ACL_ID_PUBLIC
  bool to_public;
  Node *qual;   // USING; nullptr: none
  Node *check;  // WITH CHECK; nullptr: none
};

// The policies of a relation, by name; they exist whether or not row-level security is enabled.
List *relation_policies(Oid relid, Snapshot snapshot = nullptr);

// The policy of that name among them; nullptr: there is none.
const Policy *policy_named(const List *policies, const char *name);

// Whether a policy applies to a role.
bool applies_to_role(const Policy *policy, Oid role);

}  // namespace rls_tenant
