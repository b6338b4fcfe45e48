// What a membership source reads: the tables whose changes end the validity of its groups, and nothing whose value
// changes without an invalidation.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

struct SourceRelations {
  List *tables;           // their OIDs, with all partitions and children
  List *views;            // through which they are read
  bool depends_on_clock;  // so that groups are good for one transaction only
};

// Adds a table or view and what it reads; an error where changes of that would go unnoticed, or where a view's owner
// does not own it.
void add_relation(SourceRelations *relations, Oid relid);

// Adds what a condition reads; an error if it depends on more than the row and the clock.
void add_condition(SourceRelations *relations, Node *condition);

// The trigger that makes changes known: its name, and whether a table has it, for all changes and firing always.
constexpr char change_trigger[] = "rls_tenant_membership";
bool has_change_trigger(Oid relid);

}  // namespace rls_tenant
