// From a role and a table to the policies that apply, in the order in which PostgreSQL combines them.

#include "report/access_question.hpp"

#include "postgres/condition.hpp"
#include "report/row_evaluation.hpp"

namespace rls_tenant {

namespace {

// The role that is asked about: the caller, or one that the caller could become.
Oid asked_role(const char *name) {
  if (name == nullptr) return GetUserId();
  const Oid role = get_role_oid(name, false);
  if (!compat::can_set_role(GetUserId(), role)) {
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("permission denied to explain access of role \"%s\"", name),
                    errdetail("Only roles that may SET ROLE to it may see its access."),
                    errhint("Leave as_role out to ask about yourself.")));
  }
  return role;
}

List *policies_of_role(const Tenancy &tenancy, Oid role) {
  List *result = NIL;
  const ListCell *cell;
  foreach (cell, tenancy.policies) {
    if (applies_to_role(static_cast<const Policy *>(lfirst(cell)), role)) result = lappend(result, lfirst(cell));
  }
  return result;
}

// Why row-level security is not applied to the role.
const char *not_applied_because(const AccessQuestion &question) {
  const RelationRow &relation = question.tenancy->relation;
  if (!relation.row_security) return "row-level security is not enabled on the table";
  if (superuser_arg(question.role)) return psprintf("role %s is a superuser", question.role_name);
  if (has_bypassrls_privilege(question.role)) return psprintf("role %s has BYPASSRLS", question.role_name);
  if (compat::owns_relation(question.tenancy->relid, question.role) && !relation.forced) {
    return psprintf("role %s owns the table, and row-level security is not forced", question.role_name);
  }
  return nullptr;
}

// The tests of the policies for a command: USING on a row that is there, or WITH CHECK (else USING) on a new one.
TestGroup *tests_for(const AccessQuestion &question, Command command, bool new_row, const char *clause) {
  TestGroup *group = static_cast<TestGroup *>(palloc0(sizeof(TestGroup)));
  group->clause = clause;
  group->new_row = new_row;
  const ListCell *cell;
  foreach (cell, question.policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    Node *expression = new_row && policy->check != nullptr ? policy->check : policy->qual;
    if ((policy->commands & command) == 0 || expression == nullptr) continue;
    PolicyTest *test = static_cast<PolicyTest *>(palloc(sizeof(PolicyTest)));
    *test = {policy->name, policy->permissive, expression};
    List **tests = policy->permissive ? &group->permissive : &group->restrictive;
    *tests = lappend(*tests, test);
  }
  return group;
}

bool same_tests(const List *left, const List *right) {
  if (list_length(left) != list_length(right)) return false;
  for (int i = 0; i < list_length(left); i++) {
    const PolicyTest *one = static_cast<const PolicyTest *>(list_nth(left, i)),
                     *other = static_cast<const PolicyTest *>(list_nth(right, i));
    if (strcmp(one->policy, other->policy) != 0 || !equal(one->expression, other->expression)) return false;
  }
  return true;
}

// Whether the role may do something with the table or some of its columns.
bool has_privilege(const AccessQuestion &question, AclMode privilege) {
  const Oid relid = question.tenancy->relid;
  if (pg_class_aclcheck(relid, question.role, privilege) == ACLCHECK_OK) return true;
  return privilege != ACL_DELETE &&
         pg_attribute_aclcheck_all(relid, question.role, privilege, ACLMASK_ANY) == ACLCHECK_OK;
}

}  // namespace

AccessQuestion make_question(Relation relation, const char *role_name) {
  AccessQuestion question = {};
  question.relation = relation;
  question.role = asked_role(role_name);
  question.role_name = quote_identifier(rls_tenant::role_name(question.role));
  question.tenancy = &tenancy_of(RelationGetRelid(relation));
  question.policies = policies_of_role(*question.tenancy, question.role);
  question.not_applied = not_applied_because(question);
  const Oid schema = RelationGetNamespace(relation);
  if (!compat::may_use_schema(schema, question.role)) {
    question.no_schema = psprintf("no GRANT: role %s has no USAGE on schema %s", question.role_name,
                                  quote_identifier(schema_name(schema)));
  }
  return question;
}

// UPDATE and DELETE ask the policies for SELECT, too, where a statement reads columns, which takes the privilege.
List *groups_for(const AccessQuestion &question, const CommandKind &kind) {
  List *groups = NIL;
  const auto add = [&](Command command, bool new_row, const char *clause) {
    TestGroup *group = tests_for(question, command, new_row, clause);
    const ListCell *cell;
    foreach (cell, groups) {
      const TestGroup *other = static_cast<const TestGroup *>(lfirst(cell));
      if (same_tests(group->restrictive, other->restrictive) && same_tests(group->permissive, other->permissive))
        return;
    }
    groups = lappend(groups, group);
  };
  const bool meets_rows = kind.command != command_insert;
  if (meets_rows) add(kind.command, false, "USING");
  if (meets_rows && has_privilege(question, ACL_SELECT)) add(command_select, false, "USING (SELECT)");
  if (kind.command == command_insert || kind.command == command_update) add(kind.command, true, "WITH CHECK");
  return groups;
}

Node *combined(const TestGroup *group) {
  List *all = NIL, *any = NIL;
  const ListCell *cell;
  foreach (cell, group->restrictive) all = lappend(all, static_cast<const PolicyTest *>(lfirst(cell))->expression);
  foreach (cell, group->permissive) any = lappend(any, static_cast<const PolicyTest *>(lfirst(cell))->expression);
  if (any == NIL) return makeBoolConst(false, false);
  Node *one = list_length(any) == 1 ? static_cast<Node *>(linitial(any)) : reinterpret_cast<Node *>(make_orclause(any));
  return reinterpret_cast<Node *>(make_ands_explicit(lappend(all, one)));
}

const char *reason_without_policies(const AccessQuestion &question, const CommandKind &kind, Allowed *allowed) {
  *allowed = Allowed::no;
  if (question.no_schema != nullptr) return question.no_schema;
  if (!has_privilege(question, kind.privilege)) {
    return psprintf("no GRANT: role %s has no %s privilege", question.role_name, kind.name);
  }
  if (question.not_applied != nullptr) {
    *allowed = Allowed::yes;
    return psprintf("RLS not applied: %s", question.not_applied);
  }
  if (!row_security) return "row_security is off: a statement to which policies would apply raises an error";
  return nullptr;
}

const char *no_policy_words(const AccessQuestion &question, const TestGroup *group) {
  if (group->restrictive != NIL) {
    return psprintf(
        "no policy for this role: restrictive ones only narrow what a permissive one lets through, and role %s has "
        "none",
        question.role_name);
  }
  if (OidIsValid(question.tenancy->ancestor) && question.tenancy->policies == NIL) {
    return psprintf("no policy for this role: a partition or child without policies of its own is reached through %s",
                    relation_name(question.tenancy->ancestor));
  }
  return psprintf("no policy for this role: none applies to role %s", question.role_name);
}

const char *kind_words(bool permissive, const char *clause) {
  return psprintf("%s %s", permissive ? "permissive" : "restrictive", clause);
}

const char *condition_text(const AccessQuestion &question, Node *expression) {
  return deparse_condition(question.relation, with_context_values(expression));
}

}  // namespace rls_tenant
