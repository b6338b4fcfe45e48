// protect() and protect_sql(): what a table lacks, said in SQL, and done.

#include "guard/protect.hpp"

#include "guard/protection.hpp"
#include "policy/fault.hpp"
#include "policy/foreign_key_faults.hpp"
#include "postgres/statements.hpp"

namespace rls_tenant {

namespace {

[[noreturn]] void refuse_relation(Oid relid, const char *detail, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("cannot protect %s", relation_name(relid)),
                  errdetail("%s", detail), errhint("%s", hint)));
  pg_unreachable();
}

// Refuses what cannot be a tenant table.
void check_relation(const Tenancy &tenancy) {
  const Oid relid = tenancy.relid;
  const RelationRow &relation = tenancy.relation;
  if (!relation.found) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relid),
                    errdetail("protect() takes the name of a table."), errhint("Name a table that exists.")));
  }
  if (relation.kind != RELKIND_RELATION && relation.kind != RELKIND_PARTITIONED_TABLE) {
    refuse_relation(relid, "It is not a table, and row-level security works on tables.",
                    "Protect the tables that it reads; give a view security_invoker.");
  }
  if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP) {
    refuse_relation(relid, "It is a temporary table, which no other session sees.", "Protect permanent tables.");
  }
  if (relid < FirstNormalObjectId) {
    refuse_relation(relid, "It is a system catalog.", "Protect tables of your own.");
  }
  if (relation.is_partition && !OidIsValid(tenancy.ancestor)) {
    refuse_relation(relid, "It is a partition of a table that is not protected.",
                    "Protect the partitioned table: that protects its partitions, too.");
  }
}

// Row-level security for the table, and for what is below it.
void protect_rows(Protection *protection) {
  List *relations = find_all_inheritors(protection->tenancy->relid, NoLock, nullptr);
  const ListCell *cell;
  foreach (cell, relations) {
    const Oid relid = lfirst_oid(cell);
    const char kind = get_rel_relkind(relid);
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) continue;  // a foreign partition cannot
    if (is_enabled_and_forced(relid)) continue;
    add_statement_for(
        protection, relid,
        psprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", relation_name(relid)));
  }
}

// An argument that may be NULL, as a string.
const char *optional_text(FunctionCallInfo fcinfo, int argument) {
  return PG_ARGISNULL(argument) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

// Locks a table of the caller's, so that what is planned is still lacking when it is done: another protect() waits.
// (The statements take a stronger lock, for which nobody then waits who has planned already.) Others' tables are
// refused later.
void lock_own_table(Oid relid) {
  const char kind = get_rel_relkind(relid);
  if (relid < FirstNormalObjectId || (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)) return;
  if (!compat::owns_relation(relid, GetUserId())) return;
  Relation relation = try_relation_open(relid, ShareUpdateExclusiveLock);
  if (relation != nullptr) relation_close(relation, NoLock);
}

// protect(relation, tenant_column, access, membership, public_read)
List *statements_for_call(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the relation to protect is NULL"),
                    errdetail("protect() takes the name of a table."), errhint("Name a table that exists.")));
  }
  return protect_statements(tenancy_of(PG_GETARG_OID(0)),
                            {PG_ARGISNULL(1) ? nullptr : NameStr(*PG_GETARG_NAME(1)), optional_text(fcinfo, 2),
                             optional_text(fcinfo, 3), optional_text(fcinfo, 4)});
}

// Refuses who does not own a relation: its statements run as the owner.
void check_owner(Oid relid) {
  if (compat::owns_relation(relid, GetUserId())) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table %s", relation_name(relid)),
                  errdetail("protect() does what its caller may do."),
                  errhint("Call it as the owner, or as a member of that role.")));
}

// The same for all that statements alter, and for the table itself: a table that needs nothing is no reason to say
// nothing.
void check_owners(Oid relid, List *statements) {
  check_owner(relid);
  const ListCell *cell;
  foreach (cell, statements) check_owner(static_cast<const Statement *>(lfirst(cell))->relid);
}

// The other tables with a foreign key to a table.
List *referencing_tables(Oid relid) {
  List *tables = NIL;
  for_all_rows(ConstraintRelationId, [&](HeapTuple tuple, TupleDesc) {
    const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
    if (form->contype == CONSTRAINT_FOREIGN && form->confrelid == relid && form->conrelid != relid)
      tables = list_append_unique_oid(tables, form->conrelid);
  });
  return tables;
}

// Tells of the foreign keys of other tenant tables that cross to a table from now on: the guard judges what the
// transaction alters, and they were there before.
void tell_crossing_keys(Oid relid) {
  List *tables = referencing_tables(relid);
  const ListCell *cell;
  foreach (cell, tables) {
    List *faults = NIL;
    with_relation(lfirst_oid(cell), AccessShareLock, [&](Relation) {
      const Tenancy &table = tenancy_of(lfirst_oid(cell));
      if (keeps_tenants(table)) check_foreign_keys(&faults, table, relid);
    });
    const ListCell *of;
    foreach (of, faults) {
      const Fault *fault = static_cast<const Fault *>(lfirst(of));
      ereport(NOTICE,
              (errmsg("a foreign key of %s crosses to %s", relation_name(lfirst_oid(cell)), relation_name(relid)),
               errdetail("%s: %s", fault->rule, fault->detail), errhint("%s", fault->remedy)));
    }
  }
}

}  // namespace

// Public rows are admitted last, or no longer first of all.
List *protect_statements(const Tenancy &table, const ProtectRequest &request) {
  check_relation(table);
  Protection protection = {};
  protection.tenancy = &table;
  protection.name = relation_name(table.relid);
  protection.table = table_open(table.relid, AccessShareLock);
  find_column(&protection, request);
  find_public_rows(&protection, request.public_read);
  protect_column(&protection);
  if (protection.says_public && protection.public_read == nullptr) drop_public_rows(&protection);
  protect_policies(&protection, request.access);
  if (protection.public_read != nullptr) protect_public_rows(&protection);
  protect_rows(&protection);
  table_close(protection.table, NoLock);
  return protection.statements;
}

RT_FUNCTION(rls_tenant_protect) {
  if (!PG_ARGISNULL(0)) lock_own_table(PG_GETARG_OID(0));
  List *statements = statements_for_call(fcinfo);
  check_owners(PG_GETARG_OID(0), statements);
  run_statements(statements);
  if (statements != NIL) {
    CommandCounterIncrement();
    tell_crossing_keys(PG_GETARG_OID(0));
  }
  PG_RETURN_VOID();
}

RT_FUNCTION(rls_tenant_protect_sql) {
  InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  List *statements = statements_for_call(fcinfo);
  const ListCell *cell;
  foreach (cell, statements) {
    Datum value = CStringGetTextDatum(psprintf("%s;", static_cast<const Statement *>(lfirst(cell))->sql));
    bool isnull = false;
    tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
  }
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
