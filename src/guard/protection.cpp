// What the parts of protect() share.

#include "guard/protection.hpp"

#include "policy/public_rows.hpp"
#include "postgres/condition.hpp"
#include "postgres/statements.hpp"
#include "postgres/with_settings.hpp"

namespace rls_tenant {

void add_statement_for(Protection *protection, Oid relid, const char *sql) {
  Statement *statement = static_cast<Statement *>(palloc(sizeof(Statement)));
  *statement = {relid, sql};
  protection->statements = lappend(protection->statements, statement);
}

void add_statement(Protection *protection, const char *sql) {
  add_statement_for(protection, protection->tenancy->relid, sql);
}

const Policy *present_policy(const Protection *protection, const char *name) {
  return policy_named(protection->tenancy->policies, name);
}

const Policy *present_isolation(const Protection *protection) {
  const Policy *whole = present_policy(protection, whole_floor.name);
  return whole != nullptr ? whole : present_policy(protection, public_floors[3].name);
}

void drop_policy(Protection *protection, const char *name) {
  if (present_policy(protection, name) != nullptr)
    add_statement(protection, psprintf("DROP POLICY %s ON %s", name, protection->name));
}

void refuse_foreign_policy(const Protection *protection, const Policy *policy) {
  ereport(
      ERROR,
      (errcode(ERRCODE_DUPLICATE_OBJECT),
       errmsg("policy \"%s\" of %s is not one that protect() makes", policy->name, protection->name),
       errdetail("It is %s%s.", policy->permissive ? "PERMISSIVE" : "RESTRICTIVE",
                 policy->permissive && strcmp(policy->name, public_name) != 0 ? "" : " and says something else"),
       errhint("Give it another name first: ALTER POLICY %s ON %s RENAME TO ...;", policy->name, protection->name)));
  pg_unreachable();
}

Node *parse_access(Relation table, const char *access) {
  return parse_condition(table, access, "access",
                         "Write it as in CREATE POLICY … USING (…), for example 'owner_id = "
                         "rls_tenant.current_user_uuid()'.");
}

bool reads_as(const Protection *protection, Node *expression, const char *text) {
  bool result = false;
  with_settings({{"search_path", "pg_catalog"}},
                [&] { result = equal(expression, parse_access(protection->table, text)); });
  return result;
}

}  // namespace rls_tenant
