// From a user to an answer: what the statement was told already, else what the backend keeps, else a query as the
// source's owner.

#include "membership/lookup.hpp"

#include "postgres/as_owner.hpp"
#include "postgres/with_settings.hpp"
#include "postgres/subtransaction.hpp"
#include "context/context.hpp"
#include "membership/parallel.hpp"
#include "membership/source.hpp"
#include "postgres/transaction_end.hpp"

namespace rls_tenant {

namespace {

StatementAnswers *statement = nullptr;  // the innermost
uint64 last_stamp = 0;
HeldAnswer *loose = nullptr;  // the last answer that was given outside of any statement

// What a statement was told without what it has done itself.
struct Earlier {
  Pin *pins;
  uint64 statement;
  CommandId command;  // the first that is left out
};
Earlier earlier = {};
uint64 fills = 0;

// The user as the source's column has it.
Datum user_datum(const Source *source, const ContextValue *user) {
  if (!context_value_fits(*user, source->user_type)) {
    raise_unfit_context(Setting::user, user->bytes(), id_type_name(source->user_type));
  }
  switch (source->user_type) {
    case IdType::uuid:
      return PointerGetDatum(&user->uuid);
    case IdType::bigint:
      return Int64GetDatum(user->bigint);
    case IdType::text:
      return PointerGetDatum(user->text);
  }
  pg_unreachable();
}

void append_text(StringInfo texts, Datum datum, TextKey *key) {
  const text *value = DatumGetTextPP(datum);
  *key = {static_cast<uint32>(texts->len), static_cast<uint32>(VARSIZE_ANY_EXHDR(value))};
  appendBinaryStringInfo(texts, VARDATA_ANY(value), static_cast<int>(key->length));
}

// Reads SPI's result into an answer.
Answer *read_result(const Source *source) {
  const TupleDesc description = SPI_tuptable->tupdesc;
  const uint64 row_count = SPI_processed;
  MembershipRow *rows = static_cast<MembershipRow *>(
      MemoryContextAllocExtended(CurrentMemoryContext, sizeof(MembershipRow) * Max(row_count, 1), MCXT_ALLOC_HUGE));
  StringInfoData texts;
  initStringInfo(&texts);
  uint32 count = 0;
  for (uint64 i = 0; i < row_count; i++) {
    bool isnull;
    const Datum group = SPI_getbinval(SPI_tuptable->vals[i], description, 1, &isnull);
    if (isnull) continue;
    MembershipRow &row = rows[count++];
    memset(&row, 0, sizeof row);
    switch (source->group_type) {
      case IdType::uuid:
        row.uuid = uuid_key(DatumGetUUIDP(group));
        break;
      case IdType::bigint:
        row.bigint = DatumGetInt64(group);
        break;
      case IdType::text:
        append_text(&texts, group, &row.text);
        break;
    }
    const Datum role = SPI_getbinval(SPI_tuptable->vals[i], description, 2, &isnull);
    if (!isnull) append_text(&texts, role, &row.role);
  }
  Answer *answer = make_answer(source->group_type, rows, count, texts.data, membership_memory());
  answer->holds_for_one_transaction = source->asks_clock;
  return answer;
}

// Puts the question to the tables, as they are now: newer than the transaction's snapshot where that is old. A snapshot
// as for catalogs is taken anew each time, and parallel mode allows it. until: the first command of the
// transaction that is left out.
Answer *query_source(Source *source, const ContextValue *user, CommandId until) {
  Answer *answer = nullptr;
  Datum value = user_datum(source, user);
  fills++;
  const auto read = [&] {
    SPI_connect();
    if (source->plan == nullptr) {
      Oid type = id_type_oid(source->user_type);
      SPIPlanPtr plan = SPI_prepare(source->query, 1, &type);
      if (plan == nullptr) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
      SPI_keepplan(plan);
      source->plan = plan;
    }
    const Snapshot snapshot = RegisterSnapshot(GetNonHistoricCatalogSnapshot(source->relid));  // a copy
    snapshot->curcid = Min(snapshot->curcid, until);
    const int result = SPI_execute_snapshot(source->plan, &value, nullptr, snapshot, InvalidSnapshot, true, false, 0);
    if (result != SPI_OK_SELECT) elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
    UnregisterSnapshot(snapshot);
    answer = read_result(source);
    SPI_finish();
  };
  // The session's time zone would move CURRENT_DATE.
  with_settings({{"search_path", "pg_catalog, pg_temp"}, {"timezone", "UTC"}},
                [&] { as_owner(source->relid, SECURITY_NOFORCE_RLS, read); });
  return answer;
}

// The user's answer, with a reference for the caller.
HeldAnswer *ask_now(const char *name, const ContextValue *user, CommandId until) {
  for (int attempt = 0;; attempt++) {
    Source *source = find_source(name);
    const AnswerKey key = {source->id, user->bytes(), static_cast<uint32>(user->length())};
    HeldAnswer *held = source->valid ? cached_answer(key) : nullptr;
    if (held != nullptr) {
      refer_to(held);
      return held;
    }
    Answer *answer = nullptr;
    while_busy([&] { answer = query_source(source, user, until); });
    // What was committed after the snapshot tells of itself, now or with the next statement.
    AcceptInvalidationMessages();
    held = hold_answer(key, answer);
    if (!source->valid) {
      if (attempt < 3) {
        release_answer(held);
        continue;
      }
      return held;
    }
    if (source->unkept == nullptr && !has_own_change()) cache_answer(held);
    return held;
  }
}

HeldAnswer *ask(const char *name, const ContextValue *user, CommandId until = InvalidCommandId) {
  if (IsParallelWorker()) {
    Answer *answer = handed_down_answer(name, user);
    if (answer != nullptr) return hold_answer({0, user->bytes(), static_cast<uint32>(user->length())}, answer);
  }
  MemoryContext scratch =
      AllocSetContextCreate(CurrentMemoryContext, "rls_tenant membership question", ALLOCSET_SMALL_SIZES);
  MemoryContext before = MemoryContextSwitchTo(scratch);
  HeldAnswer *held = ask_now(name, user, until);
  MemoryContextSwitchTo(before);
  MemoryContextDelete(scratch);
  return held;
}

Pin *find_pin(Pin *pins, const char *source, size_t length, const ContextValue *user) {
  for (Pin *pin = pins; pin != nullptr; pin = pin->next) {
    if (pin->source_length == length && memcmp(pin->source, source, length) == 0 &&
        pin->held->key.user_length == user->length() &&
        memcmp(pin->held->key.user, user->bytes(), user->length()) == 0) {
      return pin;
    }
  }
  return nullptr;
}

void add_pin(Pin **pins, const char *source, size_t length, HeldAnswer *held) {
  Pin *pin = static_cast<Pin *>(MemoryContextAlloc(membership_memory(), offsetof(Pin, source) + length + 1));
  pin->held = held;
  pin->source_length = length;
  memcpy(pin->source, source, length);
  pin->source[length] = '\0';
  pin->next = *pins;
  *pins = pin;
}

void drop_pin(Pin *pin) {
  release_answer(pin->held);
  pfree(pin);
}

void drop_loose() {
  HeldAnswer *held = loose;
  loose = nullptr;
  if (held != nullptr) release_answer(held);
}

// Whether two answers are of the same question, and what one says the other says, too.
bool covers(const Pin *pin, const Pin *other) {
  return pin->source_length == other->source_length && memcmp(pin->source, other->source, pin->source_length) == 0 &&
         pin->held->key.user_length == other->held->key.user_length &&
         memcmp(pin->held->key.user, other->held->key.user, other->held->key.user_length) == 0 &&
         nothing_lost(other->held->answer, pin->held->answer);
}

// Own changes are seen by the transaction's next command, and by a function that goes on after it.
void notice_own_changes(StatementAnswers *answers) {
  if (answers->own_changes != visible_own_changes) {
    merge_pins(&answers->inner, &answers->pins);
    answers->stamp = ++last_stamp;
    answers->own_changes = visible_own_changes;
  }
  answer_stamp = answers->stamp;
}

void at_transaction_event(XactEvent event) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
  drop_loose();
  release_pins(&earlier.pins);
}

}  // namespace

