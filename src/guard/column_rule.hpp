// A column rule: what a trigger of restrict_columns() is made to say, and what is wrong with that.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// A column that only a role may change.
struct RestrictedColumn {
  AttrNumber attribute;  // of this relation: partitions count differently
  bool by_value;
  int16 length;
};

struct ColumnRule {
  Oid relid;
  Oid trigger;
  Oid root;        // the trigger from which this one was cloned down to a partition, or itself
  Oid root_relid;  // its table, whose defaults count
  bool is_partition;
  bool restricts_insert;
  bool restricts_update;
  const char *role;
  const char *source;  // of memberships
  int count;
  RestrictedColumn columns[FLEXIBLE_ARRAY_MEMBER];
};

// Why a rule cannot be kept; without detail: it can.
struct RuleFault {
  const char *detail;
  const char *hint;
};

// The rule of a trigger, in that memory; nullptr, and the fault, where it cannot be kept.
ColumnRule *read_column_rule(Relation relation, const Trigger *trigger, MemoryContext memory, RuleFault *fault);

// The default of a restricted column, by its place in the rule, as an expression of the column's type; nullptr: NULL. A
// fault where no value can be compared with it.
Node *column_default(const ColumnRule *rule, Relation relation, int place, RuleFault *fault);

void report_unusable_rule(Relation relation, const Trigger *trigger, const RuleFault &fault, int level);

// The name of the trigger function.
constexpr char restrict_columns[] = "restrict_columns";

// Reports what is wrong with a trigger that was just made, if it is one of restrict_columns(): many faults keep it from
// firing at all, or do not show before it does.
void check_column_rule(Oid trigger, int level);

}  // namespace rls_tenant
