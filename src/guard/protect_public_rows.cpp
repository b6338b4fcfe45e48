// The rows that every tenant may read, and the PERMISSIVE policy tenant_public that admits them.

#include "context/own_functions.hpp"
#include "guard/protection.hpp"
#include "policy/public_rows.hpp"
#include "postgres/condition.hpp"

namespace rls_tenant {

namespace {

// The test that there is a context, so that who has none is told so by public rows, too.
const char *with_context_test(const Protection *protection, const char *rows) {
  const char *reader =
      protection->membership == nullptr ? protection->getter : psprintf("%s.current_user_text()", extension_schema);
  return psprintf("(%s) AND (%s IS NOT NULL)", rows, reader);
}

// Whether tenant_public is such as protect() makes: the rows that it admits, and the setting that it asks for.
Node *rows_of_access(const Policy *policy, Setting *setting) {
  const bool is_ours = policy->permissive && policy->commands == command_select;
  return is_ours ? public_rows_of(policy->qual, setting) : nullptr;
}

}  // namespace

void find_public_rows(Protection *protection, const char *condition) {
  protection->says_public = condition != nullptr;
  Node *rows = public_condition(protection->tenancy->policies, protection->tenancy->attribute);
  if (protection->says_public) {
    const char *hint =
        "Write a condition on the row's own columns, such as 'is_published' or 'published_at <= now()'. Who of a "
        "tenant sees what belongs into access.";
    rows = *condition != '\0' ? parse_condition(protection->table, condition, "public_read", hint) : nullptr;
    const char *problem = rows != nullptr ? public_condition_problem(rows) : nullptr;
    if (problem != nullptr) {
      ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                      errmsg("public_read cannot say which rows of %s are public", protection->name),
                      errdetail("%s", problem), errhint("%s", hint)));
    }
  }
  if (rows != nullptr)
    protection->public_read = with_context_test(protection, deparse_condition(protection->table, rows));
}

void drop_public_rows(Protection *protection) {
  const Policy *policy = present_policy(protection, public_name);
  Setting setting;
  if (policy != nullptr && rows_of_access(policy, &setting) == nullptr) refuse_foreign_policy(protection, policy);
  drop_policy(protection, public_name);
}

// Where the caller does not say which, it stays as narrow as it is, and
// only asks for the context that the form goes by.
void protect_public_rows(Protection *protection) {
  const Policy *policy = present_policy(protection, public_name);
  if (policy == nullptr) {
    if (protection->says_public)
      add_statement(protection, psprintf("CREATE POLICY %s ON %s FOR SELECT USING (%s)", public_name, protection->name,
                                         protection->public_read));
    return;
  }
  Setting setting;
  Node *rows = rows_of_access(policy, &setting);
  if (rows == nullptr) {
    if (protection->says_public) refuse_foreign_policy(protection, policy);
    return;
  }
  const char *condition = protection->says_public
                              ? protection->public_read
                              : with_context_test(protection, deparse_condition(protection->table, rows));
  const bool widens = protection->says_public && !policy->to_public;
  if (!widens && reads_as(protection, policy->qual, condition)) return;
  add_statement(protection, psprintf("ALTER POLICY %s ON %s%s USING (%s)", public_name, protection->name,
                                     widens ? " TO PUBLIC" : "", condition));
}

}  // namespace rls_tenant
