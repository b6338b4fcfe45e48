// PostgreSQL checks the rows that are there when it adds or validates a foreign key, as the role that does so: under
// row-level security it sees those of one tenant, and believes the others.

#include "guard/foreign_key_check.hpp"

#include "guard/refusals.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

// The table that a subcommand of ALTER TABLE has checked a foreign key to; InvalidOid: it has checked none.
Oid checked_foreign_key(Oid relid, const AlterTableCmd *command) {
  if (compat::adds_constraint(command) && command->def != nullptr && IsA(command->def, Constraint)) {
    const Constraint *constraint = reinterpret_cast<const Constraint *>(command->def);
    if (constraint->contype != CONSTR_FOREIGN || constraint->skip_validation) return InvalidOid;
    return RangeVarGetRelid(constraint->pktable, NoLock, true);
  }
  Oid result = InvalidOid;
  const char *name = compat::validated_constraint(command);
  if (name == nullptr) return result;
  for_catalog_rows(ConstraintRelationId, ConstraintRelidTypidNameIndexId, Anum_pg_constraint_conrelid, relid, nullptr,
                   [&](HeapTuple tuple, TupleDesc) {
                     const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
                     if (strcmp(NameStr(form->conname), name) == 0) result = form->confrelid;
                   });
  return result;
}

// Whether a table has rows from before the transaction, perhaps, that forced row-level security hides from its owner.
bool hides_rows(Oid relid, Snapshot before) {
  return is_enabled_and_forced(relid) && relation_row(relid, before).found;
}

}  // namespace

void check_foreign_key_commands(Oid relid, List *subcommands, int level) {
  if (has_bypassrls_privilege(GetUserId())) return;
  const Snapshot before = snapshot_before_transaction();
  const ListCell *cell;
  foreach (cell, subcommands) {
    const Node *command = static_cast<const CollectedATSubcmd *>(lfirst(cell))->parsetree;
    const Oid referenced = checked_foreign_key(relid, reinterpret_cast<const AlterTableCmd *>(command));
    if (!OidIsValid(referenced) || (!hides_rows(relid, before) && !hides_rows(referenced, before))) continue;
    const char *message =
        psprintf("a foreign key of table %s was checked for the rows of one tenant only", relation_name(relid));
    const char *detail =
        psprintf("fk_crosses: role \"%s\" sees only those of %s, and PostgreSQL marks the key as valid for all.",
                 role_name(GetUserId()), relation_name(hides_rows(relid, before) ? relid : referenced));
    const bool enforces = reinterpret_cast<const AlterTableCmd *>(command)->subtype == AT_AlterConstraint;
    remember_refusal(message, detail);
    ereport(level, (errcode(ERRCODE_INVALID_TABLE_DEFINITION), errmsg_internal("%s", message),
                    errdetail_internal("%s", detail),
                    enforces ? errhint("Let a role with BYPASSRLS run ALTER TABLE %s ALTER CONSTRAINT ... ENFORCED;",
                                       relation_name(relid))
                             : errhint("Add it NOT VALID, and let a role with BYPASSRLS run ALTER TABLE %s VALIDATE "
                                       "CONSTRAINT ...;",
                                       relation_name(relid))));
  }
  release_snapshot(before);
}

}  // namespace rls_tenant
