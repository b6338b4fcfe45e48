// What a relation is to tenants: whether its policies keep them apart, by which attribute, and below whom it lies.
#pragma once

#include "postgres/catalog.hpp"
#include "policy/confinement.hpp"
#include "policy/exemptions.hpp"

namespace rls_tenant {

void tenant_table_init();

// rls_tenant.tenant_column.
const char *default_tenant_column();

// What the catalogs say of a relation, read once.
struct Tenancy {
  Oid relid;
  Snapshot snapshot;
  RelationRow relation;
  List *policies;
  List *parents;  // of which it is a partition or inheritance child
  // The nearest ancestor that is a tenant table, or InvalidOid.
  Oid ancestor;
  // The attribute that says whose a row is: the one that a RESTRICTIVE policy confines, else its tenant ancestor's,
  // else the one of the setting's name; InvalidAttrNumber if there is none.
  AttrNumber attribute;
  // Under row-level security, with a policy that confines rows to the tenant.
  bool is_tenant_table;
  // Not protected, but with the tenant column and no exemption; only between calls of count_unprotected().
  bool should_be;
};
Tenancy tenancy_of(Oid relid, Snapshot snapshot = nullptr);

// The attribute that says whose a row is, kept until some relation changes.
AttrNumber tenant_attribute(Oid relid);

// From now on tables that should be tenant tables count as such, so that what is wrong around them shows before they
// are protected; nullptr: no longer.
void count_unprotected(const Exemptions *exemptions);

// Whether a relation is a tenant table or a part of one.
bool keeps_tenants(const Tenancy &tenancy);

// Adds a tenant table, or a part of one, to the rows (relation, tenant_column, ancestor).
void put_tenant_table(const ReturnSetInfo *result, const Tenancy &tenancy);

// Whether a policy confines some command by the tenant attribute or, without one, through another table.
bool has_confining_policy(const Tenancy &tenancy);

}  // namespace rls_tenant
