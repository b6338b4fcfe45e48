// What the guard has refused in this session, for status().
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Keeps the texts of a refusal beyond the transaction that it ends; the oldest of ten goes.
void remember_refusal(const char *message, const char *detail);

}  // namespace rls_tenant
