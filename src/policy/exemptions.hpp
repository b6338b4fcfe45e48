// The tables that a stated reason exempts from rules.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Every row of the table rls_tenant.exemption, read whatever the caller may read; nullptr if there is no such table.
struct Exemptions;
const Exemptions *load_exemptions();

// By what an exemption covers a relation.
enum class Exempt {
  any,       // its name or a pattern
  by_name,   // the name itself, not a pattern that happens to fit
  for_good,  // not baseline()'s, which accepts how a table is today and does not say whose it is
};

// Whether an exemption covers a relation of that name and waives that rule.
bool is_exempt(const Exemptions *exemptions, const char *schema, const char *name, const char *rule, Exempt how);

// The same for a relation as it is called now.
bool is_exempt(const Exemptions *exemptions, Oid relid, const char *rule, Exempt how = Exempt::any);

}  // namespace rls_tenant
