// What audit() cannot ask the catalogs in SQL: it needs the trees of expressions.

#include "postgres/subtransaction.hpp"
#include "policy/policy_faults.hpp"
#include "policy/relation_faults.hpp"

namespace rls_tenant {

namespace {

void put_fault(const ReturnSetInfo *result, Oid relid, const char *rule, const char *detail, const char *remedy) {
  Datum values[4] = {ObjectIdGetDatum(relid), CStringGetTextDatum(rule), CStringGetTextDatum(detail),
                     CStringGetTextDatum(remedy)};
  bool nulls[4] = {false, false, false, false};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

List *all_faults(Oid relid) {
  List *faults = relation_faults(relid);
  const char kind = get_rel_relkind(relid);
  if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE)
    faults = list_concat(faults, policy_faults(tenancy_of(relid)));
  return faults;
}

// Runs fn while tables that should be tenant tables count as such.
template <typename Fn>
void with_unprotected(const Fn &fn) {
  count_unprotected(load_exemptions());
  PG_TRY();
  { fn(); }
  PG_FINALLY();
  { count_unprotected(nullptr); }
  PG_END_TRY();
}

// Whether a relation is gone since the audit began to look.
bool is_gone(Oid relid) {
  AcceptInvalidationMessages();
  return !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

// What audited_tables() has found, so that the parts of one audit() read the policies once.
struct Found {
  MemoryContext memory;
  TimestampTz statement;
  CommandId command;
  const char *tenant_column;
  List *tables;  // of Tenancy, without their policies
};
Found *last = nullptr;

void forget_last(void *) { last = nullptr; }

bool is_current(const Found *found) {
  return found != nullptr && found->statement == GetCurrentStatementStartTimestamp() &&
         found->command == GetCurrentCommandId(false) && strcmp(found->tenant_column, default_tenant_column()) == 0;
}

// The tenant tables and their parts; those that cannot be judged are left out, relation_findings() says why.
Found *find_tables() {
  if (last != nullptr) MemoryContextDelete(last->memory);
  const MemoryContext memory =
      AllocSetContextCreate(TopTransactionContext, "rls_tenant tables", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "rls_tenant audit", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext before = MemoryContextSwitchTo(memory);
  Found *found = static_cast<Found *>(palloc(sizeof(Found)));
  *found = {memory, GetCurrentStatementStartTimestamp(), GetCurrentCommandId(false), pstrdup(default_tenant_column()),
            NIL};
  List *relations = user_relations("rp");
  const ListCell *cell;
  foreach (cell, relations) {
    CHECK_FOR_INTERRUPTS();
    MemoryContextSwitchTo(scratch);
    Tenancy table = {};
    const char *problem = in_subtransaction([&] { table = tenancy_of(lfirst_oid(cell)); });
    MemoryContextSwitchTo(memory);
    if (problem == nullptr && keeps_tenants(table)) {
      Tenancy *copy = static_cast<Tenancy *>(palloc(sizeof(Tenancy)));
      *copy = table;
      copy->policies = copy->parents = NIL;
      found->tables = lappend(found->tables, copy);
    }
    MemoryContextReset(scratch);
  }
  MemoryContextCallback *callback = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
  callback->func = forget_last;
  MemoryContextRegisterResetCallback(memory, callback);
  MemoryContextSwitchTo(before);
  MemoryContextDelete(scratch);
  return found;
}

}  // namespace

// All tenant tables and their parts as rows, as tenant_tables() gives them.
RT_FUNCTION(rls_tenant_audited_tables) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  if (!is_current(last)) with_unprotected([&] { last = find_tables(); });
  const ListCell *cell;
  foreach (cell, last->tables) put_tenant_table(result, *static_cast<const Tenancy *>(lfirst(cell)));
  return static_cast<Datum>(0);
}

// The faults of all relations as rows. One that cannot be judged is a fault, too, and hides no other.
RT_FUNCTION(rls_tenant_relation_findings) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  List *relations = user_relations("rpvm");
  const MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "rls_tenant audit", ALLOCSET_DEFAULT_SIZES);
  with_unprotected([&] {
    const ListCell *relation, *cell;
    foreach (relation, relations) {
      const Oid relid = lfirst_oid(relation);
      const MemoryContext before = MemoryContextSwitchTo(memory);
      List *faults = NIL;
      const char *problem = in_subtransaction([&] { faults = all_faults(relid); });
      if (problem != nullptr && !is_gone(relid))
        put_fault(result, relid, "not_judged", problem, "/* mend what the error says */");
      foreach (cell, problem == nullptr ? faults : NIL) {
        const Fault *fault = static_cast<const Fault *>(lfirst(cell));
        put_fault(result, relid, fault->rule, fault->detail, fault->remedy);
      }
      MemoryContextSwitchTo(before);
      MemoryContextReset(memory);
    }
  });
  return static_cast<Datum>(0);
}

namespace {

bool collect_relations(Node *node, void *context) {
  if (node == nullptr) return false;
  check_stack_depth();
  if (IsA(node, RangeTblEntry)) {
    const RangeTblEntry *entry = reinterpret_cast<const RangeTblEntry *>(node);
    List **relations = static_cast<List **>(context);
    if (entry->rtekind == RTE_RELATION) *relations = list_append_unique_oid(*relations, entry->relid);
    return false;
  }
  if (IsA(node, Query)) {
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(collect_relations), context,
                             QTW_EXAMINE_RTES_BEFORE);
  }
  return expression_tree_walker(node, compat::tree_walker(collect_relations), context);
}

}  // namespace

// The relations that the policies of a relation read in sub-selects, as rows.
RT_FUNCTION(rls_tenant_policy_reads) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const ListCell *cell, *relation;
  List *policies = NIL;
  if (in_subtransaction([&] { policies = relation_policies(PG_GETARG_OID(0)); }) != nullptr) policies = NIL;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    List *relations = NIL;
    collect_relations(policy->qual, &relations);
    collect_relations(policy->check, &relations);
    foreach (relation, relations) {
      NameData name;
      namestrcpy(&name, policy->name);
      Datum values[2] = {NameGetDatum(&name), ObjectIdGetDatum(lfirst_oid(relation))};
      bool nulls[2] = {false, false};
      tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
  }
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
