// What a relation is to tenants: whether its policies keep them apart, by which attribute, and below whom it lies.
#pragma once

#include "policy/exemptions.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

void tenancy_init();

// rls_tenant.tenant_column.
const char *default_tenant_column();

struct TenancyReader;

// What the catalogs say of a relation.
struct Tenancy {
  Oid relid;
  TenancyReader *reader;  // that has read it
  const Tenancy *next;    // for the reader
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
  // Not protected, but with the tenant column and no exemption; only where the reader has exemptions.
  bool should_be;
};

// Reads tenancies, each once: as one snapshot shows them, and all in one memory context.
struct TenancyReader {
  Snapshot snapshot;  // nullptr: as they are now
  // With them, tables that should be tenant tables count as such, so that what is wrong around them shows before they
  // are protected.
  const Exemptions *exemptions;
  const Tenancy *known[128];  // lists, by OID
};
const Tenancy &tenancy_of(TenancyReader *reader, Oid relid);

// For when something has changed.
void forget_tenancies(TenancyReader *reader);

// The same with a reader of its own, as it is now.
const Tenancy &tenancy_of(Oid relid);

// The attribute that says whose a row is, kept until some relation changes.
AttrNumber tenant_attribute(Oid relid);

// Whether a relation is a tenant table, or a partition or child of one.
bool keeps_tenants(const Tenancy &tenancy);

// Whether a policy confines some command by the tenant attribute or, without one, through another table.
bool has_confining_policy(const Tenancy &tenancy);

}  // namespace rls_tenant
