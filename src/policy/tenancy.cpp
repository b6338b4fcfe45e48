// Reading what a relation is to tenants. Knows of no rule, no trigger and no command.

#include "policy/tenancy.hpp"

#include "policy/confinement.hpp"
#include "policy/public_rows.hpp"
#include "policy/rules.hpp"

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
  const AttrNumber named = attribute_named(tenancy.relid, tenant_column, tenancy.reader->snapshot);
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

// Whether a table should be a tenant table, and is not. A partition is what its partitioned table is.
bool is_unprotected(const Tenancy &table, const Exemptions *exemptions) {
  const char kind = table.relation.kind;
  return exemptions != nullptr && (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE) &&
         !table.is_tenant_table && !OidIsValid(table.ancestor) && table.attribute != InvalidAttrNumber &&
         !is_exempt(exemptions, table.relid, table.policies != NIL ? RT_RULE(rls_off_with_policies) : RT_RULE(rls_off),
                    Exempt::for_good);
}

// Finds the nearest ancestor that is a tenant table, and the attribute that says whose a row is.
void find_ancestor(Tenancy *tenancy) {
  const ListCell *cell;
  foreach (cell, tenancy->parents) {
    const Tenancy &parent = tenancy_of(tenancy->reader, lfirst_oid(cell));
    if (parent.should_be || !keeps_tenants(parent)) continue;
    const Snapshot snapshot = tenancy->reader->snapshot;
    tenancy->ancestor = parent.is_tenant_table ? parent.relid : parent.ancestor;
    const char *name = find_attribute_name(parent.relid, parent.attribute, snapshot);
    if (name != nullptr) tenancy->attribute = attribute_named(tenancy->relid, name, snapshot);
    return;
  }
  tenancy->attribute = own_attribute(*tenancy);
}

void read_tenancy(Tenancy *tenancy) {
  check_stack_depth();
  const TenancyReader &reader = *tenancy->reader;
  tenancy->relation = relation_row(tenancy->relid, reader.snapshot);
  const char kind = tenancy->relation.kind;
  if (!tenancy->relation.found || kind == RELKIND_VIEW || kind == RELKIND_MATVIEW) return;
  tenancy->policies = relation_policies(tenancy->relid, reader.snapshot);
  tenancy->parents = parents_of(tenancy->relid, reader.snapshot);
  find_ancestor(tenancy);
  tenancy->is_tenant_table = tenancy->relation.row_security && has_confining_policy(*tenancy);
  tenancy->should_be = is_unprotected(*tenancy, reader.exemptions);
  if (tenancy->should_be && tenancy->relation.is_partition && tenancy->parents != NIL)
    tenancy->ancestor = linitial_oid(tenancy->parents);
}

// Tenant attributes that were asked for, each at a place of its relation's OID, by the setting as it was then.
struct KnownAttribute {
  Oid relid;
  AttrNumber attribute;
};
KnownAttribute known_attributes[64];
NameData known_by_setting;
uint64 relation_changes = 0;

// A change of a parent's policies changes what its partitions and children are.
void on_relation_change(Datum, Oid) {
  relation_changes++;
  memset(known_attributes, 0, sizeof known_attributes);
}

}  // namespace

const char *default_tenant_column() { return tenant_column; }

const Tenancy &tenancy_of(TenancyReader *reader, Oid relid) {
  const Tenancy *&first = reader->known[relid % lengthof(reader->known)];
  for (const Tenancy *known = first; known != nullptr; known = known->next) {
    if (known->relid == relid) return *known;
  }
  Tenancy *tenancy = static_cast<Tenancy *>(palloc0(sizeof(Tenancy)));
  tenancy->relid = relid;
  tenancy->reader = reader;
  read_tenancy(tenancy);
  tenancy->next = first;
  first = tenancy;
  return *tenancy;
}

void forget_tenancies(TenancyReader *reader) { memset(reader->known, 0, sizeof reader->known); }

const Tenancy &tenancy_of(Oid relid) {
  return tenancy_of(static_cast<TenancyReader *>(palloc0(sizeof(TenancyReader))), relid);
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

bool keeps_tenants(const Tenancy &tenancy) {
  return tenancy.is_tenant_table || OidIsValid(tenancy.ancestor) || tenancy.should_be;
}

bool has_confining_policy(const Tenancy &tenancy) {
  return any_policy_says(tenancy.policies, tenancy.attribute, false);
}

void tenancy_init() {
  CacheRegisterRelcacheCallback(on_relation_change, 0);
  DefineCustomStringVariable("rls_tenant.tenant_column", "The name of the column that holds the tenant of a row.",
                             "protect() can name another one for a table.", &tenant_column, "tenant_id", PGC_SUSET, 0,
                             check_tenant_column, nullptr, nullptr);
}

RT_FUNCTION(rls_tenant_usual_tenant_column) {
  Name name = static_cast<Name>(palloc(NAMEDATALEN));
  namestrcpy(name, tenant_column);
  PG_RETURN_NAME(name);
}

}  // namespace rls_tenant
