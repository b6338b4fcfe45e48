// restrict_columns(): columns that only a role may change, which row-level security cannot say.
//
// An AFTER trigger sees what all BEFORE triggers have made of a row. A row that moves to another partition fires no
// trigger for UPDATE: it is deleted here and inserted there. The deleted row says that it has moved, and the next row
// that the same rule sees inserted in the same statement is it: PostgreSQL queues the two one after the other.

#include "context/context.hpp"
#include "guard/moved_rows.hpp"
#include "membership/membership_functions.hpp"
#include "membership/source.hpp"
#include "policy/tenancy.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

// What a trigger remembers for the rows of a statement, in fn_extra.
struct RuleState {
  ColumnRule *rule;
  RowValues before;
  RowValues after;
  RowValues defaults;
  bool knows_defaults;
  bool knows_tenant;
  RestrictedColumn tenant;  // without attribute: there is none
  Oid tenant_type;
  bool knows_role;
  Oid role;  // of the database; InvalidOid: there is none of that name
};

[[noreturn]] void raise_unusable(const TriggerData *data, const RuleFault &fault) {
  report_unusable_rule(data->tg_relation, data->tg_trigger, fault, ERROR);
  pg_unreachable();
}

// The rule of the trigger that is called, read once a statement.
RuleState *state_of(FunctionCallInfo fcinfo, const TriggerData *data) {
  RuleState *state = static_cast<RuleState *>(fcinfo->flinfo->fn_extra);
  if (likely(state != nullptr && state->rule->trigger == data->tg_trigger->tgoid &&
             state->rule->relid == RelationGetRelid(data->tg_relation))) {
    return state;
  }
  const MemoryContext memory = fcinfo->flinfo->fn_mcxt;
  RuleFault fault = {};
  ColumnRule *rule = read_column_rule(data->tg_relation, data->tg_trigger, memory, &fault);
  if (rule == nullptr) raise_unusable(data, fault);
  state = static_cast<RuleState *>(MemoryContextAllocZero(memory, sizeof(RuleState)));
  state->rule = rule;
  state->before = make_row_values(rule, memory);
  state->after = make_row_values(rule, memory);
  fcinfo->flinfo->fn_extra = state;
  return state;
}

void take(const ColumnRule *rule, TupleTableSlot *row, RowValues *into) {
  for (int i = 0; i < rule->count; i++) {
    into->values[i] = slot_getattr(row, rule->columns[i].attribute, &into->nulls[i]);
  }
}

// Finds the tenant column, which only a change of what is restricted asks for.
void find_tenant(RuleState *state, Relation relation) {
  if (state->knows_tenant) return;
  const AttrNumber attribute = tenant_attribute(RelationGetRelid(relation));
  state->knows_tenant = true;
  if (attribute <= 0) return;
  const Form_pg_attribute form = TupleDescAttr(RelationGetDescr(relation), attribute - 1);
  state->tenant = {attribute, form->attbyval, form->attlen};
  state->tenant_type = getBaseType(form->atttypid);
}

void take_tenant(const RuleState *state, TupleTableSlot *row, RowValues *into) {
  const int place = state->rule->count;
  into->nulls[place] = true;
  if (state->tenant.attribute > 0) {
    into->values[place] = slot_getattr(row, state->tenant.attribute, &into->nulls[place]);
  }
}

// Evaluates the defaults: once a statement, since they are the same within a transaction.
void evaluate_defaults(RuleState *state, const TriggerData *data, MemoryContext memory) {
  if (state->knows_defaults) return;
  const ColumnRule *rule = state->rule;
  state->defaults = make_row_values(rule, memory);
  for (int i = 0; i < rule->count; i++) {
    RuleFault fault = {};
    Node *expression = column_default(rule, data->tg_relation, i, &fault);
    if (fault.detail != nullptr) raise_unusable(data, fault);
    state->defaults.nulls[i] = expression == nullptr;
    if (expression == nullptr) continue;
    EState *executor = CreateExecutorState();
    ExprState *prepared = ExecPrepareExpr(reinterpret_cast<Expr *>(expression), executor);
    const Datum value =
        ExecEvalExprSwitchContext(prepared, GetPerTupleExprContext(executor), &state->defaults.nulls[i]);
    if (!state->defaults.nulls[i]) {
      const MemoryContext before = MemoryContextSwitchTo(memory);
      state->defaults.values[i] = datumCopy(value, rule->columns[i].by_value, rule->columns[i].length);
      MemoryContextSwitchTo(before);
    }
    FreeExecutorState(executor);
  }
  state->knows_defaults = true;
}

// Whether there is a source that can be asked about rows of the table.
bool has_source(const RuleState *state) {
  if (state->tenant.attribute <= 0) return false;
  return is_ready(state->rule->source) || source_row(state->rule->source) != nullptr;
}

// Whether the user has the role in the tenant of a row.
bool has_role_in(const RuleState *state, const RowValues &row) {
  const int place = state->rule->count;
  return !row.nulls[place] &&
         user_has_role(row.values[place], state->tenant_type, state->rule->role, state->rule->source);
}

