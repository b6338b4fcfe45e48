// Doing what may fail, and going on.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Runs fn in a subtransaction: gives nullptr, or the message of the error that undid it. A cancellation is passed on.
// Not inline: its caller's variables must not be in registers that the jump of an error restores.
template <typename Fn>
__attribute__((noinline)) const char *in_subtransaction(const Fn &fn) {
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

// Runs fn in a subtransaction whose work stays; its errors are passed on. For what goes on in subtransactions while a
// transaction ends: PostgreSQL can release one directly below it then, but does not expect to roll one back.
template <typename Fn>
__attribute__((noinline)) void in_lasting_subtransaction(const Fn &fn) {
  static_assert(jump_safe<Fn>);
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
    ReThrowError(error);
  }
  PG_END_TRY();
  MemoryContextSwitchTo(memory);
  CurrentResourceOwner = owner;
}

// Runs fn in a subtransaction that can write nothing and is undone in any case; its errors are passed on.
template <typename Fn>
__attribute__((noinline)) void in_read_only_subtransaction(const Fn &fn) {
  static_assert(jump_safe<Fn>);
  const MemoryContext memory = CurrentMemoryContext;
  const ResourceOwner owner = CurrentResourceOwner;
  BeginInternalSubTransaction(nullptr);
  XactReadOnly = true;  // the end of the subtransaction restores it; until then nobody can take it back
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    fn();
    RollbackAndReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(memory);
    ErrorData *error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    ReThrowError(error);
  }
  PG_END_TRY();
  MemoryContextSwitchTo(memory);
  CurrentResourceOwner = owner;
}

}  // namespace rls_tenant
