// Handing the groups that the leader was given down to its parallel workers, so that all processes of a statement have
// the same. (Workers of one index scan share its position by the number of the array's element, so their arrays must be
// the same.)
#pragma once

#include "membership/statement_groups.hpp"

namespace rls_tenant {

void parallel_init();

// Puts groups where workers that are started from now on find them; the caller ends that.
struct HandedDown {
  dsm_segment *segment;
  int level;
};
HandedDown hand_down_groups(const StatementGroups *list);
void end_hand_down(const HandedDown &handed);

// In a worker: what the leader was given of a user by a source, as a copy; nullptr: nothing.
GroupSet *handed_down_groups(const char *source, const ContextValue *user);

}  // namespace rls_tenant