// Why the current role and user may not change what is restricted, for a DETAIL; nullptr: they may. An error where the
// rule names a role that nobody can have. before: nullptr for a new row.
const char *refusal(RuleState *state, const TriggerData *data, const RowValues *before, const RowValues *after) {
  const ColumnRule *rule = state->rule;
  if (!state->knows_role) state->role = get_role_oid(rule->role, true);
  state->knows_role = true;
  const Oid role = state->role, current = GetUserId();
  if (OidIsValid(role) && has_privs_of_role(current, role)) return nullptr;
  const bool asks_source = has_source(state);
  if (!OidIsValid(role) && !asks_source) {
    const char *detail =
        state->tenant.attribute > 0
            ? psprintf("There is neither a membership source \"%s\" nor a database role \"%s\".", rule->source,
                       rule->role)
            : psprintf(
                  "The table has no tenant column to ask membership source \"%s\" about, and there is no database "
                  "role \"%s\".",
                  rule->source, rule->role);
    raise_unusable(data, {detail, "Add the source, by rls_tenant.add_membership(), or the role, by CREATE ROLE."});
  }
  if (superuser_arg(current)) return nullptr;
  const char *not_member = OidIsValid(role)
                               ? psprintf("database role \"%s\" does not have its privileges", role_name(current))
                               : "there is no database role of that name";
  if (!asks_source) return psprintf("The current %s.", not_member);
  const ContextValue *user = present_context(Setting::user);
  if (user == nullptr) return psprintf("No user is set for this transaction, and %s.", not_member);
  const bool stays = before == nullptr || !differs(state->tenant, rule->count, *before, *after);
  if (has_role_in(state, *after) && (stays || has_role_in(state, *before))) return nullptr;
  return psprintf("User \"%s\" does not have it in the row's tenant by membership source \"%s\", and %s.",
                  user->bytes(), rule->source, not_member);
}

// The names of the columns that differ, and how many they are.
const char *names_of_changed(const ColumnRule *rule, const RowValues &before, const RowValues &after, int *count) {
  StringInfoData names;
  initStringInfo(&names);
  *count = 0;
  for (int i = 0; i < rule->count; i++) {
    if (!differs(rule->columns[i], i, before, after)) continue;
    appendStringInfo(&names, "%s%s", (*count)++ > 0 ? ", " : "",
                     quote_identifier(attribute_name(rule->relid, rule->columns[i].attribute)));
  }
  return names.data;
}

[[noreturn]] void refuse(const ColumnRule *rule, const TriggerData *data, bool inserted, const RowValues &before,
                         const RowValues &after, const char *reason) {
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

// Refuses a change that the current role and user may not make. before: what it was, or the defaults that a new one is
// compared with.
void check_change(RuleState *state, const TriggerData *data, bool inserted, const RowValues &before,
                  const RowValues &after) {
  const char *reason = refusal(state, data, inserted ? nullptr : &before, &after);
  if (reason != nullptr) refuse(state->rule, data, inserted, before, after, reason);
}

// Remembers a row that has left its partition, for when it arrives.
void note_moved(RuleState *state, const TriggerData *data) {
  const ColumnRule *rule = state->rule;
  find_tenant(state, data->tg_relation);
  take(rule, data->tg_trigslot, &state->before);
  take_tenant(state, data->tg_trigslot, &state->before);
  if (!rule->restricts_insert) {  // where it arrives nobody will see it
    const char *reason = refusal(state, data, &state->before, &state->before);
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
  remember_moved_row(rule, state->before, state->tenant, state->tenant_type);
}

void check_insert(RuleState *state, const TriggerData *data, MemoryContext memory) {
  const ColumnRule *rule = state->rule;
  MovedRow *moved = rule->is_partition ? take_moved_row(rule) : nullptr;
  take(rule, data->tg_trigslot, &state->after);
  if (moved == nullptr) {
    evaluate_defaults(state, data, memory);
    if (!any_differs(rule, state->defaults, state->after)) return;
    find_tenant(state, data->tg_relation);
    take_tenant(state, data->tg_trigslot, &state->after);
    check_change(state, data, true, state->defaults, state->after);
    return;
  }
  if (rule->restricts_update && any_differs(rule, moved->values, state->after)) {
    find_tenant(state, data->tg_relation);
    take_tenant(state, data->tg_trigslot, &state->after);
    // Where the partitioned table is not a tenant table, partitions may have tenant columns of their own.
    if (moved->tenant_type != state->tenant_type) moved->values.nulls[rule->count] = true;
    check_change(state, data, false, moved->values, state->after);
  }
  release_moved_row(rule, moved);
}

void check_update(RuleState *state, const TriggerData *data) {
  const ColumnRule *rule = state->rule;
  take(rule, data->tg_trigslot, &state->before);
  take(rule, data->tg_newslot, &state->after);
  if (!any_differs(rule, state->before, state->after)) return;
  find_tenant(state, data->tg_relation);
  take_tenant(state, data->tg_trigslot, &state->before);
  take_tenant(state, data->tg_newslot, &state->after);
  check_change(state, data, false, state->before, state->after);
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
  RuleState *state = state_of(fcinfo, data);
  if (TRIGGER_FIRED_BY_UPDATE(data->tg_event)) {
    check_update(state, data);
  } else if (TRIGGER_FIRED_BY_INSERT(data->tg_event)) {
    check_insert(state, data, fcinfo->flinfo->fn_mcxt);
  } else if (HeapTupleHeaderIndicatesMovedPartitions(data->tg_trigtuple->t_data)) {
    note_moved(state, data);
  }
  return PointerGetDatum(nullptr);
}

}  // namespace rls_tenant
