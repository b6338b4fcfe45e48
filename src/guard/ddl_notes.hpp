// Which relations a transaction makes or alters: told by event triggers and by PostgreSQL's object access hook.
// Triggers that are made for a column rule are judged at once.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

enum GuardMode { mode_refuse, mode_protect, mode_warn, mode_off };

// rls_tenant.guard, which only a superuser can set.
GuardMode guard_mode();

void guard_notes_init();

// The OIDs of the relations that were noted; nullptr: none. Rolled back notes do no harm, since the check looks for
// itself.
HTAB *noted_relations();

// Nothing is noted while the guard itself works.
void mute_notes(bool mute);

// At the end of the transaction.
void forget_notes();

}  // namespace rls_tenant
