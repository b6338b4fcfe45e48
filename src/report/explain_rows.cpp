// Evaluating policies on rows, test by test, in the order in which PostgreSQL combines them.

#include "report/explain_rows.hpp"

#include "postgres/condition.hpp"
#include "report/row_evaluation.hpp"

namespace rls_tenant {

namespace {

constexpr int most_rows = 100;

// What was decided about a row, and by what.
struct Decision {
  bool allowed;
  const char *policy;  // nullptr: several
  const char *kind;
  Node *part;
  const char *reason;
};

Decision decide(const AccessQuestion &question, const TestGroup *group, EvaluatedRow *row) {
  const ListCell *cell;
  foreach (cell, group->restrictive) {
    const PolicyTest *test = static_cast<const PolicyTest *>(lfirst(cell));
    const Evaluation evaluation = evaluate_condition(row, test->expression);
    if (!evaluation.is_true)
      return {false, test->policy, kind_words(false, group->clause), evaluation.part, evaluation.reason};
  }
  if (group->permissive == NIL) return {false, nullptr, nullptr, nullptr, no_policy_words(question, group)};
  const char *kind = kind_words(true, group->clause);
  const char *reasons = nullptr;
  Evaluation evaluation = {};
  foreach (cell, group->permissive) {
    const PolicyTest *test = static_cast<const PolicyTest *>(lfirst(cell));
    evaluation = evaluate_condition(row, test->expression);
    if (evaluation.is_true)
      return {true, test->policy, kind, evaluation.part, "this policy lets it through, and no other forbids it"};
    const char *words = psprintf("%s: %s", test->policy, evaluation.reason);
    reasons = reasons == nullptr ? words : psprintf("%s; %s", reasons, words);
  }
  if (list_length(group->permissive) == 1) {
    const PolicyTest *only = static_cast<const PolicyTest *>(linitial(group->permissive));
    return {false, only->policy, kind, evaluation.part, evaluation.reason};
  }
  TestGroup permissive = *group;
  permissive.restrictive = NIL;
  return {false, nullptr, kind, combined(&permissive), psprintf("no permissive policy lets it through: %s", reasons)};
}

// One row, one command.
AccessRow explain_row(const AccessQuestion &question, const CommandKind &kind, EvaluatedRow *row) {
  Allowed allowed;
  const char *reason = reason_without_policies(question, kind, &allowed);
  if (reason != nullptr) return {kind.name, allowed, nullptr, nullptr, nullptr, reason};
  Decision decision = {};
  const List *groups = groups_for(question, kind);
  for (int i = 0; i < list_length(groups) && (i == 0 || decision.allowed); i++) {
    decision = decide(question, static_cast<const TestGroup *>(list_nth(groups, i)), row);
  }
  return {kind.name,
          decision.allowed ? Allowed::yes : Allowed::no,
          decision.policy,
          decision.kind,
          decision.part != nullptr ? condition_text(question, decision.part) : nullptr,
          decision.reason};
}

// The primary key of a row, or else where it lies.
const char *row_key(const EvaluatedRow *row, const char *ctid) {
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
List *read_rows(const AccessQuestion &question, const char *filter, List **ctids) {
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

}  // namespace

void put_access(const ReturnSetInfo *result, const char *row_key, const AccessRow &row) {
  Datum values[7] = {};
  bool nulls[7];
  const char *texts[7] = {row_key, row.command, nullptr, row.policy, row.kind, row.condition, row.reason};
  NameData name;
  for (int i = 0; i < 7; i++) {
    nulls[i] = texts[i] == nullptr;
    if (!nulls[i]) values[i] = CStringGetTextDatum(texts[i]);
  }
  nulls[2] = row.allowed == Allowed::depends;
  values[2] = BoolGetDatum(row.allowed == Allowed::yes);
  if (row.policy != nullptr) {
    namestrcpy(&name, row.policy);
    values[3] = NameGetDatum(&name);
  }
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

void explain_rows(const ReturnSetInfo *result, const AccessQuestion &question, const char *filter) {
  List *ctids = NIL;
  const List *rows = read_rows(question, filter, &ctids);
  if (rows == NIL)
    put_access(result, nullptr, {nullptr, Allowed::depends, nullptr, nullptr, nullptr, "row_filter picks no row"});
  for (int i = 0; i < list_length(rows); i++) {
    CHECK_FOR_INTERRUPTS();
    EvaluatedRow row = {question.relation, question.tenancy->attribute, question.role};
    row.array = PointerGetDatum(list_nth(rows, i));
    const HeapTupleHeader header =
        DatumGetHeapTupleHeader(PointerGetDatum(ARR_DATA_PTR(reinterpret_cast<ArrayType *>(list_nth(rows, i)))));
    row.tuple.t_len = HeapTupleHeaderGetDatumLength(header);
    ItemPointerSetInvalid(&row.tuple.t_self);
    row.tuple.t_data = header;
    const char *key = row_key(&row, static_cast<const char *>(list_nth(ctids, i)));
    for (const CommandKind &kind : command_kinds) put_access(result, key, explain_row(question, kind, &row));
  }
}

}  // namespace rls_tenant
