// explain_access(): which policies hold for a role on a table, in the order in which PostgreSQL combines them, and for
// rows that support staff picks, who may do what with them and what decided it.
//
// Three things keep it from being a hole of its own: rows are read only for a caller whom no policy holds anyhow;
// policies are evaluated as the judged role; and all of it runs read-only in a subtransaction that is undone.

#include "postgres/as_owner.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/condition.hpp"
#include "report/row_evaluation.hpp"

namespace rls_tenant {

namespace {

constexpr int most_rows = 100;

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
struct Test {
  const char *policy;
  bool permissive;
  Node *expression;
};

// What a command asks of a row, old or new: every restrictive test and one permissive test.
struct TestGroup {
  const char *clause;  // USING, WITH CHECK, or the USING of SELECT for another command
  bool new_row;
  List *restrictive;  // Tests, by name
  List *permissive;
};

// A policy for the role, as the relation has it.
struct RolePolicy {
  const char *name;
  uint32 commands;
  bool permissive;
  Node *qual;
  Node *check;
};

// What is asked, and what does not depend on a row.
struct Question {
  Relation relation;
  Oid role;
  const char *role_name;
  Tenancy tenancy;
  List *policies;           // RolePolicies, by name
  const char *not_applied;  // why row-level security is not applied to the role; nullptr: it is
  const char *no_schema;    // why the role does not get to the table at all
};

struct Output {
  const ReturnSetInfo *result;
  const char *row_key;
};

enum class Allowed { no, yes, depends };

void put(const Output &output, const char *command, Allowed allowed, const char *policy, const char *kind,
         const char *condition, const char *reason) {
  Datum values[7] = {};
  bool nulls[7];
  const char *texts[7] = {output.row_key, command, nullptr, policy, kind, condition, reason};
  NameData name;
  for (int i = 0; i < 7; i++) {
    nulls[i] = texts[i] == nullptr;
    if (!nulls[i]) values[i] = CStringGetTextDatum(texts[i]);
  }
  nulls[2] = allowed == Allowed::depends;
  values[2] = BoolGetDatum(allowed == Allowed::yes);
  if (policy != nullptr) {
    namestrcpy(&name, policy);
    values[3] = NameGetDatum(&name);
  }
  tuplestore_putvalues(output.result->setResult, output.result->setDesc, values, nulls);
}

bool is_for_role(const ArrayType *roles, Oid role) {
  const Oid *oids = reinterpret_cast<const Oid *>(ARR_DATA_PTR(roles));
  for (int i = 0; i < ARR_DIMS(roles)[0]; i++) {
    if (oids[i] == ACL_ID_PUBLIC || has_privs_of_role(role, oids[i])) return true;
  }
  return false;
}

// The policies that apply to the role, by name.
List *policies_of_role(Relation relation, Oid role) {
  List *result = NIL;
  if (relation->rd_rsdesc == nullptr) return NIL;
  const ListCell *cell;
  foreach (cell, relation->rd_rsdesc->policies) {
    const RowSecurityPolicy *policy = static_cast<const RowSecurityPolicy *>(lfirst(cell));
    if (!is_for_role(policy->roles, role)) continue;
    RolePolicy *copy = static_cast<RolePolicy *>(palloc0(sizeof(RolePolicy)));
    copy->name = pstrdup(policy->policy_name);
    copy->commands = commands_of(policy->polcmd);
    copy->permissive = policy->permissive;
    copy->qual = static_cast<Node *>(copyObjectImpl(policy->qual));
    copy->check = static_cast<Node *>(copyObjectImpl(policy->with_check_qual));
    result = lappend(result, copy);
  }
  list_sort(result, [](const ListCell *left, const ListCell *right) {
    return strcmp(static_cast<const RolePolicy *>(lfirst(left))->name,
                  static_cast<const RolePolicy *>(lfirst(right))->name);
  });
  return result;
}

// The tests of the policies for a command: USING on a row that is there, or WITH CHECK (else USING) on a new one.
TestGroup *tests_for(const Question &question, Command command, bool new_row, const char *clause) {
  TestGroup *group = static_cast<TestGroup *>(palloc0(sizeof(TestGroup)));
  group->clause = clause;
  group->new_row = new_row;
  const ListCell *cell;
  foreach (cell, question.policies) {
    const RolePolicy *policy = static_cast<const RolePolicy *>(lfirst(cell));
    Node *expression = new_row && policy->check != nullptr ? policy->check : policy->qual;
    if ((policy->commands & command) == 0 || expression == nullptr) continue;
    Test *test = static_cast<Test *>(palloc(sizeof(Test)));
    *test = {policy->name, policy->permissive, expression};
    List **tests = policy->permissive ? &group->permissive : &group->restrictive;
    *tests = lappend(*tests, test);
  }
  return group;
}

bool same_tests(const List *left, const List *right) {
  if (list_length(left) != list_length(right)) return false;
  for (int i = 0; i < list_length(left); i++) {
    const Test *one = static_cast<const Test *>(list_nth(left, i)),
               *other = static_cast<const Test *>(list_nth(right, i));
    if (strcmp(one->policy, other->policy) != 0 || !equal(one->expression, other->expression)) return false;
  }
  return true;
}

// Whether the role may do something with the table or some of its columns.
bool has_privilege(const Question &question, AclMode privilege) {
  const Oid relid = RelationGetRelid(question.relation);
  if (pg_class_aclcheck(relid, question.role, privilege) == ACLCHECK_OK) return true;
  return privilege != ACL_DELETE &&
         pg_attribute_aclcheck_all(relid, question.role, privilege, ACLMASK_ANY) == ACLCHECK_OK;
}

// What a command asks. UPDATE and DELETE ask the policies for SELECT, too, where a statement reads columns, which takes
// the privilege. What is asked twice is listed once.
List *groups_for(const Question &question, const CommandKind &kind) {
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

// Every restrictive test and one of the permissive ones, as one expression.
Node *combined(const TestGroup *group) {
  List *all = NIL, *any = NIL;
  const ListCell *cell;
  foreach (cell, group->restrictive) all = lappend(all, static_cast<const Test *>(lfirst(cell))->expression);
  foreach (cell, group->permissive) any = lappend(any, static_cast<const Test *>(lfirst(cell))->expression);
  if (any == NIL) return makeBoolConst(false, false);
  Node *one = list_length(any) == 1 ? static_cast<Node *>(linitial(any)) : reinterpret_cast<Node *>(make_orclause(any));
  return reinterpret_cast<Node *>(make_ands_explicit(lappend(all, one)));
}

const char *condition_text(const Question &question, Node *expression) {
  return deparse_condition(question.relation, with_context_values(expression));
}

// What a command comes to.
const char *resulting_condition(const Question &question, const List *groups) {
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

// Why a command is refused to the role before any policy is asked, or allowed without; nullptr: policies decide.
const char *reason_without_policies(const Question &question, const CommandKind &kind, Allowed *allowed) {
  *allowed = Allowed::no;
  if (question.no_schema != nullptr) return question.no_schema;
  if (!has_privilege(question, kind.privilege)) {
    return psprintf("no GRANT: role %s has no %s privilege", question.role_name, kind.name);
  }
  if (question.not_applied != nullptr) {
    *allowed = Allowed::yes;
    return psprintf("RLS not applied: %s", question.not_applied);
  }
  if (!row_security) return "row_security is off: a statement that policies would hold raises an error";
  return nullptr;
}

// Why no permissive test is there.
const char *no_policy_words(const Question &question, const TestGroup *group) {
  if (group->restrictive != NIL) {
    return psprintf(
        "no policy for this role: restrictive ones only narrow what a permissive one lets through, and "
        "role %s has none",
        question.role_name);
  }
  if (OidIsValid(question.tenancy.ancestor) && question.relation->rd_rsdesc != nullptr &&
      question.relation->rd_rsdesc->policies == NIL) {
    return psprintf("no policy for this role: a part without policies of its own is reached through %s",
                    relation_name(question.tenancy.ancestor));
  }
  return psprintf("no policy for this role: none applies to role %s", question.role_name);
}

const char *kind_words(bool permissive, const char *clause) {
  return psprintf("%s %s", permissive ? "permissive" : "restrictive", clause);
}

// Whether a context is missing for every way through: a restrictive test or all permissive ones read it.
Allowed allowed_in_context(const List *groups, const char **reason) {
  const ListCell *cell, *inner;
  bool any_reads = false, always_true = true;
  foreach (cell, groups) {
    const TestGroup *group = static_cast<const TestGroup *>(lfirst(cell));
    bool all = true, one_is_true = false;
    foreach (inner, group->permissive) {
      const char *words =
          missing_context_words(what_expression_reads(static_cast<const Test *>(lfirst(inner))->expression));
      if (words != nullptr) *reason = words;
      any_reads |= words != nullptr;
      all = all && words != nullptr;
      one_is_true |= is_true(static_cast<const Test *>(lfirst(inner))->expression);
    }
    if (all) return Allowed::no;
    always_true = always_true && one_is_true && group->restrictive == NIL;
    foreach (inner, group->restrictive) {
      const char *words =
          missing_context_words(what_expression_reads(static_cast<const Test *>(lfirst(inner))->expression));
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
void explain_command(const Output &output, const Question &question, const CommandKind &kind) {
  Allowed allowed;
  const char *reason = reason_without_policies(question, kind, &allowed);
  if (reason != nullptr) {
    put(output, kind.name, allowed, nullptr, nullptr, nullptr, reason);
    return;
  }
  const List *groups = groups_for(question, kind);
  const ListCell *cell, *inner;
  const char *denied = nullptr;
  foreach (cell, groups) {
    const TestGroup *group = static_cast<const TestGroup *>(lfirst(cell));
    const List *tests = list_concat_copy(group->restrictive, group->permissive);
    foreach (inner, tests) {
      const Test *test = static_cast<const Test *>(lfirst(inner));
      put(output, kind.name, Allowed::depends, test->policy, kind_words(test->permissive, group->clause),
          condition_text(question, test->expression), missing_context_words(what_expression_reads(test->expression)));
    }
    if (group->permissive == NIL) denied = no_policy_words(question, group);
  }
  const char *condition = resulting_condition(question, groups);
  if (denied != nullptr) {
    put(output, kind.name, Allowed::no, nullptr, "result", condition, denied);
    return;
  }
  allowed = allowed_in_context(groups, &reason);
  put(output, kind.name, allowed, nullptr, "result", condition, reason);
}

// What was decided about a row, and by what.
struct Decision {
  bool allowed;
  const char *policy;  // nullptr: several
  const char *kind;
  Node *part;
  const char *reason;
};

Decision decide(const Question &question, const TestGroup *group, JudgedRow *row) {
  const ListCell *cell;
  foreach (cell, group->restrictive) {
    const Test *test = static_cast<const Test *>(lfirst(cell));
    const Verdict verdict = judge(row, test->expression);
    if (!verdict.allowed) return {false, test->policy, kind_words(false, group->clause), verdict.part, verdict.reason};
  }
  if (group->permissive == NIL) return {false, nullptr, nullptr, nullptr, no_policy_words(question, group)};
  const char *kind = kind_words(true, group->clause);
  const char *reasons = nullptr;
  Verdict verdict = {};
  foreach (cell, group->permissive) {
    const Test *test = static_cast<const Test *>(lfirst(cell));
    verdict = judge(row, test->expression);
    if (verdict.allowed)
      return {true, test->policy, kind, verdict.part, "this policy lets it through, and no other forbids it"};
    const char *words = psprintf("%s: %s", test->policy, verdict.reason);
    reasons = reasons == nullptr ? words : psprintf("%s; %s", reasons, words);
  }
  if (list_length(group->permissive) == 1) {
    return {false, static_cast<const Test *>(linitial(group->permissive))->policy, kind, verdict.part, verdict.reason};
  }
  TestGroup permissive = *group;
  permissive.restrictive = NIL;
  return {false, nullptr, kind, combined(&permissive), psprintf("no permissive policy lets it through: %s", reasons)};
}

// One row, one command.
void explain_row(const Output &output, const Question &question, const CommandKind &kind, JudgedRow *row) {
  Allowed allowed;
  const char *reason = reason_without_policies(question, kind, &allowed);
  if (reason != nullptr) {
    put(output, kind.name, allowed, nullptr, nullptr, nullptr, reason);
    return;
  }
  Decision decision = {};
  const List *groups = groups_for(question, kind);
  for (int i = 0; i < list_length(groups) && (i == 0 || decision.allowed); i++) {
    decision = decide(question, static_cast<const TestGroup *>(list_nth(groups, i)), row);
  }
  put(output, kind.name, decision.allowed ? Allowed::yes : Allowed::no, decision.policy, decision.kind,
      decision.part != nullptr ? condition_text(question, decision.part) : nullptr, decision.reason);
}

// The primary key of a row, or else where it lies.
const char *row_key(const JudgedRow *row, const char *ctid) {
  StringInfoData text;
  initStringInfo(&text);
  const Bitmapset *key = RelationGetIndexAttrBitmap(row->relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
  for (int member = bms_next_member(key, -1); member >= 0; member = bms_next_member(key, member)) {
    const AttrNumber attribute = static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber);
    appendStringInfo(&text, "%s%s=%s", text.len > 0 ? ", " : "",
                     quote_identifier(attribute_name(RelationGetRelid(row->relation), attribute)),
                     attribute_text(row, attribute));
  }
  if (text.len == 0) appendStringInfo(&text, "ctid=%s", ctid);
  return text.data;
}

// Reads the rows of the filter as the caller: each as an array of one (which is no column's name, whatever those are).
List *read_rows(const Question &question, const char *filter, List **ctids) {
  Node *condition = parse_condition(question.relation, filter, "row_filter",
                                    "Write a condition on the table's columns, such as 'id = 42'.");
  const char *query = psprintf("SELECT ARRAY[%s.*], ctid FROM %s WHERE (%s) LIMIT %d",
                               quote_identifier(RelationGetRelationName(question.relation)),
                               relation_name(RelationGetRelid(question.relation)),
                               deparse_condition(question.relation, condition), most_rows + 1);
  const MemoryContext memory = CurrentMemoryContext;
  SPI_connect();
  if (SPI_execute(query, true, 0) != SPI_OK_SELECT) elog(ERROR, "could not read the rows of row_filter");
  if (SPI_processed > most_rows) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("row_filter picks more than %d rows", most_rows),
                    errdetail("It reads: %s", filter), errhint("Pick the rows by their key.")));
  }
  List *rows = NIL;
  const MemoryContext spi = MemoryContextSwitchTo(memory);
  for (uint64 i = 0; i < SPI_processed; i++) {
    bool isnull;
    const Datum array = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
    rows = lappend(rows, DatumGetArrayTypePCopy(array));
    *ctids = lappend(*ctids, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2));
  }
  MemoryContextSwitchTo(spi);
  SPI_finish();
  return rows;
}

void explain_rows(const ReturnSetInfo *result, const Question &question, const char *filter) {
  List *ctids = NIL;
  const List *rows = read_rows(question, filter, &ctids);
  if (rows == NIL) {
    put({result, nullptr}, nullptr, Allowed::depends, nullptr, nullptr, nullptr, "row_filter picks no row");
  }
  for (int i = 0; i < list_length(rows); i++) {
    CHECK_FOR_INTERRUPTS();
    JudgedRow row = {question.relation, question.tenancy.attribute, question.role};
    row.array = PointerGetDatum(list_nth(rows, i));
    const HeapTupleHeader header =
        DatumGetHeapTupleHeader(PointerGetDatum(ARR_DATA_PTR(reinterpret_cast<ArrayType *>(list_nth(rows, i)))));
    row.tuple.t_len = HeapTupleHeaderGetDatumLength(header);
    ItemPointerSetInvalid(&row.tuple.t_self);
    row.tuple.t_data = header;
    const Output output = {result, row_key(&row, static_cast<const char *>(list_nth(ctids, i)))};
    for (const CommandKind &kind : command_kinds) explain_row(output, question, kind, &row);
  }
}

// Collects the relations that a view's query names.
bool look_for_relations(Node *node, void *names) {
  if (node == nullptr) return false;
  if (IsA(node, RangeTblEntry)) {
    const RangeTblEntry *entry = reinterpret_cast<RangeTblEntry *>(node);
    StringInfo text = static_cast<StringInfo>(names);
    if (entry->rtekind == RTE_RELATION && entry->inFromCl) {
      appendStringInfo(text, "%s%s", text->len > 0 ? ", " : "", relation_name(entry->relid));
    }
    return false;
  }
  if (IsA(node, Query)) {
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(look_for_relations), names,
                             QTW_EXAMINE_RTES_BEFORE);
  }
  return expression_tree_walker(node, compat::tree_walker(look_for_relations), names);
}

[[noreturn]] void refuse_relation(Relation relation) {
  const char *name = relation_name(RelationGetRelid(relation));
  const char kind = relation->rd_rel->relkind;
  if (kind != RELKIND_VIEW && kind != RELKIND_MATVIEW) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is not a table", name),
                    errdetail("Policies belong to tables."), errhint("Name a table.")));
  }
  StringInfoData names;
  initStringInfo(&names);
  look_for_relations(reinterpret_cast<Node *>(get_view_query(relation)), &names);
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is a view, not a table", name),
                  errdetail("It reads %s.", names.len > 0 ? names.data : "no table"),
                  errhint("Ask about the tables; unless the view has security_invoker, as its owner.")));
  pg_unreachable();
}