void merge_pins(Pin **into, Pin **from) {
  while (*from != nullptr) {
    Pin *pin = *from;
    *from = pin->next;
    bool covered = false;
    for (Pin **link = into; *link != nullptr && !covered;) {
      Pin *present = *link;
      if (covers(present, pin)) {
        covered = true;
      } else if (covers(pin, present)) {
        *link = present->next;
        drop_pin(present);
      } else {
        link = &present->next;
      }
    }
    if (covered) {
      drop_pin(pin);
    } else {
      pin->next = *into;
      *into = pin;
    }
  }
}

void release_pins(Pin **pins) {
  while (*pins != nullptr) {
    Pin *pin = *pins;
    *pins = pin->next;
    drop_pin(pin);
  }
}

const StatementAnswers *current_statement() { return statement; }

void enter_statement(StatementAnswers *answers) {
  ++last_stamp;
  *answers = {statement, nullptr, nullptr, last_stamp, visible_own_changes, last_stamp};
  statement = answers;
  answer_stamp = answers->stamp;
}

void leave_statement(StatementAnswers *answers, Pin **told) {
  statement = answers->outer;
  const bool current = statement != nullptr && statement->own_changes == visible_own_changes;
  answer_stamp = current ? statement->stamp : 0;
  merge_pins(&answers->inner, &answers->pins);
  // Also where it failed: a function may catch the error, and tell of it.
  for (const Pin *pin = answers->inner; pin != nullptr && statement != nullptr; pin = pin->next) {
    Pin *copy = nullptr;
    refer_to(pin->held);
    add_pin(&copy, pin->source, pin->source_length, pin->held);
    merge_pins(&statement->inner, &copy);
  }
  if (told != nullptr) {
    merge_pins(told, &answers->inner);
  } else {
    release_pins(&answers->inner);
  }
}

