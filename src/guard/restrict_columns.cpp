// restrict_columns(): columns that only a role may change, which row-level security cannot say.
//
// An AFTER trigger sees what all BEFORE triggers have made of a row. A row that moves to another partition fires no
// trigger for UPDATE: it is deleted here and inserted there. The deleted row says that it has moved, and the next row
// that the same rule sees inserted in the same statement is it: PostgreSQL queues the two one after the other.

#include "guard/column_rule.hpp"
#include "context/own_functions.hpp"
#include "membership/membership_functions.hpp"
#include "membership/lookup.hpp"
#include "membership/source.hpp"
#include "policy/tenancy.hpp"

namespace rls_tenant {

namespace {

// The values of the restricted columns in one row and, as the last one, the row's tenant.
struct Values {
  Datum *values;
  bool *nulls;
};

// What a trigger remembers for the rows of a statement, in fn_extra.
struct Watch {
  ColumnRule *rule;
  Values before;
  Values after;
  Values defaults;
  bool knows_defaults;
  bool knows_tenant;
  RestrictedColumn tenant;  // without attribute: there is none
  Oid tenant_type;
  bool knows_role;
  Oid role;  // of the database; InvalidOid: there is none of that name
};

// A row that has left its partition, until it arrives at another. Lives as long as the transaction.
struct Moved {
  Moved *next;
  uint64 statement;           // that moved it, and
  TransactionId transaction;  // in which subtransaction
  Oid rule;                   // the root trigger
  Values row;
  RestrictedColumn tenant;  // of the partition that it has left
  Oid tenant_type;
};
Moved *moved_rows = nullptr;
bool forgets_moved_rows = false;  // at the transaction's end

void forget_moved_rows(void *) {
  moved_rows = nullptr;
  forgets_moved_rows = false;
}

// The statement that is running; 0: one that loaded the library.
uint64 statement_number() { return current_statement() != nullptr ? current_statement()->number : 0; }

Values make_values(int count, MemoryContext memory) {
  return {static_cast<Datum *>(MemoryContextAllocZero(memory, sizeof(Datum) * static_cast<size_t>(count))),
          static_cast<bool *>(MemoryContextAllocZero(memory, sizeof(bool) * static_cast<size_t>(count)))};
}

[[noreturn]] void raise_unusable(const TriggerData *data, const RuleFault &fault) {
  report_unusable_rule(data->tg_relation, data->tg_trigger, fault, ERROR);
  pg_unreachable();
}

// The rule of the trigger that is called, read once a statement.
Watch *watch_of(FunctionCallInfo fcinfo, const TriggerData *data) {
  Watch *watch = static_cast<Watch *>(fcinfo->flinfo->fn_extra);
  if (likely(watch != nullptr && watch->rule->trigger == data->tg_trigger->tgoid &&
             watch->rule->relid == RelationGetRelid(data->tg_relation))) {
    return watch;
  }
  const MemoryContext memory = fcinfo->flinfo->fn_mcxt;
  RuleFault fault = {};
  ColumnRule *rule = read_column_rule(data->tg_relation, data->tg_trigger, memory, &fault);
  if (rule == nullptr) raise_unusable(data, fault);
  watch = static_cast<Watch *>(MemoryContextAllocZero(memory, sizeof(Watch)));
  watch->rule = rule;
  watch->before = make_values(rule->count + 1, memory);
  watch->after = make_values(rule->count + 1, memory);
  fcinfo->flinfo->fn_extra = watch;
  return watch;
}

void take(const ColumnRule *rule, TupleTableSlot *row, Values *into) {
  for (int i = 0; i < rule->count; i++) {
    into->values[i] = slot_getattr(row, rule->columns[i].attribute, &into->nulls[i]);
  }
}

// Finds the tenant column, which only a change of what is restricted asks for.
void find_tenant(Watch *watch, Relation relation) {
  if (watch->knows_tenant) return;
  watch->knows_tenant = true;
  const AttrNumber attribute = tenant_attribute(RelationGetRelid(relation));
  if (attribute <= 0) return;
  const Form_pg_attribute form = TupleDescAttr(RelationGetDescr(relation), attribute - 1);
  watch->tenant = {attribute, form->attbyval, form->attlen};
  watch->tenant_type = getBaseType(form->atttypid);
}

void take_tenant(const Watch *watch, TupleTableSlot *row, Values *into) {
  const int place = watch->rule->count;
  into->nulls[place] = true;
  if (watch->tenant.attribute > 0) {
    into->values[place] = slot_getattr(row, watch->tenant.attribute, &into->nulls[place]);
  }
}

// Whether two values are the same toasted one, which needs no reading.
bool same_toast(Datum left, Datum right) {
  const void *one = DatumGetPointer(left), *other = DatumGetPointer(right);
  return VARATT_IS_EXTERNAL_ONDISK(one) && VARATT_IS_EXTERNAL_ONDISK(other) &&
         memcmp(VARDATA_EXTERNAL(one), VARDATA_EXTERNAL(other), sizeof(varatt_external)) == 0;
}

// Whether a value differs, byte for byte: what is equal to its type may be another value to the application.
bool differs(const RestrictedColumn &column, int place, const Values &before, const Values &after) {
  if (before.nulls[place] || after.nulls[place]) return before.nulls[place] != after.nulls[place];
  const Datum left = before.values[place], right = after.values[place];
  if (column.by_value) return left != right && !datum_image_eq(left, right, true, column.length);
  if (column.length == -1 && same_toast(left, right)) return false;
  return !datum_image_eq(left, right, false, column.length);
}

bool any_differs(const ColumnRule *rule, const Values &before, const Values &after) {
  for (int i = 0; i < rule->count; i++) {
    if (differs(rule->columns[i], i, before, after)) return true;
  }
  return false;
}

// Evaluates the defaults: once a statement, since they are the same within a transaction.
void evaluate_defaults(Watch *watch, const TriggerData *data, MemoryContext memory) {
  if (watch->knows_defaults) return;
  const ColumnRule *rule = watch->rule;
  watch->defaults = make_values(rule->count + 1, memory);
  for (int i = 0; i < rule->count; i++) {
    RuleFault fault = {};
    Node *expression = column_default(rule, data->tg_relation, i, &fault);
    if (fault.detail != nullptr) raise_unusable(data, fault);
    watch->defaults.nulls[i] = expression == nullptr;
    if (expression == nullptr) continue;
    EState *state = CreateExecutorState();
    ExprState *prepared = ExecPrepareExpr(reinterpret_cast<Expr *>(expression), state);
    const Datum value = ExecEvalExprSwitchContext(prepared, GetPerTupleExprContext(state), &watch->defaults.nulls[i]);
    if (!watch->defaults.nulls[i]) {
      const MemoryContext before = MemoryContextSwitchTo(memory);
      watch->defaults.values[i] = datumCopy(value, rule->columns[i].by_value, rule->columns[i].length);
      MemoryContextSwitchTo(before);
    }
    FreeExecutorState(state);
  }
  watch->knows_defaults = true;
}

// Whether there is a source that can be asked about rows of the table.
bool has_source(const Watch *watch) {
  if (watch->tenant.attribute <= 0) return false;
  return is_ready(watch->rule->source) || source_row(watch->rule->source) != nullptr;
}

// Whether the user has the role in the tenant of a row.
bool has_role_in(const Watch *watch, const Values &row) {
  const int place = watch->rule->count;
  return !row.nulls[place] &&
         user_has_role(row.values[place], watch->tenant_type, watch->rule->role, watch->rule->source);
}

// Why the current role and user may not change what is restricted, for a DETAIL; nullptr: they may. An error where the
// rule names a role that nobody can have. before: nullptr for a new row.
const char *refusal(Watch *watch, const TriggerData *data, const Values *before, const Values *after) {
  const ColumnRule *rule = watch->rule;
  if (!watch->knows_role) watch->role = get_role_oid(rule->role, true);
  watch->knows_role = true;
  const Oid role = watch->role, current = GetUserId();
  if (OidIsValid(role) && has_privs_of_role(current, role)) return nullptr;
  const bool asks_source = has_source(watch);
  if (!OidIsValid(role) && !asks_source) {
    const char *detail =
        watch->tenant.attribute > 0
            ? psprintf("There is neither a membership source \"%s\" nor a database role \"%s\".", rule->source,
                       rule->role)
            : psprintf(
                  "The table has no tenant column to ask membership source \"%s\" about, and there is no database "
                  "role \"%s\".",
                  rule->source, rule->role);
    raise_unusable(data, {detail, "Add the source, by rls_tenant.add_membership(), or the role, by CREATE ROLE."});
  }
  if (superuser_arg(current)) return nullptr;
  const char *not_member = OidIsValid(role) ? psprintf("database role \"%s\" does not have its privileges",
                                                       GetUserNameFromId(current, false))
                                            : "there is no database role of that name";
  if (!asks_source) return psprintf("The current %s.", not_member);
  const ContextValue *user = present_context(Setting::user);
  if (user == nullptr) return psprintf("No user is set for this transaction, and %s.", not_member);
  const bool stays = before == nullptr || !differs(watch->tenant, rule->count, *before, *after);
  if (has_role_in(watch, *after) && (stays || has_role_in(watch, *before))) return nullptr;
  return psprintf("User \"%s\" does not have it in the row's tenant by membership source \"%s\", and %s.",
                  user->bytes(), rule->source, not_member);
}

// The names of the columns that differ, and how many they are.
const char *names_of_changed(const ColumnRule *rule, const Values &before, const Values &after, int *count) {
  StringInfoData names;
  initStringInfo(&names);
  *count = 0;
  for (int i = 0; i < rule->count; i++) {
    if (!differs(rule->columns[i], i, before, after)) continue;
    appendStringInfo(&names, "%s%s", (*count)++ > 0 ? ", " : "",
                     quote_identifier(get_attname(rule->relid, rule->columns[i].attribute, false)));
  }
  return names.data;
}

[[noreturn]] void refuse(const ColumnRule *rule, const TriggerData *data, bool inserted, const Values &before,
                         const Values &after, const char *reason) {
  int count;
  const char *names = names_of_changed(rule, before, after, &count);
  const char *table = relation_name(rule->root_relid);
  const char *message = inserted ? psprintf("only role \"%s\" may insert other than defaults into %s %s of table %s",
                                            rule->role, count > 1 ? "columns" : "column", names, table)
                                 : psprintf("only role \"%s\" may change %s %s of table %s", rule->role,
                                            count > 1 ? "columns" : "column", names, table);
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg_internal("%s", message), errdetail("%s", reason),
                  inserted ? errhint("Leave the column out, or let somebody with role \"%s\" do it.", rule->role)
                           : errhint("Leave the column as it is, or let somebody with role \"%s\" do it.", rule->role),
                  errtable(data->tg_relation)));
  pg_unreachable();
}

