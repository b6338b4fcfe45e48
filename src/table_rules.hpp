// What a tenant table must be: one list of rules for guard, protect() and audit.
#pragma once

#include "catalog_image.hpp"
#include "confinement.hpp"

namespace rls_tenant {

// One rule that a table breaks, and the statement that mends it.
struct Fault {
  const char *rule;  // its name, as in doc/reference
  const char *detail;
  const char *remedy;
};

void table_rules_init();

// rls_tenant.tenant_column.
const char *default_tenant_column();

// The attribute that says whose a row is: the one that a RESTRICTIVE policy confines, else its tenant ancestor's, else
// the one of the setting's name; InvalidAttrNumber if there is none.
AttrNumber tenant_attribute(Oid relid, List *policies, Image image = nullptr);

// Whether the relation is under row-level security, with a policy that confines rows to the tenant.
bool is_tenant_table(Oid relid, Image image = nullptr);

// The nearest ancestor (partitioned table or inheritance parent) that is a tenant table, or InvalidOid.
Oid tenant_ancestor(Oid relid, Image image = nullptr);

// Whether row-level security is both enabled and forced.
bool is_enabled_and_forced(Oid relid);

// What is wrong with a table, as Faults; NIL if nothing is.
List *table_faults(Oid relid, Image image = nullptr);

// The relation's qualified and quoted name.
const char *relation_name(Oid relid);

// SELECT rls_tenant.protect('…'); with the column if it is not the one of the setting.
const char *protect_call(Oid relid, AttrNumber attribute);

}  // namespace rls_tenant
