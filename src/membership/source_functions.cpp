// Adding and dropping sources, the trigger that makes changes known, and what a DBA asks about sources.

#include "membership/source.hpp"
#include "membership/source_relations.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"
#include "postgres/condition.hpp"
#include "postgres/statements.hpp"
#include "postgres/subtransaction.hpp"

namespace rls_tenant {

namespace {

constexpr char example[] =
    "SELECT rls_tenant.add_membership('tenant', 'public.member', 'user_id', 'tenant_id', 'role', 'active');";

[[noreturn]] void refuse_argument(int code, const char *message, const char *detail) {
  ereport(ERROR, (errcode(code), errmsg("%s", message), errdetail("%s", detail), errhint("%s", example)));
  pg_unreachable();
}

const char *name_argument(FunctionCallInfo fcinfo, int argument) {
  return PG_ARGISNULL(argument) ? nullptr : pstrdup(NameStr(*PG_GETARG_NAME(argument)));
}

void check_name(const char *name) {
  if (*name == '\0' || strlen(name) >= NAMEDATALEN) {
    refuse_argument(ERRCODE_INVALID_PARAMETER_VALUE, "invalid name for a membership source",
                    psprintf("A name has 1 to %d bytes.", NAMEDATALEN - 1));
  }
}

void check_owner(const SourceRow *row) {
  if (compat::owns_relation(row->relid, GetUserId())) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of relation %s", relation_name(row->relid)),
           errdetail("Membership source \"%s\" is queried with its owner's privileges.", row->name),
           errhint("Call this as the owner, or as a member of that role.")));
}

// Runs one statement on the table of sources, which nobody else may write, with text arguments.
void write_sources(const char *sql, const char *const *arguments, int count) {
  as_owner(source_table(), 0, [&] {
    Oid types[6];
    Datum values[6];
    char nulls[6];
    for (int i = 0; i < count; i++) {
      types[i] = TEXTOID;
      nulls[i] = arguments[i] != nullptr ? ' ' : 'n';
      values[i] = arguments[i] != nullptr ? CStringGetTextDatum(arguments[i]) : static_cast<Datum>(0);
    }
    SPI_connect();
    SPI_execute_with_args(sql, count, types, values, nulls, false, 0);
    SPI_finish();
  });
}

void run_on_table(Oid relid, const char *sql) {
  Statement statement = {relid, sql};
  run_statements(list_make1(&statement));
}

// Whether a table is a partition that has its triggers from one of these tables.
bool has_it_from_table(List *tables, Oid relid) {
  return get_rel_relispartition(relid) && list_member_oid(tables, get_partition_parent(relid, true));
}

// Gives the tables their triggers. Partitions get them with their table, at any time.
void make_triggers(List *tables) {
  const ListCell *cell;
  foreach (cell, tables) {
    const Oid relid = lfirst_oid(cell);
    if (has_change_trigger(relid) || has_it_from_table(tables, relid)) continue;
    run_on_table(relid, psprintf("CREATE OR REPLACE TRIGGER %s BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW "
                                 "EXECUTE FUNCTION rls_tenant.note_membership_change()",
                                 change_trigger, relation_name(relid)));
  }
  foreach (cell, tables) {
    const Oid relid = lfirst_oid(cell);
    if (has_change_trigger(relid)) continue;  // with its table's; a partition's own may have been disabled
    run_on_table(relid, psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", relation_name(relid), change_trigger));
  }
}

// Takes the triggers from tables that no other source reads. Where that cannot be told they stay, which does no harm.
void drop_triggers(const SourceRow *dropped) {
  List *tables = NIL;
  if (in_subtransaction([&] { tables = check_source(dropped); }) != nullptr) return;
  List *rows = source_rows();
  const ListCell *cell;
  foreach (cell, rows) {
    const SourceRow *row = static_cast<const SourceRow *>(lfirst(cell));
    List *others = NIL;
    if (in_subtransaction([&] { others = check_source(row); }) != nullptr) return;
    tables = list_difference_oid(tables, others);
  }
  foreach (cell, tables) {
    const Oid relid = lfirst_oid(cell);
    if (!has_change_trigger(relid) || has_it_from_table(tables, relid)) continue;
    run_on_table(relid, psprintf("DROP TRIGGER %s ON %s", change_trigger, relation_name(relid)));
  }
}

}  // namespace

