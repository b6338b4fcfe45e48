// Comparing rows, without reading what need not be read.

#include "guard/row_values.hpp"

namespace rls_tenant {

namespace {

// Whether two values are the same toasted one, which needs no reading.
bool same_toast(Datum left, Datum right) {
  const void *one = DatumGetPointer(left), *other = DatumGetPointer(right);
  return VARATT_IS_EXTERNAL_ONDISK(one) && VARATT_IS_EXTERNAL_ONDISK(other) &&
         memcmp(VARDATA_EXTERNAL(one), VARDATA_EXTERNAL(other), sizeof(varatt_external)) == 0;
}

}  // namespace

RowValues make_row_values(const ColumnRule *rule, MemoryContext memory) {
  const size_t count = static_cast<size_t>(rule->count) + 1;
  return {static_cast<Datum *>(MemoryContextAllocZero(memory, sizeof(Datum) * count)),
          static_cast<bool *>(MemoryContextAllocZero(memory, sizeof(bool) * count))};
}

bool differs(const RestrictedColumn &column, int place, const RowValues &before, const RowValues &after) {
  if (before.nulls[place] || after.nulls[place]) return before.nulls[place] != after.nulls[place];
  const Datum left = before.values[place], right = after.values[place];
  if (column.by_value) return left != right && !datum_image_eq(left, right, true, column.length);
  if (column.length == -1 && same_toast(left, right)) return false;
  return !datum_image_eq(left, right, false, column.length);
}

bool any_differs(const ColumnRule *rule, const RowValues &before, const RowValues &after) {
  for (int i = 0; i < rule->count; i++) {
    if (differs(rule->columns[i], i, before, after)) return true;
  }
  return false;
}

}  // namespace rls_tenant
