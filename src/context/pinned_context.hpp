// Pinned contexts. What a DBA sets for a role is what its sessions stand for, and cannot leave; what is set for a
// database, or for all roles, is a default.
#pragma once

#include "context/context.hpp"

namespace rls_tenant {

// Refuses to read a context other than the pin of the session's user: what the catalog says when a session first reads,
// since the setting's own source tells nothing where something else outranks it.
void pinned_context_init();

// Refuses ALTER ROLE and ALTER DATABASE … SET or RESET of a context by anyone but a DBA: a role could pin itself, so
// that what forgets its context reads that tenant from then on, or leave the tenant that a DBA has pinned it to.
void check_pin(const Node *statement);

// Whether the session's user is pinned there.
bool is_pinned(Setting setting);

// Before a statement that reads runs, a cursor for each FETCH: SET SESSION AUTHORIZATION may have come since the last
// read.
void check_session_user();

}  // namespace rls_tenant
