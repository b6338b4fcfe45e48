// From a user to groups: what the statement was given already, else what the backend has cached, else a query as the
// owner of the source's relation.

#include "membership/lookup.hpp"

#include "context/context.hpp"
#include "membership/parallel.hpp"
#include "membership/source.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/transaction_end.hpp"
#include "postgres/with_settings.hpp"

namespace rls_tenant {

uint64 groups_stamp = 0;

namespace {

StatementScope *statement = nullptr;  // the innermost
uint64 last_stamp = 0;
uint64 visible_own_changes = 0;
CachedGroups *given_outside = nullptr;  // the last that were given outside of any statement
uint64 queries = 0;

// What a statement was given without what it has done itself.
struct GivenBefore {
  StatementGroups *given;
  uint64 statement;
  CommandId command;  // the first that is left out
};
GivenBefore given_before = {};

// The user as a value of the source's column.
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

// Makes a set of groups of SPI's result, in that memory.
GroupSet *read_result(const Source *source, MemoryContext memory) {
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
  GroupSet *groups = make_group_set(source->group_type, rows, count, texts.data, memory);
  groups->depends_on_clock = source->depends_on_clock;
  return groups;
}

// Queries the tables as they are now, even if the transaction's snapshot is older. A catalog snapshot is a new one each
// time, and parallel mode allows it. until: the first command of the transaction whose changes are left out.
GroupSet *query_source(Source *source, const ContextValue *user, CommandId until) {
  GroupSet *groups = nullptr;
  const MemoryContext memory = CurrentMemoryContext;
  Datum value = user_datum(source, user);
  queries++;
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
    groups = read_result(source, memory);
    SPI_finish();
  };
  // The session's time zone would move CURRENT_DATE.
  with_settings({{"search_path", "pg_catalog, pg_temp"}, {"timezone", "UTC"}},
                [&] { as_owner(source->relid, SECURITY_NOFORCE_RLS, read); });
  return groups;
}

// The groups of a user, cached or queried, with a reference for the caller.
CachedGroups *find_or_query(const char *name, const ContextValue *user, CommandId until) {
  for (int attempt = 0;; attempt++) {
    Source *source = find_source(name);
    const GroupsKey key = {source->id, user->bytes(), static_cast<uint32>(user->length())};
    CachedGroups *cached = source->valid ? find_cached_groups(key) : nullptr;
    if (cached != nullptr) {
      add_reference(cached);
      return cached;
    }
    GroupSet *groups = nullptr;
    while_busy([&] { groups = query_source(source, user, until); });
    // What was committed after the snapshot makes itself known, now or with the next statement.
    AcceptInvalidationMessages();
    cached = make_cached_groups(key, groups);
    if (!source->valid) {
      if (attempt < 3) {
        release_cached_groups(cached);
        continue;
      }
      return cached;
    }
    if (source->not_cached_because == nullptr && !has_own_change()) add_to_cache(cached);
    return cached;
  }
}

// The same; in a parallel worker, what its leader was given.
CachedGroups *groups_of(const char *name, const ContextValue *user, CommandId until = InvalidCommandId) {
  if (IsParallelWorker()) {
    GroupSet *groups = handed_down_groups(name, user);
    if (groups != nullptr) {
      CachedGroups *cached = make_cached_groups({0, user->bytes(), static_cast<uint32>(user->length())}, groups);
      pfree(groups);
      return cached;
    }
  }
  MemoryContext scratch =
      AllocSetContextCreate(CurrentMemoryContext, "rls_tenant membership query", ALLOCSET_SMALL_SIZES);
  MemoryContext before = MemoryContextSwitchTo(scratch);
  CachedGroups *cached = find_or_query(name, user, until);
  MemoryContextSwitchTo(before);
  MemoryContextDelete(scratch);
  return cached;
}

void release_given_outside() {
  CachedGroups *cached = given_outside;
  given_outside = nullptr;
  if (cached != nullptr) release_cached_groups(cached);
}

// The transaction's own changes are visible to its next command, and to a function that goes on after it.
void on_visible_change() {
  visible_own_changes++;
  groups_stamp = 0;
}

// Has a statement ask again where its transaction's changes have become visible.
void notice_own_changes(StatementScope *scope) {
  if (scope->own_changes != visible_own_changes) {
    merge_statement_groups(&scope->also_given, &scope->current);
    scope->stamp = ++last_stamp;
    scope->own_changes = visible_own_changes;
  }
  groups_stamp = scope->stamp;
}

void at_transaction_event(XactEvent event) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
  release_given_outside();
  release_statement_groups(&given_before.given);
}

}  // namespace