// Judges a row. before: what it was, or the defaults that a new one is compared with.
void judge(Watch *watch, const TriggerData *data, bool inserted, const Values &before, const Values &after) {
  const char *reason = refusal(watch, data, inserted ? nullptr : &before, &after);
  if (reason != nullptr) refuse(watch->rule, data, inserted, before, after, reason);
}

// Remembers a row that has left its partition, for when it arrives.
void note_moved(Watch *watch, const TriggerData *data) {
  const ColumnRule *rule = watch->rule;
  find_tenant(watch, data->tg_relation);
  take(rule, data->tg_trigslot, &watch->before);
  take_tenant(watch, data->tg_trigslot, &watch->before);
  if (!rule->restricts_insert) {  // where it arrives nobody will see it
    const char *reason = refusal(watch, data, &watch->before, &watch->before);
    if (reason == nullptr) return;
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
             errmsg("only role \"%s\" may move rows between partitions of table %s", rule->role,
                    relation_name(rule->root_relid)),
             errdetail("%s Column rule \"%s\" does not fire for INSERT, so that it cannot see what becomes of them.",
                       reason, data->tg_trigger->tgname),
             errhint("Make the trigger for INSERT, too, or let somebody with role \"%s\" do it.", rule->role),
             errtable(data->tg_relation)));
  }
  const MemoryContext memory = MemoryContextSwitchTo(TopTransactionContext);
  if (!forgets_moved_rows) {
    MemoryContextCallback *at_end = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
    at_end->func = forget_moved_rows;
    MemoryContextRegisterResetCallback(TopTransactionContext, at_end);
    forgets_moved_rows = true;
  }
  Moved *moved = static_cast<Moved *>(palloc(sizeof(Moved)));
  *moved = {moved_rows,
            statement_number(),
            GetCurrentTransactionIdIfAny(),
            rule->root,
            make_values(rule->count + 1, TopTransactionContext),
            watch->tenant,
            watch->tenant_type};
  for (int i = 0; i <= rule->count; i++) {
    const RestrictedColumn &column = i < rule->count ? rule->columns[i] : watch->tenant;
    moved->row.nulls[i] = watch->before.nulls[i];
    if (!moved->row.nulls[i]) moved->row.values[i] = datumCopy(watch->before.values[i], column.by_value, column.length);
  }
  moved_rows = moved;
  MemoryContextSwitchTo(memory);
}

