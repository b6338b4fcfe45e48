// Handing the leader's answers down to parallel workers: one statement sees one answer, in all of its processes.
// (Workers of one index scan share its position by the number of the array's element, so their arrays must be the
// same.)
#pragma once

#include "context/context.hpp"
#include "membership/lookup.hpp"

namespace rls_tenant {

void membership_parallel_init();

// The answers of the sources that the session knows about the context's user, where workers that are started find them.
struct HandedDown {
  dsm_segment *segment;
  int level;
};
HandedDown hand_down_answers();
void end_hand_down(const HandedDown &handed);

// In a worker: what the leader was told, as a copy in membership_memory(); nullptr if it did not ask that.
Answer *handed_down_answer(const char *source, const ContextValue *user);

}  // namespace rls_tenant
