// Who may add rows to the configuration tables, which pg_dump carries: a restore adds them as COPY does, be it by a
// role that is no superuser. INSERT is granted to everybody, and this trigger decides.

#include "guard/ddl_notes.hpp"
#include "membership/source.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

// The columns by which a row is judged, in the order of the install scripts.
constexpr AttrNumber exemption_schema = 1, source_relation = 2;

[[noreturn]] void refuse_row(Relation table, Oid role, const char *detail) {
  const char *name = role_name(role);
  ereport(
      ERROR,
      (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
       errmsg("role \"%s\" may not add rows to %s", name, relation_name(RelationGetRelid(table))),
       errdetail("%s", detail),
       errhint("exempt(), baseline() and add_membership() add rows. Before a restore a superuser runs CREATE EXTENSION "
               "rls_tenant; and, until it is done, ALTER ROLE %s SET rls_tenant.guard = off;",
               quote_identifier(name))));
  pg_unreachable();
}

// Whether a role could do now, with its guard off, what an exemption for a schema lets be done later.
bool may_make_tables(const char *schema, Oid role) {
  const Oid oid = get_namespace_oid(schema, true);
  return OidIsValid(oid) ? compat::may_create_in_schema(oid, role) : compat::may_create_in_database(role);
}

// Nothing here asks what rows there are: whoever is refused must not learn that from the error.
void check_row(Relation table, HeapTuple row, Oid role) {
  if (guard_mode() != mode_off)
    refuse_row(table, role, "Its rows decide what the guard allows, and who is a member of what.");
  bool isnull;
  const TupleDesc description = RelationGetDescr(table);
  if (RelationGetRelid(table) == source_table()) {
    const Oid relid = DatumGetObjectId(heap_getattr(row, source_relation, description, &isnull));
    if (!isnull && get_rel_relkind(relid) != '\0' && compat::owns_relation(relid, role)) return;
    refuse_row(table, role, "With the guard off a role may add sources of relations that it owns.");
  }
  const Datum schema = heap_getattr(row, exemption_schema, description, &isnull);
  if (!isnull && may_make_tables(TextDatumGetCString(schema), role)) return;
  refuse_row(table, role, "With the guard off a role may exempt tables of schemas in which it may make tables.");
}

}  // namespace

// The trigger itself. Whoever may update the table may write what they like: its owner, superusers, pg_write_all_data.
// It comes before constraints and unique indexes, so that those tell nothing of other rows.
RT_FUNCTION(rls_tenant_check_configuration_row) {
  const TriggerData *trigger = reinterpret_cast<const TriggerData *>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
      !TRIGGER_FIRED_BEFORE(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("check_configuration_row() is a trigger function"),
                    errdetail("It was called otherwise than before the INSERT of a row."),
                    errhint("CREATE EXTENSION rls_tenant makes its triggers.")));
  }
  const Oid role = GetUserId();
  if (pg_class_aclcheck(RelationGetRelid(trigger->tg_relation), role, ACL_UPDATE) != ACLCHECK_OK) {
    check_row(trigger->tg_relation, trigger->tg_trigtuple, role);
  }
  return PointerGetDatum(trigger->tg_trigtuple);
}

}  // namespace rls_tenant