const StatementScope *current_statement() { return statement; }

void enter_statement(StatementScope *scope) {
  ++last_stamp;
  *scope = {statement, nullptr, nullptr, last_stamp, visible_own_changes, last_stamp};
  statement = scope;
  groups_stamp = scope->stamp;
}

void leave_statement(StatementScope *scope, StatementGroups **given) {
  statement = scope->outer;
  const bool up_to_date = statement != nullptr && statement->own_changes == visible_own_changes;
  groups_stamp = up_to_date ? statement->stamp : 0;
  merge_statement_groups(&scope->also_given, &scope->current);
  // Also where it failed: a function may catch the error and go on with what it has seen.
  if (statement != nullptr) copy_statement_groups(&statement->also_given, scope->also_given);
  if (given != nullptr) {
    merge_statement_groups(given, &scope->also_given);
  } else {
    release_statement_groups(&scope->also_given);
  }
}

void check_given_groups(const StatementGroups *given) {
  for (; given != nullptr; given = given->next) {
    // Of the user that they are of: a function's SET clause may have named another than the context has now.
    ContextValue user;
    parse_context_value(given->cached->key.user, given->cached->key.user_length, &user);
    AcceptInvalidationMessages();
    CachedGroups *now = groups_of(given->source, &user);
    const bool lost = !nothing_lost(given->cached->groups, now->groups);
    release_cached_groups(now);
    if (!lost) continue;
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("the user has lost a membership since the cursor was opened"),
             errdetail("The cursor's rows were chosen by membership source \"%s\" as it was then.", given->source),
             errhint("Close the cursor and open it again.")));
  }
}

const GroupSet *user_groups(const char *source, size_t length) {
  const ContextValue *user = read_context(Setting::user);
  if (user == nullptr) return nullptr;
  if (statement != nullptr) {
    notice_own_changes(statement);
    const StatementGroups *given = find_statement_groups(statement->current, source, length, user);
    if (given != nullptr) return given->cached->groups;
  }
  // A prepared statement in an open transaction takes no new lock, and would learn of nothing.
  AcceptInvalidationMessages();
  char *name = pnstrdup(source, length);
  CachedGroups *cached = groups_of(name, user);
  pfree(name);
  if (statement != nullptr) {
    notice_own_changes(statement);
    add_statement_groups(&statement->current, source, length, cached);
  } else {
    release_given_outside();
    given_outside = cached;
    note_transaction();
  }
  return cached->groups;
}

const GroupSet *user_groups_before_statement(const char *source, size_t length) {
  // Commands are counted up by what triggers and functions run within the statement.
  const CommandId first = ActiveSnapshotSet() ? GetActiveSnapshot()->curcid : InvalidCommandId;
  if (GetCurrentCommandId(false) <= first) return user_groups(source, length);
  const ContextValue *user = read_context(Setting::user);
  if (user == nullptr) return nullptr;
  const uint64 number = statement != nullptr ? statement->number : 0;
  if (given_before.statement != number || given_before.command != first) {
    release_statement_groups(&given_before.given);
    given_before = {nullptr, number, first};
  }
  const StatementGroups *given = find_statement_groups(given_before.given, source, length, user);
  if (given != nullptr) return given->cached->groups;
  AcceptInvalidationMessages();
  add_statement_groups(&given_before.given, source, length, groups_of(source, user, first));
  note_transaction();
  return given_before.given->cached->groups;
}

const StatementGroups *groups_of_known_sources() {
  if (present_context(Setting::user) == nullptr) return nullptr;
  List *rows = source_rows();
  const ListCell *cell;
  foreach (cell, rows) {
    const char *name = static_cast<const SourceRow *>(lfirst(cell))->name;
    if (!is_known(name)) continue;  // planning has asked what the plan needs; others may be slow
    if (!IsInParallelMode()) {
      in_subtransaction([&] { user_groups(name, strlen(name)); });  // a worker that needs it meets the same error
    } else if (is_ready(name)) {  // within another parallel plan, where before 17 no subtransaction can be begun
      user_groups(name, strlen(name));
    }
  }
  return statement->current;
}

uint64 membership_queries() { return queries; }

void lookup_init() {
  on_visible_own_change(on_visible_change);
  at_end_of_transaction(at_transaction_event);
}

}  // namespace rls_tenant
