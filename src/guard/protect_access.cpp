// The PERMISSIVE policy tenant_access: who of a tenant sees which of its rows.

#include "context/own_functions.hpp"
#include "guard/protection.hpp"
#include "policy/confinement.hpp"
#include "postgres/condition.hpp"

namespace rls_tenant {

namespace {

constexpr char access_name[] = "tenant_access";

// Whether tenant_access repeats the tenant condition, so that each policy isolates by itself: Citus drops RESTRICTIVE
// ones. Elsewhere a second is_member() would be asked for every row, and the planner would take it for a second
// condition.
bool repeats_condition(const Protection *protection) {
  return protection->membership == nullptr || OidIsValid(get_extension_oid("citus", true));
}

// What tenant_access says beside the access: the tenant condition, or that it relies on tenant_isolation.
const char *access_condition(const Protection *protection) {
  return repeats_condition(protection) ? protection->condition
                                       : psprintf("%s.with_tenant_isolation()", extension_schema);
}

// Whether an expression of tenant_access says that.
bool has_access_condition(const Protection *protection, Node *expression) {
  return repeats_condition(protection) ? says_condition(expression, protection->attribute, protection->membership)
                                       : relies_on_tenant_isolation(expression);
}

// The condition of tenant_access, and what else an expression says.
const char *with_condition(const Protection *protection, Node *expression) {
  if (is_true(expression)) return access_condition(protection);
  return psprintf("(%s) AND (%s)", access_condition(protection), deparse_condition(protection->table, expression));
}

// tenant_access as the caller asked for it: the tenant condition and theirs. It is altered in its place, since without
// it the guard would refuse what one statement leaves for the next. In between nobody shall see by the one isolation
// what the other access holds back: so whichever access isolates by itself is there while the isolation changes.
void set_given_access(Protection *protection, const char *access, List *isolation) {
  Node *wanted = parse_access(protection->table, access);
  const char *condition = with_condition(protection, wanted);
  const Policy *policy = present_policy(protection, access_name);
  if (policy != nullptr && !policy->permissive) refuse_foreign_policy(protection, policy);
  const bool is_whole = policy != nullptr && policy->commands == all_commands;
  const bool checks_alike = is_whole && (policy->check == nullptr || reads_as(protection, policy->check, condition));
  if (checks_alike && policy->to_public && reads_as(protection, policy->qual, condition)) {
    protection->statements = list_concat(protection->statements, isolation);
    return;
  }
  const bool new_isolates = repeats_condition(protection);
  const bool old_isolates = is_whole && confined_commands(policy, protection->attribute) == all_commands;
  if (!is_whole || (isolation != NIL && !new_isolates && !old_isolates)) {
    drop_policy(protection, access_name);
    protection->statements = list_concat(protection->statements, isolation);
    add_statement(protection, psprintf("CREATE POLICY %s ON %s USING (%s)", access_name, protection->name, condition));
    return;
  }
  const char *alter = psprintf("ALTER POLICY %s ON %s%s USING (%s)%s", access_name, protection->name,
                               policy->to_public ? "" : " TO PUBLIC", condition,
                               checks_alike ? "" : psprintf(" WITH CHECK (%s)", condition));
  if (new_isolates) add_statement(protection, alter);
  protection->statements = list_concat(protection->statements, isolation);
  if (!new_isolates) add_statement(protection, alter);
}

// Whether the table changes from the form of one tenant to that of memberships, or back.
bool changes_form(const Protection *protection) {
  const Policy *policy = present_isolation(protection);
  if (policy == nullptr) return false;
  return (protection->membership == nullptr) != (membership_of(policy, protection->attribute) == nullptr);
}

// An expression of tenant_access as it is to be, without what the form said that the table leaves; nullptr: as it is.
const char *present_expression(const Protection *protection, Node *expression) {
  if (expression == nullptr) return nullptr;
  Node *own = changes_form(protection) ? without_form(expression, protection->attribute) : expression;
  if (!has_access_condition(protection, own)) return with_condition(protection, own);
  return own == expression ? nullptr : deparse_condition(protection->table, own);
}

// tenant_access where the caller says nothing: what there is stays, and gets the tenant condition where it lacks it.
void keep_present_access(Protection *protection) {
  const Policy *policy = present_policy(protection, access_name);
  if (policy == nullptr) {
    const ListCell *cell;
    foreach (cell, protection->tenancy->policies) {
      const Policy *other = static_cast<const Policy *>(lfirst(cell));
      if (other->permissive) return;  // the table says by itself who sees what; one more policy would only widen it
    }
    add_statement(protection, psprintf("CREATE POLICY %s ON %s USING (%s)", access_name, protection->name,
                                       access_condition(protection)));
    return;
  }
  if (!policy->permissive) refuse_foreign_policy(protection, policy);
  const char *qual = present_expression(protection, policy->qual);
  const char *check = present_expression(protection, policy->check);
  if (qual == nullptr && check == nullptr) return;
  StringInfoData statement;
  initStringInfo(&statement);
  appendStringInfo(&statement, "ALTER POLICY %s ON %s", access_name, protection->name);
  if (qual != nullptr) appendStringInfo(&statement, " USING (%s)", qual);
  if (check != nullptr) appendStringInfo(&statement, " WITH CHECK (%s)", check);
  add_statement(protection, statement.data);
}

}  // namespace

void protect_policies(Protection *protection, const char *access) {
  List *before = protection->statements;
  protection->statements = NIL;
  protect_isolation(protection);
  List *isolation = protection->statements;
  protection->statements = before;
  if (access != nullptr) {
    set_given_access(protection, access, isolation);
  } else {
    protection->statements = list_concat(protection->statements, isolation);
    keep_present_access(protection);
  }
}

}  // namespace rls_tenant
