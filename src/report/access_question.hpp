// What explain_access() is asked, and which conditions the policies put to a role's commands.
#pragma once

#include "policy/tenancy.hpp"
#include "policy/policy.hpp"

namespace rls_tenant {

// What is asked, and what does not depend on a row.
struct AccessQuestion {
  Relation relation;
  Oid role;
  const char *role_name;
  const Tenancy *tenancy;
  List *policies;           // those that apply to the role, by name
  const char *not_applied;  // why row-level security is not applied to the role; nullptr: it is
  const char *no_schema;    // why the role does not get to the table at all; nullptr: it does
};

// role_name: of the role that is asked about; nullptr: the caller.
AccessQuestion make_question(Relation relation, const char *role_name);

// A command, with the privilege that it needs.
struct CommandKind {
  Command command;
  const char *name;
  AclMode privilege;
};
constexpr CommandKind command_kinds[] = {{command_select, "SELECT", ACL_SELECT},
                                         {command_insert, "INSERT", ACL_INSERT},
                                         {command_update, "UPDATE", ACL_UPDATE},
                                         {command_delete, "DELETE", ACL_DELETE}};

// One expression of one policy.
struct PolicyTest {
  const char *policy;
  bool permissive;
  Node *expression;
};

// What a command asks of a row, old or new: every restrictive test and one permissive test.
struct TestGroup {
  const char *clause;  // USING, WITH CHECK, or the USING of SELECT for another command
  bool new_row;
  List *restrictive;  // PolicyTests, by name
  List *permissive;
};

// The TestGroups of a command. What would be asked twice is listed once.
List *groups_for(const AccessQuestion &question, const CommandKind &kind);

// Every restrictive test and one of the permissive ones, as one expression.
Node *combined(const TestGroup *group);

enum class Allowed { no, yes, depends };

// Why a command is refused to the role before any policy is asked, or allowed without; nullptr: policies decide.
const char *reason_without_policies(const AccessQuestion &question, const CommandKind &kind, Allowed *allowed);

// Why a group has no permissive test.
const char *no_policy_words(const AccessQuestion &question, const TestGroup *group);

// "permissive USING" and so on.
const char *kind_words(bool permissive, const char *clause);

// A condition on the relation in SQL, with the values of the context.
const char *condition_text(const AccessQuestion &question, Node *expression);

}  // namespace rls_tenant
