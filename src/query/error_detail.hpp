// PostgreSQL's own refusals by row-level security and by privileges, explained in terms of tenants.
//
// PostgreSQL has no hook for it, but it asks the error context callbacks while an error is made, and they may add to
// it: two assignments per run of a statement, and no catch.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

void add_error_detail(void *query);

// Runs part of a statement. An error restores the stack by itself.
template <typename Fn>
inline void with_error_detail(QueryDesc *query, const Fn &part) {
  static_assert(jump_safe<Fn>);
  ErrorContextCallback callback = {error_context_stack, add_error_detail, query};
  error_context_stack = &callback;
  part();
  error_context_stack = callback.previous;
}

}  // namespace rls_tenant