// Takes the row from the list that arrives now, if one is on its way.
Moved *take_moved(const ColumnRule *rule) {
  for (Moved **link = &moved_rows; *link != nullptr; link = &(*link)->next) {
    Moved *moved = *link;
    if (moved->rule != rule->root || moved->statement != statement_number() ||
        moved->transaction != GetCurrentTransactionIdIfAny()) {
      continue;
    }
    *link = moved->next;
    return moved;
  }
  return nullptr;
}

void release_moved(const ColumnRule *rule, Moved *moved) {
  for (int i = 0; i <= rule->count; i++) {
    const RestrictedColumn &column = i < rule->count ? rule->columns[i] : moved->tenant;
    if (!moved->row.nulls[i] && !column.by_value) pfree(DatumGetPointer(moved->row.values[i]));
  }
  pfree(moved->row.values);
  pfree(moved->row.nulls);
  pfree(moved);
}

void judge_insert(Watch *watch, const TriggerData *data, MemoryContext memory) {
  const ColumnRule *rule = watch->rule;
  Moved *moved = rule->is_partition ? take_moved(rule) : nullptr;
  take(rule, data->tg_trigslot, &watch->after);
  if (moved == nullptr) {
    evaluate_defaults(watch, data, memory);
    if (!any_differs(rule, watch->defaults, watch->after)) return;
    find_tenant(watch, data->tg_relation);
    take_tenant(watch, data->tg_trigslot, &watch->after);
    judge(watch, data, true, watch->defaults, watch->after);
    return;
  }
  if (rule->restricts_update && any_differs(rule, moved->row, watch->after)) {
    find_tenant(watch, data->tg_relation);
    take_tenant(watch, data->tg_trigslot, &watch->after);
    // Where the partitioned table is not a tenant table, partitions may have tenant columns of their own.
    if (moved->tenant_type != watch->tenant_type) moved->row.nulls[rule->count] = true;
    judge(watch, data, false, moved->row, watch->after);
  }
  release_moved(rule, moved);
}

