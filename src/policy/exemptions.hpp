// The tables that a stated reason exempts from rules.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Every row of the table rls_tenant.exemption, read whatever the caller may read; nullptr if there is no such table.
struct Exemptions;
const Exemptions *load_exemptions();

// Whether an exemption covers the relation and waives that rule.
bool is_exempt(const Exemptions *exemptions, Oid relid, const char *rule);

// Whether one does that is not baseline()'s, which accepts how a table is today and does not say whose it is.
bool is_exempt_for_good(const Exemptions *exemptions, Oid relid, const char *rule);

}  // namespace rls_tenant
