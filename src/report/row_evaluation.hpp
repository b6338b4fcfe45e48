// Whether a condition of a policy holds for a row, as PostgreSQL would find for a role; and if not, which part of it
// decided, in words.
#pragma once

#include "context/context.hpp"

namespace rls_tenant {

// A row on which conditions are evaluated, and what is known of it already.
struct EvaluatedRow {
  Relation relation;
  AttrNumber tenant;  // the attribute that says whose the row is, or InvalidAttrNumber
  Oid role;
  Datum array;  // the row alone in an array of the relation's row type
  HeapTupleData tuple;
  List *known;  // what was evaluated for it
};

struct Evaluation {
  bool is_true;
  Node *part;          // that decided
  const char *reason;  // why it is not true; nullptr if it is
};

// The parts of AND and OR are evaluated one by one, as the role, in a subtransaction each: an error is a reason, too.
// To be called where nothing can be written.
Evaluation evaluate_condition(EvaluatedRow *row, Node *expression);

// An attribute of a row as text; nullptr: NULL.
const char *attribute_text(const EvaluatedRow *row, AttrNumber attribute);

// Which settings of the context an expression reads.
SettingSet what_expression_reads(Node *expression);

// "no context: no tenant is set" where one of the settings is not set; else nullptr.
const char *missing_context_words(SettingSet settings);

// The expression with the values of the context in the place of the functions that read them. Binds nothing.
Node *with_context_values(Node *expression);

}  // namespace rls_tenant
