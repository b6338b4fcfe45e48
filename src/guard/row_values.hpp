// The values of the restricted columns in one row.
#pragma once

#include "guard/column_rule.hpp"

namespace rls_tenant {

// By their places in the rule and, as the last one, the row's tenant.
struct RowValues {
  Datum *values;
  bool *nulls;
};

// For a row of a table with that rule.
RowValues make_row_values(const ColumnRule *rule, MemoryContext memory);

// Whether a value differs, byte for byte: what is equal to its type may be another value to the application.
bool differs(const RestrictedColumn &column, int place, const RowValues &before, const RowValues &after);

// Whether one of the restricted columns does.
bool any_differs(const ColumnRule *rule, const RowValues &before, const RowValues &after);

}  // namespace rls_tenant
