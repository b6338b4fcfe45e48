// explain_access(): which policies hold for a role on a table, in the order in which PostgreSQL combines them, and for
// rows that support staff picks, who may do what with them and what decided it.
//
// Three things keep it from being a hole of its own: rows are read only for a caller to whom no policy applies anyhow;
// policies are evaluated as the role that is asked about; and all of it runs read-only in a subtransaction that is
// undone.

#include "policy/confinement.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/expression.hpp"
#include "report/explain_rows.hpp"
#include "report/row_evaluation.hpp"

namespace rls_tenant {

namespace {

// What a command comes to.
const char *resulting_condition(const AccessQuestion &question, const List *groups) {
  StringInfoData text;
  initStringInfo(&text);
  const ListCell *cell;
  foreach (cell, groups) {
    const TestGroup *group = static_cast<const TestGroup *>(lfirst(cell));
    if (text.len > 0) appendStringInfoString(&text, group->new_row ? " WITH CHECK " : " AND ");
    appendStringInfoString(&text, condition_text(question, combined(group)));
  }
  return text.data;
}

// Which setting a test reads that is not set, in words; nullptr: none.
const char *missing_for(const PolicyTest *test) {
  return missing_context_words(what_expression_reads(test->expression));
}

// Whether a context is missing for every way through: a restrictive test or all permissive ones read it.
Allowed allowed_in_context(const List *groups, const char **reason) {
  const ListCell *cell, *inner;
  bool any_reads = false, always_true = true;
  foreach (cell, groups) {
    const TestGroup *group = static_cast<const TestGroup *>(lfirst(cell));
    bool all = true, one_is_true = false;
    foreach (inner, group->permissive) {
      const PolicyTest *test = static_cast<const PolicyTest *>(lfirst(inner));
      const char *words = missing_for(test);
      if (words != nullptr) *reason = words;
      any_reads |= words != nullptr;
      all = all && words != nullptr;
      one_is_true |= is_true(test->expression);
    }
    if (all) return Allowed::no;
    always_true = always_true && one_is_true && group->restrictive == NIL;
    foreach (inner, group->restrictive) {
      const char *words = missing_for(static_cast<const PolicyTest *>(lfirst(inner)));
      if (words == nullptr) continue;
      *reason = words;
      return Allowed::no;
    }
  }
  if (any_reads) return Allowed::depends;
  *reason = always_true ? "every row" : "depends on the row";
  return always_true ? Allowed::yes : Allowed::depends;
}

// Without rows: the policies of one command, in order, and what they come to.
void explain_command(const ReturnSetInfo *result, const AccessQuestion &question, const CommandKind &kind) {
  Allowed allowed;
  const char *reason = reason_without_policies(question, kind, &allowed);
  if (reason != nullptr) {
    put_access(result, nullptr, {kind.name, allowed, nullptr, nullptr, nullptr, reason});
    return;
  }
  const List *groups = groups_for(question, kind);
  const ListCell *cell, *inner;
  const char *denied = nullptr;
  foreach (cell, groups) {
    const TestGroup *group = static_cast<const TestGroup *>(lfirst(cell));
    const List *tests = list_concat_copy(group->restrictive, group->permissive);
    foreach (inner, tests) {
      const PolicyTest *test = static_cast<const PolicyTest *>(lfirst(inner));
      put_access(result, nullptr,
                 {kind.name, Allowed::depends, test->policy, kind_words(test->permissive, group->clause),
                  condition_text(question, test->expression), missing_for(test)});
    }
    if (group->permissive == NIL) denied = no_policy_words(question, group);
  }
  allowed = denied != nullptr ? Allowed::no : allowed_in_context(groups, &reason);
  put_access(result, nullptr,
             {kind.name, allowed, nullptr, "result", resulting_condition(question, groups),
              denied != nullptr ? denied : reason});
}

[[noreturn]] void refuse_relation(Relation relation) {
  const Oid relid = RelationGetRelid(relation);
  const char kind = relation->rd_rel->relkind;
  if (kind != RELKIND_VIEW && kind != RELKIND_MATVIEW) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is not a table", relation_name(relid)),
                    errdetail("Policies belong to tables."), errhint("Name a table.")));
  }
  List *relations = list_delete_oid(relations_in(reinterpret_cast<Node *>(get_view_query(relation))), relid);
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is a view, not a table", relation_name(relid)),
                  errdetail("It reads %s.", relations != NIL ? relation_names(relations) : "no table"),
                  errhint("Ask about the tables; unless the view has security_invoker, as its owner.")));
  pg_unreachable();
}

}  // namespace

// explain_access(relation, row_filter, as_role)
RT_FUNCTION(rls_tenant_explain_access) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  if (PG_ARGISNULL(0)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the relation to explain is NULL"),
                    errdetail("explain_access() needs a table."), errhint("Name a table.")));
  }
  Relation relation = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
  if (relation == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", PG_GETARG_OID(0)),
                    errdetail("It may have been dropped."), errhint("Name a table.")));
  }
  const char kind = relation->rd_rel->relkind;
  if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) refuse_relation(relation);
  const AccessQuestion question = make_question(relation, PG_ARGISNULL(2) ? nullptr : NameStr(*PG_GETARG_NAME(2)));
  const bool with_rows = !PG_ARGISNULL(1);
  if (with_rows && has_bypassrls_privilege(GetUserId())) {
    const char *filter = text_to_cstring(PG_GETARG_TEXT_PP(1));
    in_read_only_subtransaction([&] { explain_rows(result, question, filter); });
  } else {
    if (with_rows) {
      put_access(result, nullptr,
                 {nullptr, Allowed::depends, nullptr, nullptr, nullptr,
                  "rows are read only for a superuser or a role with BYPASSRLS: the policies are explained instead"});
    }
    for (const CommandKind &command : command_kinds) explain_command(result, question, command);
  }
  relation_close(relation, AccessShareLock);
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
