// The RESTRICTIVE policies that hold every role to its tenant: tenant_isolation or, on a table with public rows, four.

#include "guard/protection.hpp"
#include "policy/confinement.hpp"
#include "policy/public_rows.hpp"

namespace rls_tenant {

namespace {

// Whether a RESTRICTIVE policy says nothing but that one column is the tenant's (or, FOR SELECT, that or that the row
// is public), so that protect() may write it again.
bool is_plain_floor(const Protection *protection, const Policy *policy, const Floor &floor) {
  const Node *says = policy->qual != nullptr ? policy->qual : policy->check;
  if (policy->permissive || says == nullptr || IsA(says, Const)) return false;
  if (policy->check != nullptr && !equal(policy->check, says)) return false;
  if (policy->commands != floor.commands && floor.commands != all_commands) return false;
  const AttrNumber last = protection->tenancy->relation.attributes;
  const bool of_public = floor.commands == command_select;
  for (AttrNumber attribute = 1; attribute <= last; attribute++) {
    if (of_public && public_rows_of_floor(policy, attribute) != nullptr) return true;
    if (!of_public && !IsA(says, BoolExpr) && confines(says, attribute)) return true;
  }
  return false;
}

// Whether a confining policy asks for the context's tenant or for memberships as is wanted.
bool is_of_form(const Protection *protection, const Policy *policy) {
  const char *membership = membership_of(policy, protection->attribute);
  if (protection->membership == nullptr || membership == nullptr) return protection->membership == membership;
  return strcmp(protection->membership, membership) == 0;
}

// Whether a policy of a floor's name is as it shall be.
bool is_as_wanted(const Protection *protection, const Policy *policy, const Floor &floor, const char *condition) {
  if (policy->permissive || !policy->to_public || policy->commands != floor.commands) return false;
  if (floor.commands == command_select) return reads_as(protection, policy->qual, condition);
  return confined_commands(policy, protection->attribute) == floor.commands && is_of_form(protection, policy);
}

// Gives a policy that is to go another name, which is free.
const char *set_aside(Protection *protection, const char *name) {
  const char *other = psprintf("%s_before", name);
  while (present_policy(protection, other) != nullptr) other = psprintf("%s_", other);
  add_statement(protection,
                psprintf("ALTER POLICY %s ON %s RENAME TO %s", name, protection->name, quote_identifier(other)));
  return other;
}

// A RESTRICTIVE policy, made or written again. It is altered in its place, or goes after the new one is there, so that
// it holds in between.
void require_floor(Protection *protection, const Floor &floor) {
  const bool of_public = floor.commands == command_select;
  const char *condition =
      of_public ? psprintf("(%s) OR (%s)", protection->public_read, protection->condition) : protection->condition;
  const Policy *policy = present_policy(protection, floor.name);
  if (policy != nullptr && is_as_wanted(protection, policy, floor, condition)) return;
  if (policy != nullptr && !is_plain_floor(protection, policy, floor)) refuse_foreign_policy(protection, policy);
  StringInfoData statement;
  initStringInfo(&statement);
  const char *narrower = nullptr;
  if (policy != nullptr && policy->commands == floor.commands) {
    appendStringInfo(&statement, "ALTER POLICY %s ON %s%s", floor.name, protection->name,
                     policy->to_public ? "" : " TO PUBLIC");
  } else {
    if (policy != nullptr) narrower = set_aside(protection, floor.name);
    appendStringInfo(&statement, "CREATE POLICY %s ON %s AS RESTRICTIVE", floor.name, protection->name);
    if (floor.commands != all_commands) appendStringInfo(&statement, " FOR %s", command_words(floor.commands));
    policy = nullptr;
  }
  if (floor.commands != command_insert) appendStringInfo(&statement, " USING (%s)", condition);
  if (floor.commands == command_insert || (policy != nullptr && policy->check != nullptr))
    appendStringInfo(&statement, " WITH CHECK (%s)", condition);
  add_statement(protection, statement.data);
  if (narrower != nullptr)
    add_statement(protection, psprintf("DROP POLICY %s ON %s", quote_identifier(narrower), protection->name));
}

// Takes a RESTRICTIVE policy of the form that the table leaves.
void drop_floor(Protection *protection, const Floor &floor) {
  const Policy *policy = present_policy(protection, floor.name);
  if (policy != nullptr && !is_plain_floor(protection, policy, floor)) refuse_foreign_policy(protection, policy);
  drop_policy(protection, floor.name);
}

}  // namespace

void protect_isolation(Protection *protection) {
  if (protection->public_read == nullptr) {
    require_floor(protection, whole_floor);
    if (!protection->says_public) return;
    for (const Floor &floor : public_floors) drop_floor(protection, floor);
  } else {
    for (const Floor &floor : public_floors) require_floor(protection, floor);
    drop_floor(protection, whole_floor);
  }
}

}  // namespace rls_tenant
