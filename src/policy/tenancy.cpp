// Reading what a relation is to tenants. Knows of no rule, no trigger and no command.

#include "policy/tenancy.hpp"

#include "policy/public_rows.hpp"

namespace rls_tenant {

namespace {

char *tenant_column;

// The setting's value must be able to name a column.
bool check_tenant_column(char **newval, void **, GucSource) {
  const size_t length = strlen(*newval);
  if (length > 0 && length < NAMEDATALEN) return true;
  GUC_check_errdetail("The name of a column has 1 to %d bytes.", NAMEDATALEN - 1);
  return false;
}

// Whether some policy, or some RESTRICTIVE one, confines some command to the attribute.
bool any_policy_says(List *policies, AttrNumber attribute, bool restrictive_only) {
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if ((!restrictive_only || !policy->permissive) && says_tenant(policy, attribute)) return true;
  }
  return false;
}

// Whether a RESTRICTIVE policy for all roles and commands says that the attribute is the tenant's, or the policies of a
// table with public rows say so together.
bool has_whole_floor(List *policies, AttrNumber attribute) {
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (!policy->permissive && policy->to_public && says_tenant(policy, attribute) &&
        confined_commands(policy, attribute) == all_commands) {
      return true;
    }
  }
  return public_condition(policies, attribute) != nullptr;
}

// The tenant attribute by a relation's own policies and columns.
AttrNumber own_attribute(const Tenancy &tenancy) {
  List *policies = tenancy.policies;
  const AttrNumber named = attribute_named(tenancy.relid, tenant_column, tenancy.snapshot);
  if (named > 0 && has_whole_floor(policies, named)) return named;
  const AttrNumber last = policies != NIL ? tenancy.relation.attributes : 0;
  for (AttrNumber attribute = 1; attribute <= last; attribute++) {
    if (has_whole_floor(policies, attribute)) return attribute;
  }
  if (named > 0) return named;
  for (AttrNumber attribute = 1; attribute <= last; attribute++) {
    if (any_policy_says(policies, attribute, true)) return attribute;
  }
  return InvalidAttrNumber;
}

const Exemptions *counting = nullptr;

// Whether a table should be a tenant table, and is none. A partition is what its partitioned table is.
bool is_unprotected(const Tenancy &table) {
  const char kind = table.relation.kind;
  return counting != nullptr && (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE) &&
         !table.is_tenant_table && !OidIsValid(table.ancestor) && table.attribute != InvalidAttrNumber &&
         !is_exempt_for_good(counting, table.relid, table.policies != NIL ? "rls_off_with_policies" : "rls_off");
}

// fruitless: relations that neither are tenant tables nor lie below one, so that nobody asks twice.
Tenancy read_tenancy(Oid relid, Snapshot snapshot, List **fruitless) {
  check_stack_depth();
  Tenancy result = {relid, snapshot};
  result.relation = relation_row(relid, snapshot);
  if (!result.relation.found) return result;
  result.policies = relation_policies(relid, snapshot);
  result.parents = parents_of(relid, snapshot);
  const char *name = nullptr;
  const ListCell *cell;
  foreach (cell, result.parents) {
    const Oid oid = lfirst_oid(cell);
    if (list_member_oid(*fruitless, oid)) continue;
    const Tenancy parent = read_tenancy(oid, snapshot, fruitless);
    if (parent.should_be || !keeps_tenants(parent)) {
      *fruitless = lappend_oid(*fruitless, oid);
      continue;
    }
    result.ancestor = parent.is_tenant_table ? oid : parent.ancestor;
    name = attribute_name(oid, parent.attribute, snapshot);
    break;
  }
  if (!OidIsValid(result.ancestor)) {
    result.attribute = own_attribute(result);
  } else if (name != nullptr) {
    result.attribute = attribute_named(relid, name, snapshot);
  }
  result.is_tenant_table = result.relation.row_security && has_confining_policy(result);
  result.should_be = is_unprotected(result);
  if (result.should_be && result.relation.is_partition && result.parents != NIL)
    result.ancestor = linitial_oid(result.parents);
  return result;
}

// Tenant attributes that were asked for, each at a place of its relation's OID, by the setting as it was then.
struct KnownAttribute {
  Oid relid;
  AttrNumber attribute;
};
KnownAttribute known_attributes[64];
NameData known_by_setting;
uint64 relation_changes = 0;

// A change of a parent's policies changes what its parts are.
void on_relation_change(Datum, Oid) {
  relation_changes++;
  memset(known_attributes, 0, sizeof known_attributes);
}

}  // namespace

const char *default_tenant_column() { return tenant_column; }

Tenancy tenancy_of(Oid relid, Snapshot snapshot) {
  List *fruitless = NIL;
  return read_tenancy(relid, snapshot, &fruitless);
}

AttrNumber tenant_attribute(Oid relid) {
  if (strcmp(NameStr(known_by_setting), tenant_column) != 0) {
    memset(known_attributes, 0, sizeof known_attributes);
    namestrcpy(&known_by_setting, tenant_column);
  }
  KnownAttribute &known = known_attributes[relid % lengthof(known_attributes)];
  if (known.relid == relid) return known.attribute;
  const uint64 before = relation_changes;
  const AttrNumber attribute = tenancy_of(relid).attribute;
  if (before == relation_changes) known = {relid, attribute};
  return attribute;
}

void count_unprotected(const Exemptions *exemptions) { counting = exemptions; }

bool keeps_tenants(const Tenancy &tenancy) {
  return tenancy.is_tenant_table || OidIsValid(tenancy.ancestor) || tenancy.should_be;
}

bool has_confining_policy(const Tenancy &tenancy) {
  return any_policy_says(tenancy.policies, tenancy.attribute, false);
}

void tenant_table_init() {
  CacheRegisterRelcacheCallback(on_relation_change, 0);
  DefineCustomStringVariable("rls_tenant.tenant_column", "The name of the column that says whose a row is.",
                             "protect() can name another one for a table.", &tenant_column, "tenant_id", PGC_SUSET, 0,
                             check_tenant_column, nullptr, nullptr);
}

RT_FUNCTION(rls_tenant_usual_tenant_column) {
  Name name = static_cast<Name>(palloc(NAMEDATALEN));
  namestrcpy(name, tenant_column);
  PG_RETURN_NAME(name);
}

void put_tenant_table(const ReturnSetInfo *result, const Tenancy &tenancy) {
  const char *column = attribute_name(tenancy.relid, tenancy.attribute);
  NameData name = {};
  if (column != nullptr) namestrcpy(&name, column);
  Datum values[3] = {ObjectIdGetDatum(tenancy.relid), NameGetDatum(&name), ObjectIdGetDatum(tenancy.ancestor)};
  bool nulls[3] = {false, column == nullptr, !OidIsValid(tenancy.ancestor)};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

// All tenant tables and their parts as rows.
RT_FUNCTION(rls_tenant_tenant_tables) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "rls_tenant table", ALLOCSET_DEFAULT_SIZES);
  List *tables = user_relations("rp");
  const ListCell *cell;
  foreach (cell, tables) {
    const Oid relid = lfirst_oid(cell);
    const MemoryContext before = MemoryContextSwitchTo(memory);
    const Tenancy tenancy = tenancy_of(relid);
    if (keeps_tenants(tenancy)) put_tenant_table(result, tenancy);
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory);
  }
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
