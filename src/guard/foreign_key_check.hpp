// Foreign keys that were checked for the rows of one tenant only.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Refuses, or warns, where ALTER TABLE has checked a foreign key as a role to which policies apply. subcommands: of
// CollectedATSubcmd.
void check_foreign_key_commands(Oid relid, List *subcommands, int level);

}  // namespace rls_tenant
