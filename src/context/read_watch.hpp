// What is read while a plan is made. The planner evaluates functions that are labelled IMMUTABLE, and puts their
// results into the plan: where such a function reads the context, the plan holds for that context alone.
#pragma once

#include "context/context.hpp"

namespace rls_tenant {

// Lives on the C stack while something is watched.
struct ReadWatch {
  ReadWatch *outer;
  const ErrorContextCallback *stack;  // of error contexts, where it began
  SettingSet read;
};
extern ReadWatch *read_watch;  // the innermost

// Calls fn and says what functions read that were called meanwhile: those of procedural languages and SQL, and their
// queries. What the planner itself evaluates for an estimate does not count: a context function that a policy calls.
// Not inline: its caller's variables must not be in registers that the jump of an error restores.
template <typename Fn>
__attribute__((noinline)) SettingSet watch_reads(const Fn &fn) {
  static_assert(jump_safe<Fn>);
  ReadWatch here = {read_watch, error_context_stack, 0};
  read_watch = &here;
  make_context_unready();
  PG_TRY();
  { fn(); }
  PG_FINALLY();
  { read_watch = here.outer; }
  PG_END_TRY();
  return here.read;
}

// Tells all who watch of a read; false: some of them must be told of the next one, too.
bool note_read(Setting setting);

// Reads for a plan that will be marked with the value: the innermost watch is not told.
const ContextValue *read_for_marked_plan(Setting setting);

}  // namespace rls_tenant
