// What audit() cannot ask the catalogs in SQL: it needs the trees of expressions.

#include "policy/fault.hpp"
#include "policy/policy_faults.hpp"
#include "policy/public_rows.hpp"
#include "policy/relation_faults.hpp"
#include "postgres/condition.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/expression.hpp"

namespace rls_tenant {

namespace {

// What one look at all relations has found, so that the parts of one audit() judge each once.
struct Survey {
  MemoryContext memory;
  TimestampTz statement;
  CommandId command;
  const char *tenant_column;
  List *tables;    // of TenantTable
  List *findings;  // of Finding
};
Survey *last_survey = nullptr;

// A tenant table, a partition or child of one, or a table that should be one.
struct TenantTable {
  Oid relid;
  const char *column;  // nullptr: it has none
  Oid ancestor;
};

// A fault with its relation.
struct Finding {
  Oid relid;
  Fault fault;
};

TenantTable tenant_table(const Tenancy &tenancy) {
  return {tenancy.relid, find_attribute_name(tenancy.relid, tenancy.attribute), tenancy.ancestor};
}

// As a row (relation, tenant_column, ancestor).
void put_tenant_table(const ReturnSetInfo *result, const TenantTable &table) {
  NameData name = {};
  if (table.column != nullptr) namestrcpy(&name, table.column);
  Datum values[3] = {ObjectIdGetDatum(table.relid), NameGetDatum(&name), ObjectIdGetDatum(table.ancestor)};
  bool nulls[3] = {false, table.column == nullptr, !OidIsValid(table.ancestor)};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

// As a row (rule, detail, remedy) or, with a relation, (relation, rule, detail, remedy).
void put_fault(const ReturnSetInfo *result, const Fault &fault, Oid relid = InvalidOid) {
  Datum values[4] = {ObjectIdGetDatum(relid), CStringGetTextDatum(fault.rule), CStringGetTextDatum(fault.detail),
                     CStringGetTextDatum(fault.remedy)};
  bool nulls[4] = {false, false, false, false};
  const int first = OidIsValid(relid) ? 0 : 1;
  tuplestore_putvalues(result->setResult, result->setDesc, values + first, nulls + first);
}

// Whether a relation is gone since the audit began to look.
bool is_gone(Oid relid) {
  AcceptInvalidationMessages();
  return !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

void add_finding(Survey *survey, Oid relid, const Fault &fault) {
  Finding *finding = static_cast<Finding *>(palloc(sizeof(Finding)));
  *finding = {relid, {pstrdup(fault.rule), pstrdup(fault.detail), pstrdup(fault.remedy)}};
  survey->findings = lappend(survey->findings, finding);
}

// Looks at one relation. One that cannot be judged is a finding, too, and hides no other. Called in memory that goes
// with the relation.
void survey_relation(Survey *survey, Oid relid, const Exemptions *exemptions) {
  TenancyReader reader = {nullptr, exemptions};
  const Tenancy *tenancy = nullptr;
  List *faults = NIL;
  const char *problem = in_subtransaction([&] {
    with_relation(relid, AccessShareLock, [&](Relation) {
      tenancy = &tenancy_of(&reader, relid);
      faults = relation_faults(*tenancy);
      const char kind = tenancy->relation.kind;
      if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE)
        faults = list_concat(faults, policy_faults(*tenancy));
    });
  });
  const MemoryContext scratch = MemoryContextSwitchTo(survey->memory);
  if (tenancy != nullptr && keeps_tenants(*tenancy)) {
    TenantTable *table = static_cast<TenantTable *>(palloc(sizeof(TenantTable)));
    *table = tenant_table(*tenancy);
    survey->tables = lappend(survey->tables, table);
  }
  const ListCell *cell;
  if (problem == nullptr) {
    foreach (cell, faults) add_finding(survey, relid, *static_cast<const Fault *>(lfirst(cell)));
  } else if (!is_gone(relid)) {
    add_finding(survey, relid, {RT_RULE(not_judged), problem, "/* fix what the error says */"});
  }
  MemoryContextSwitchTo(scratch);
}

void forget_survey(void *) { last_survey = nullptr; }

Survey *make_survey() {
  if (last_survey != nullptr) MemoryContextDelete(last_survey->memory);
  const MemoryContext caller = CurrentMemoryContext;
  const MemoryContext scratch = AllocSetContextCreate(caller, "rls_tenant audit of a relation", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext memory = AllocSetContextCreate(TopTransactionContext, "rls_tenant audit", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(memory);
  Survey *survey = static_cast<Survey *>(palloc0(sizeof(Survey)));
  *survey = {memory, GetCurrentStatementStartTimestamp(), GetCurrentCommandId(false), pstrdup(default_tenant_column())};
  MemoryContextCallback *callback = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
  callback->func = forget_survey;
  MemoryContextRegisterResetCallback(memory, callback);
  MemoryContextSwitchTo(caller);
  const Exemptions *exemptions = load_exemptions();
  List *relations = user_relations("rpvm");
  const ListCell *cell;
  MemoryContextSwitchTo(scratch);
  foreach (cell, relations) {
    CHECK_FOR_INTERRUPTS();
    survey_relation(survey, lfirst_oid(cell), exemptions);
    MemoryContextReset(scratch);
  }
  MemoryContextSwitchTo(caller);
  MemoryContextDelete(scratch);
  return survey;
}

// That of the statement that runs.
const Survey *present_survey() {
  const bool is_present = last_survey != nullptr && last_survey->statement == GetCurrentStatementStartTimestamp() &&
                          last_survey->command == GetCurrentCommandId(false) &&
                          strcmp(last_survey->tenant_column, default_tenant_column()) == 0;
  if (!is_present) last_survey = make_survey();
  return last_survey;
}

}  // namespace

// All tenant tables, their partitions and children, and tables that should be tenant tables, as tenant_tables() gives
// them; without those that cannot be judged.
RT_FUNCTION(rls_tenant_audited_tables) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const ListCell *cell;
  foreach (cell, present_survey()->tables) put_tenant_table(result, *static_cast<const TenantTable *>(lfirst(cell)));
  return static_cast<Datum>(0);
}

// The faults of all relations as rows.
RT_FUNCTION(rls_tenant_relation_findings) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const ListCell *cell;
  foreach (cell, present_survey()->findings) {
    const Finding *finding = static_cast<const Finding *>(lfirst(cell));
    put_fault(result, finding->fault, finding->relid);
  }
  return static_cast<Datum>(0);
}

// The faults of one relation as rows.
RT_FUNCTION(rls_tenant_table_faults) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const Oid relid = PG_GETARG_OID(0);
  with_relation(relid, AccessShareLock, [&](Relation) {
    List *faults = relation_faults(tenancy_of(relid));
    const ListCell *cell;
    foreach (cell, faults) put_fault(result, *static_cast<const Fault *>(lfirst(cell)));
  });
  return static_cast<Datum>(0);
}

// All tenant tables, and their partitions and children, as rows.
RT_FUNCTION(rls_tenant_tenant_tables) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "rls_tenant table", ALLOCSET_DEFAULT_SIZES);
  List *relations = user_relations("rp");
  const ListCell *cell;
  foreach (cell, relations) {
    const MemoryContext before = MemoryContextSwitchTo(memory);
    const Oid relid = lfirst_oid(cell);
    with_relation(relid, AccessShareLock, [&](Relation) {
      const Tenancy &tenancy = tenancy_of(relid);
      if (keeps_tenants(tenancy)) put_tenant_table(result, tenant_table(tenancy));
    });
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory);
  }
  return static_cast<Datum>(0);
}

// public_condition(relation). What cannot be judged has no such rows: audit() says of it that it could not be.
RT_FUNCTION(rls_tenant_public_condition) {
  const Oid relid = PG_GETARG_OID(0);
  const char *text = nullptr;
  in_subtransaction([&] {
    const Tenancy &tenancy = tenancy_of(relid);
    text = deparse_condition(relid, public_condition(tenancy.policies, tenancy.attribute));
  });
  if (text == nullptr) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text(text));
}

// The relations that the policies of a relation read in sub-selects, as rows.
RT_FUNCTION(rls_tenant_policy_reads) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  List *policies = NIL;
  if (in_subtransaction([&] { policies = relation_policies(PG_GETARG_OID(0)); }) != nullptr) policies = NIL;
  const ListCell *cell, *relation;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    List *relations = list_concat_unique_oid(relations_in(policy->qual), relations_in(policy->check));
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