// add_membership(name, relation, user_column, group_column, role_column, active)
RT_FUNCTION(rls_tenant_add_membership) {
  for (int i = 0; i < 4; i++) {
    if (PG_ARGISNULL(i)) {
      refuse_argument(ERRCODE_NULL_VALUE_NOT_ALLOWED, "a membership source needs a name, a relation and two columns",
                      "One of these arguments is null.");
    }
  }
  SourceRow row = {};
  row.name = text_to_cstring(PG_GETARG_TEXT_PP(0));
  row.relid = PG_GETARG_OID(1);
  row.user_column = name_argument(fcinfo, 2);
  row.group_column = name_argument(fcinfo, 3);
  row.role_column = name_argument(fcinfo, 4);
  check_name(row.name);
  Relation relation = try_relation_open(row.relid, AccessShareLock);
  if (relation == nullptr) {
    refuse_argument(ERRCODE_UNDEFINED_TABLE, psprintf("relation with OID %u does not exist", row.relid),
                    "A membership source is a table or a view.");
  }
  check_owner(&row);
  if (source_row(row.name) != nullptr) {
    ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("membership source \"%s\" already exists", row.name),
                    errdetail("Policies may rely on it."),
                    errhint("To replace it, first run SELECT rls_tenant.drop_membership(%s); in the same transaction.",
                            quote_literal_cstr(row.name))));
  }
  if (!PG_ARGISNULL(5)) {  // as the caller means it; from here on as it is stored
    row.active = deparse_condition(relation, parse_active(relation, text_to_cstring(PG_GETARG_TEXT_PP(5))));
  }
  relation_close(relation, NoLock);
  List *tables = check_source(&row);
  const char *arguments[6] = {row.name,         psprintf("%u", row.relid), row.user_column,
                              row.group_column, row.role_column,           row.active};
  write_sources(
      "INSERT INTO rls_tenant.membership_source (name, relation, user_column, group_column, role_column, active) "
      "VALUES ($1, $2::pg_catalog.oid, $3, $4, $5, $6)",
      arguments, 6);
  make_triggers(tables);
  PG_RETURN_VOID();
}

// drop_membership(name)
RT_FUNCTION(rls_tenant_drop_membership) {
  const char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
  const SourceRow *row = source_row(name);
  if (row == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("membership source \"%s\" does not exist", name),
                    errdetail("Nothing was dropped."), errhint("SELECT name FROM rls_tenant.membership_sources();")));
  }
  if (get_rel_relkind(row->relid) != '\0') check_owner(row);
  write_sources("DELETE FROM rls_tenant.membership_source WHERE name = $1", &name, 1);
  drop_triggers(row);
  PG_RETURN_VOID();
}

// The row trigger on the tables that sources read, and on the table of sources. It runs before the change, so that
// nothing found in between is cached; the invalidation is sent when the transaction commits.
RT_FUNCTION(rls_tenant_note_membership_change) {
  if (!CALLED_AS_TRIGGER(fcinfo)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("note_membership_change() is a trigger function"),
                    errdetail("It was not called by the trigger manager."),
                    errhint("rls_tenant.add_membership() creates its trigger.")));
  }
  const TriggerData *trigger = reinterpret_cast<const TriggerData *>(fcinfo->context);
  note_own_change();
  CacheInvalidateRelcache(trigger->tg_relation);
  return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple);
}

// membership_sources(): one row each, and whether its groups are cached.
RT_FUNCTION(rls_tenant_membership_sources) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  List *rows = source_rows();
  const ListCell *cell;
  foreach (cell, rows) {
    const SourceRow *row = static_cast<const SourceRow *>(lfirst(cell));
    const char *not_cached_because = nullptr;
    const char *problem = in_subtransaction([&] {
      const Source *source = find_source(row->name);
      if (source->not_cached_because != nullptr) {
        not_cached_because = pstrdup(source->not_cached_because);
      } else if (source->depends_on_clock) {
        not_cached_because = "it depends on the clock: cached for one transaction";
      }
    });
    const char *detail = problem != nullptr ? problem : not_cached_because;
    Datum values[4] = {CStringGetTextDatum(row->name), ObjectIdGetDatum(row->relid), BoolGetDatum(detail == nullptr),
                       detail != nullptr ? CStringGetTextDatum(detail) : static_cast<Datum>(0)};
    bool nulls[4] = {false, false, false, detail == nullptr};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
