// What a membership source reads: the tables whose changes end the answers drawn from it, and nothing that changes
// without a sign.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

struct Reach {
  List *tables;     // their OIDs, parts and children included
  List *views;      // through which they are read
  bool asks_clock;  // an answer holds for one transaction only
};

// Adds what a table or view reads; an error where its changes could not be told, or a view's owner does not own it.
void reach_relation(Reach *reach, Oid relid);

// Adds what a condition reads; an error if it is more than a function of the row and the clock.
void reach_condition(Reach *reach, Node *condition);

// The trigger that tells of changes: its name, and whether a table has it, whole and firing always.
constexpr char change_trigger[] = "rls_tenant_membership";
bool has_change_trigger(Oid relid);

}  // namespace rls_tenant