// The role that is asked about: the caller, or one that the caller could become.
Oid judged_role(const char *name) {
  if (name == nullptr) return GetUserId();
  const Oid role = get_role_oid(name, false);
  if (!compat::can_set_role(GetUserId(), role)) {
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("permission denied to explain access of role \"%s\"", name),
                    errdetail("Its access is for those who may SET ROLE to it."),
                    errhint("Leave as_role out to ask about yourself.")));
  }
  return role;
}

// Why row-level security is not applied to the role.
const char *not_applied_because(const Question &question) {
  const Oid relid = RelationGetRelid(question.relation);
  if (!question.relation->rd_rel->relrowsecurity) return "row-level security is not enabled on the table";
  if (superuser_arg(question.role)) return psprintf("role %s is a superuser", question.role_name);
  if (has_bypassrls_privilege(question.role)) return psprintf("role %s has BYPASSRLS", question.role_name);
  if (compat::owns_relation(relid, question.role) && !question.relation->rd_rel->relforcerowsecurity) {
    return psprintf("role %s owns the table, and row-level security is not forced", question.role_name);
  }
  return nullptr;
}

Question make_question(Relation relation, const char *role_name) {
  Question question = {};
  question.relation = relation;
  question.role = judged_role(role_name);
  question.role_name = quote_identifier(GetUserNameFromId(question.role, false));
  question.tenancy = tenancy_of(RelationGetRelid(relation));
  question.policies = policies_of_role(relation, question.role);
  question.not_applied = not_applied_because(question);
  const Oid schema = RelationGetNamespace(relation);
  if (!compat::may_use_schema(schema, question.role)) {
    question.no_schema = psprintf("no GRANT: role %s has no USAGE on schema %s", question.role_name,
                                  quote_identifier(get_namespace_name(schema)));
  }
  return question;
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
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no relation with OID %u", PG_GETARG_OID(0)),
                    errdetail("It may have been dropped."), errhint("Name a table.")));
  }
  const char kind = relation->rd_rel->relkind;
  if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) refuse_relation(relation);
  const Question question = make_question(relation, PG_ARGISNULL(2) ? nullptr : NameStr(*PG_GETARG_NAME(2)));
  const bool with_rows = !PG_ARGISNULL(1);
  if (with_rows && has_bypassrls_privilege(GetUserId())) {
    const char *filter = text_to_cstring(PG_GETARG_TEXT_PP(1));
    in_read_only_subtransaction([&] { explain_rows(result, question, filter); });
  } else {
    if (with_rows) {
      put({result, nullptr}, nullptr, Allowed::depends, nullptr, nullptr, nullptr,
          "rows are read only for a superuser or a role with BYPASSRLS: the policies are explained instead");
    }
    for (const CommandKind &command : command_kinds) explain_command({result, nullptr}, question, command);
  }
  relation_close(relation, AccessShareLock);
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
