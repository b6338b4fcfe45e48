// A list, which lives as long as the transaction.

#include "guard/moved_rows.hpp"

#include "membership/lookup.hpp"

namespace rls_tenant {

namespace {

MovedRow *moved_rows = nullptr;
bool forgets_moved_rows = false;  // at the transaction's end

void forget_moved_rows(void *) {
  moved_rows = nullptr;
  forgets_moved_rows = false;
}

// The statement that is running; 0: one that loaded the library.
uint64 statement_number() { return current_statement() != nullptr ? current_statement()->number : 0; }

const RestrictedColumn &column_at(const ColumnRule *rule, const MovedRow *moved, int place) {
  return place < rule->count ? rule->columns[place] : moved->tenant;
}

}  // namespace

void remember_moved_row(const ColumnRule *rule, const RowValues &values, const RestrictedColumn &tenant,
                        Oid tenant_type) {
  const MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
  if (!forgets_moved_rows) {
    MemoryContextCallback *at_end = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
    at_end->func = forget_moved_rows;
    MemoryContextRegisterResetCallback(TopTransactionContext, at_end);
    forgets_moved_rows = true;
  }
  MovedRow *moved = static_cast<MovedRow *>(palloc(sizeof(MovedRow)));
  *moved = {moved_rows,
            statement_number(),
            GetCurrentTransactionIdIfAny(),
            rule->root,
            make_row_values(rule, TopTransactionContext),
            tenant,
            tenant_type};
  for (int i = 0; i <= rule->count; i++) {
    const RestrictedColumn &column = column_at(rule, moved, i);
    moved->values.nulls[i] = values.nulls[i];
    if (!values.nulls[i]) moved->values.values[i] = datumCopy(values.values[i], column.by_value, column.length);
  }
  moved_rows = moved;
  MemoryContextSwitchTo(caller);
}

MovedRow *take_moved_row(const ColumnRule *rule) {
  for (MovedRow **link = &moved_rows; *link != nullptr; link = &(*link)->next) {
    MovedRow *moved = *link;
    if (moved->rule != rule->root || moved->statement != statement_number() ||
        moved->transaction != GetCurrentTransactionIdIfAny()) {
      continue;
    }
    *link = moved->next;
    return moved;
  }
  return nullptr;
}

void release_moved_row(const ColumnRule *rule, MovedRow *moved) {
  for (int i = 0; i <= rule->count; i++) {
    if (!moved->values.nulls[i] && !column_at(rule, moved, i).by_value) pfree(DatumGetPointer(moved->values.values[i]));
  }
  pfree(moved->values.values);
  pfree(moved->values.nulls);
  pfree(moved);
}

}  // namespace rls_tenant
