// Doing what may fail, and going on.
#pragma once

#include "prelude.hpp"

namespace rls_tenant {

// Runs fn in a subtransaction: gives nullptr, or the message of the error that undid it. A cancellation is passed on.
// Not inline: its caller's variables must not be in registers that the jump of an error restores.
template <typename Fn>
__attribute__((noinline)) const char *attempt(const Fn &fn) {
  static_assert(jump_safe<Fn>);
  const char *volatile problem = nullptr;
  const MemoryContext memory = CurrentMemoryContext;
  const ResourceOwner owner = CurrentResourceOwner;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    fn();
    ReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(memory);
    ErrorData *error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    if (error->sqlerrcode == ERRCODE_QUERY_CANCELED) ReThrowError(error);
    problem = error->message;
  }
  PG_END_TRY();
  MemoryContextSwitchTo(memory);
  CurrentResourceOwner = owner;
  return problem;
}

}  // namespace rls_tenant
