// Rows that have left a partition, until they arrive at another in the same statement: by their restricted values.
#pragma once

#include "guard/row_values.hpp"

namespace rls_tenant {

struct MovedRow {
  MovedRow *next;
  uint64 statement;           // that moved it, and
  TransactionId transaction;  // in which subtransaction
  Oid rule;                   // the root trigger
  RowValues values;
  RestrictedColumn tenant;  // of the partition that it has left
  Oid tenant_type;
};

void remember_moved_row(const ColumnRule *rule, const RowValues &values, const RestrictedColumn &tenant,
                        Oid tenant_type);

// Takes the row from the list that arrives now; nullptr: none is on its way.
MovedRow *take_moved_row(const ColumnRule *rule);
void release_moved_row(const ColumnRule *rule, MovedRow *moved);

}  // namespace rls_tenant
