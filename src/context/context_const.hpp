// A value of the context in an expression.
#pragma once

#include "context/context_value.hpp"

namespace rls_tenant {

// The value as a constant of that type; nullptr: it is not one of it. collation: that of a text.
Const *context_const(const ContextValue *value, IdType type, Oid collation);

}  // namespace rls_tenant