void check_told_answers(const Pin *told) {
  for (const Pin *pin = told; pin != nullptr; pin = pin->next) {
    // Of the pin's own user: a function's SET clause may have named another than the context has now.
    ContextValue user;
    parse_context_value(pin->held->key.user, pin->held->key.user_length, &user);
    AcceptInvalidationMessages();
    HeldAnswer *now = ask(pin->source, &user);
    const bool lost = !nothing_lost(pin->held->answer, now->answer);
    release_answer(now);
    if (!lost) continue;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the user has lost a membership since the cursor was opened"),
                    errdetail("The cursor's rows were chosen by membership source \"%s\" as it was then.", pin->source),
                    errhint("Close the cursor and open it again.")));
  }
}

const Answer *answer_of_source(const char *source, size_t length) {
  const ContextValue *user = read_context(Setting::user);
  if (user == nullptr) return nullptr;
  if (statement != nullptr) {
    notice_own_changes(statement);
    const Pin *pin = find_pin(statement->pins, source, length, user);
    if (pin != nullptr) return pin->held->answer;
  }
  // A prepared statement in an open transaction takes no new lock, and would learn of nothing.
  AcceptInvalidationMessages();
  char *name = pnstrdup(source, length);
  HeldAnswer *held = ask(name, user);
  pfree(name);
  if (statement != nullptr) {
    notice_own_changes(statement);
    add_pin(&statement->pins, source, length, held);
  } else {
    drop_loose();
    loose = held;
    note_transaction();
  }
  return held->answer;
}

const Answer *answer_before_statement(const char *source, size_t length) {
  // Commands are counted up by what triggers and functions run within the statement.
  const CommandId first = ActiveSnapshotSet() ? GetActiveSnapshot()->curcid : InvalidCommandId;
  if (GetCurrentCommandId(false) <= first) return answer_of_source(source, length);
  const ContextValue *user = read_context(Setting::user);
  if (user == nullptr) return nullptr;
  const uint64 number = statement != nullptr ? statement->number : 0;
  if (earlier.statement != number || earlier.command != first) {
    release_pins(&earlier.pins);
    earlier = {nullptr, number, first};
  }
  const Pin *pin = find_pin(earlier.pins, source, length, user);
  if (pin != nullptr) return pin->held->answer;
  AcceptInvalidationMessages();
  add_pin(&earlier.pins, source, length, ask(source, user, first));
  note_transaction();
  return earlier.pins->held->answer;
}

const Pin *pin_known_sources() {
  if (present_context(Setting::user) == nullptr) return nullptr;
  List *rows = source_rows();
  const ListCell *cell;
  foreach (cell, rows) {
    const char *name = static_cast<const SourceRow *>(lfirst(cell))->name;
    if (!is_known(name)) continue;  // planning has asked what the plan needs; others may be slow
    if (!IsInParallelMode()) {
      in_subtransaction([&] { answer_of_source(name, strlen(name)); });  // a worker that needs it finds the same fault
    } else if (is_ready(name)) {  // within another parallel plan, where before 17 nothing can be attempted
      answer_of_source(name, strlen(name));
    }
  }
  return statement->pins;
}

uint64 membership_fills() { return fills; }

void membership_answers_init() { at_end_of_transaction(at_transaction_event); }

}  // namespace rls_tenant
