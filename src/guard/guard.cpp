// The check of what a transaction made or altered. It comes at its end, because migrations go in steps and CREATE TABLE
// cannot enable row-level security. What was wrong before the transaction is not held against it.

#include "guard/guard.hpp"

#include "guard/candidates.hpp"
#include "guard/ddl_notes.hpp"
#include "guard/fault_report.hpp"
#include "guard/protect.hpp"
#include "policy/exemptions.hpp"
#include "policy/fault.hpp"
#include "policy/policy.hpp"
#include "policy/relation_faults.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/statements.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/transaction_end.hpp"

namespace rls_tenant {

namespace {

// What the check goes by: each relation's tenancy is read once, and once more after the guard has changed something.
struct Check {
  const Exemptions *exemptions;
  TenancyReader now;
  TenancyReader before;
};

bool has_fault(List *faults, const Fault *wanted) {
  const ListCell *cell;
  foreach (cell, faults) {
    if (is_same_fault(*static_cast<const Fault *>(lfirst(cell)), *wanted)) return true;
  }
  return false;
}

// A table that was a partition or child shows nothing by itself when it is one no longer, which harms nobody.
bool is_closed_child(const Tenancy &before, const Fault *fault) {
  return before.parents != NIL &&
         (strcmp(fault->rule, RT_RULE(no_policy)) == 0 || strcmp(fault->rule, RT_RULE(only_restrictive)) == 0);
}

bool has_permissive_policy(const Tenancy &tenancy) {
  const ListCell *cell;
  foreach (cell, tenancy.policies) {
    if (static_cast<const Policy *>(lfirst(cell))->permissive) return true;
  }
  return false;
}

// Whether a relation kept tenants apart, or shows no rows though it has the tenant column: so a partition is left when
// it is detached. What shows rows by other policies never was a tenant table.
bool kept_tenants(const Tenancy &before) {
  return keeps_tenants(before) ||
         (before.relation.row_security && before.attribute != InvalidAttrNumber && !has_permissive_policy(before));
}

// A new owner to whom policies do not apply. Who owns a partition reads it past its parent.
void check_owner(List **faults, const Tenancy &now, const Tenancy &before) {
  if (!has_bypassrls_privilege(now.relation.owner) || !(keeps_tenants(now) || kept_tenants(before))) return;
  const Oid owner = before.relation.owner;
  if (!before.relation.found || owner == now.relation.owner || has_bypassrls_privilege(owner)) return;
  const bool is_there = SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(owner));
  add_fault(faults, RT_RULE(bypass_login),
            psprintf("no policy applies to its new owner \"%s\"", role_name(now.relation.owner)),
            is_there
                ? psprintf("ALTER TABLE %s OWNER TO %s;", relation_name(now.relid), quote_identifier(role_name(owner)))
                : "/* give the table to a role without BYPASSRLS that is no superuser */");
}

// The name of a schema as it was before the transaction.
const char *old_schema_name(const Tenancy &before) {
  return before.relation.found ? find_schema_name(before.relation.schema, before.reader->snapshot) : nullptr;
}

// Whether a relation has another name or schema than before, or its schema has.
bool has_moved(const Tenancy &now, const Tenancy &before) {
  if (!before.relation.found) return false;
  const char *schema = old_schema_name(before);
  return strcmp(NameStr(now.relation.name), NameStr(before.relation.name)) != 0 || schema == nullptr ||
         strcmp(schema_name(now.relation.schema), schema) != 0;
}

// Whether a relation was out of the guard's sight before it was renamed or moved, so that it is judged as a new one:
// in a schema that the guard leaves alone, or by an exemption from that rule.
bool was_out_of_sight(const Check &check, const Tenancy &before, const char *rule) {
  return !is_judged_schema(before.relation.schema) || is_schema_passed_over(before.relation.schema) ||
         is_exempt(check.exemptions, old_schema_name(before), NameStr(before.relation.name), rule, Exempt::any);
}

// A tenant table that takes a name which is exempt from what the guard refuses, and was not by its former name: what it
// is opened to in the next transaction would be waived.
void check_name(List **faults, const Check &check, const Tenancy &now, const Tenancy &before) {
  if (!kept_tenants(before) || !has_moved(now, before)) return;
  for (const Rule &rule : rules) {
    if (!rule.guarded || !is_exempt(check.exemptions, now.relid, rule.name, Exempt::by_name) ||
        is_exempt(check.exemptions, old_schema_name(before), NameStr(before.relation.name), rule.name, Exempt::by_name))
      continue;
    add_fault(faults, RT_RULE(exempt_but_tenant),
              psprintf("it is a tenant table, and takes a name that is exempt from %s", rule.name),
              psprintf("ALTER TABLE %s RENAME TO ...; /* or end the exemption, as a DBA */", relation_name(now.relid)));
    return;
  }
}

// The same, of a relation that is locked.
List *new_faults_of_locked(Check *check, const Candidate *candidate) {
  const Tenancy &now = tenancy_of(&check->now, candidate->relid);
  const Tenancy &before = tenancy_of(&check->before, now.relid);
  List *all = relation_faults(now);
  List *faults = NIL;
  if (!candidate->is_new) {
    check_owner(&all, now, before);
    check_name(&faults, *check, now, before);
  }
  if (all == NIL || is_extension_member(now.relid)) return faults;
  const bool kept = !candidate->is_new && kept_tenants(before), moved = !candidate->is_new && has_moved(now, before);
  if (!kept && is_schema_passed_over(now.relation.schema)) return faults;
  // A pattern was given for what it fitted then, not for a table of the tenants, nor for a partition or child of one.
  const Exempt how = kept || OidIsValid(now.ancestor) ? Exempt::by_name : Exempt::any;
  // What becomes a partition or child of a tenant table shows that table's rows from now on.
  List *old = now.ancestor != before.ancestor ? NIL : relation_faults(before);
  const ListCell *cell;
  foreach (cell, all) {
    Fault *fault = static_cast<Fault *>(lfirst(cell));
    const bool is_old = has_fault(old, fault) && !(moved && was_out_of_sight(*check, before, fault->rule));
    if (!is_old && !is_closed_child(before, fault) && !is_exempt(check->exemptions, now.relid, fault->rule, how))
      faults = lappend(faults, fault);
  }
  return faults;
}

// The faults that the transaction has brought, and that no exemption waives. What another session has dropped has none.
List *new_faults(Check *check, const Candidate *candidate) {
  List *faults = NIL;
  with_relation(candidate->relid, AccessShareLock, [&](Relation) { faults = new_faults_of_locked(check, candidate); });
  return faults;
}

// Runs protect()'s statements for a table that is faulty, in a subtransaction: what cannot be mended is reported with
// the other faults. A table without tenant column stays as it is, and partitions and children are left to others.
void mend(Check *check, Candidate *candidate) {
  const Tenancy &table = tenancy_of(&check->now, candidate->relid);
  if (OidIsValid(table.ancestor) || new_faults(check, candidate) == NIL) return;
  if (table.relation.kind != RELKIND_RELATION && table.relation.kind != RELKIND_PARTITIONED_TABLE) return;
  if (table.attribute == InvalidAttrNumber) return;
  candidate->problem = in_subtransaction([&] { run_statements(protect_statements(table, {})); });
  CommandCounterIncrement();
  forget_tenancies(&check->now);
}

// Enables and forces row-level security, as the owner: whoever commits may be another role.
void enable_row_security(Oid relid) {
  AlterTableCmd *enable = makeNode(AlterTableCmd);
  enable->subtype = AT_EnableRowSecurity;
  AlterTableCmd *force = makeNode(AlterTableCmd);
  force->subtype = AT_ForceRowSecurity;
  as_owner(relid, 0, [&] { AlterTableInternal(relid, list_make2(enable, force), false); });
  CommandCounterIncrement();
  ereport(DEBUG1, (errmsg_internal("rls_tenant: row-level security enabled and forced on %s", relation_name(relid))));
}

// Protects partitions and children of tenant tables among a table and what is below it, so that partition managers go
// on working. A tenant table itself is its owner's to protect; whatever lies below one has it as an ancestor.
void protect_children(Check *check, const Candidate *candidate) {
  if (!candidate->has_parents && !candidate->has_children) return;
  const Tenancy &table = tenancy_of(&check->now, candidate->relid);
  if (!keeps_tenants(table)) return;
  List *relations = find_all_inheritors(table.relid, NoLock, nullptr);
  const ListCell *cell;
  foreach (cell, relations) {
    const Oid relid = lfirst_oid(cell);
    if (relid == table.relid && !OidIsValid(table.ancestor)) continue;
    if (is_enabled_and_forced(relid) || !is_judged(relid) || is_passed_over(relid)) continue;
    Relation relation = try_relation_open(relid, AccessExclusiveLock);
    if (relation == nullptr) continue;
    relation_close(relation, NoLock);
    enable_row_security(relid);
    forget_tenancies(&check->now);
  }
}

// The check itself.
void check_relations(Check *check) {
  List *candidates = noted_candidates(check->before.snapshot);
  List *faulty = NIL;
  const ListCell *cell;
  if (guard_mode() == mode_protect) {
    in_lasting_subtransaction([&] {
      ListCell *candidate;
      foreach (candidate, candidates) mend(check, static_cast<Candidate *>(lfirst(candidate)));
    });
  }
  foreach (cell, candidates) protect_children(check, static_cast<const Candidate *>(lfirst(cell)));
  foreach (cell, candidates) {
    const Candidate *candidate = static_cast<const Candidate *>(lfirst(cell));
    List *faults = new_faults(check, candidate);
    if (faults == NIL) continue;
    FaultyRelation *relation = static_cast<FaultyRelation *>(palloc(sizeof(FaultyRelation)));
    *relation = {candidate->relid, relation_name(candidate->relid), faults, candidate->problem};
    faulty = lappend(faulty, relation);
  }
  if (faulty != NIL) report_faults(faulty);
}

// With snapshots and memory of its own.
void check_at_end() {
  if (noted_relations() == nullptr || guard_mode() == mode_off || IsParallelWorker()) return;
  mute_notes(true);
  CommandCounterIncrement();
  PushActiveSnapshot(GetTransactionSnapshot());
  const MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "rls_tenant guard", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext caller = MemoryContextSwitchTo(memory);
  Check check = {load_exemptions(), {}, {snapshot_before_transaction()}};
  // Without, the extension was dropped in this transaction, or is not in this database.
  if (check.exemptions != nullptr) check_relations(&check);
  release_snapshot(check.before.snapshot);
  MemoryContextSwitchTo(caller);
  MemoryContextDelete(memory);
  PopActiveSnapshot();
  mute_notes(false);
}

void at_transaction_event(XactEvent event) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
      check_at_end();
      break;
    default:
      forget_notes();
      break;
  }
}

}  // namespace

void guard_init() {
  guard_notes_init();
  at_end_of_transaction(at_transaction_event);
}

}  // namespace rls_tenant