void judge_update(Watch *watch, const TriggerData *data) {
  const ColumnRule *rule = watch->rule;
  take(rule, data->tg_trigslot, &watch->before);
  take(rule, data->tg_newslot, &watch->after);
  if (!any_differs(rule, watch->before, watch->after)) return;
  find_tenant(watch, data->tg_relation);
  take_tenant(watch, data->tg_trigslot, &watch->before);
  take_tenant(watch, data->tg_newslot, &watch->after);
  judge(watch, data, false, watch->before, watch->after);
}

}  // namespace

// restrict_columns(columns, role [, source])
RT_FUNCTION(rls_tenant_restrict_columns) {
  if (!CALLED_AS_TRIGGER(fcinfo)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("restrict_columns() is a trigger function"), errdetail("It was called otherwise."),
                    errhint("CREATE TRIGGER ... AFTER INSERT OR UPDATE ON ... FOR EACH ROW EXECUTE FUNCTION "
                            "rls_tenant.restrict_columns('column, ...', 'role');")));
  }
  const TriggerData *data = reinterpret_cast<const TriggerData *>(fcinfo->context);
  Watch *watch = watch_of(fcinfo, data);
  if (TRIGGER_FIRED_BY_UPDATE(data->tg_event)) {
    judge_update(watch, data);
  } else if (TRIGGER_FIRED_BY_INSERT(data->tg_event)) {
    judge_insert(watch, data, fcinfo->flinfo->fn_mcxt);
  } else if (HeapTupleHeaderIndicatesMovedPartitions(data->tg_trigtuple->t_data)) {
    note_moved(watch, data);
  }
  return PointerGetDatum(nullptr);
}

}  // namespace rls_tenant
