// Asking a source about the user of the context. One statement sees one answer.
#pragma once

#include "membership/group_cache.hpp"

namespace rls_tenant {

void membership_answers_init();

// What one statement was told by one source.
struct Pin {
  Pin *next;
  HeldAnswer *held;
  uint64 source_length;
  char source[FLEXIBLE_ARRAY_MEMBER];
};

// What one statement (a run of a query) was told. Lives on the C stack of its run.
struct StatementAnswers {
  StatementAnswers *outer;
  Pin *pins;   // by what it asked itself: its answers
  Pin *inner;  // what the statements of its functions were told
  uint64 stamp;
  uint64 own_changes;  // of the transaction, when the first pin was made
  uint64 number;       // no other statement of the session has it
};

// The innermost, or nullptr.
const StatementAnswers *current_statement();
void enter_statement(StatementAnswers *answers);
// told: where all that it and its functions were told goes, beside to the outer statement; nullptr: the statement
// failed.
void leave_statement(StatementAnswers *answers, Pin **told);

// Before a query is run again (a cursor's FETCH): an error where the user has left a group by which the last run may
// have chosen rows.
void check_told_answers(const Pin *told);
void release_pins(Pin **pins);
// Moves pins; those that say no more than others go.
void merge_pins(Pin **into, Pin **from);

// The groups of the context's user; nullptr if there is no user and that does not raise. Good as long as answer_stamp
// stays the same and is not 0; outside of any statement, to the next call.
const Answer *answer_of_source(const char *source, size_t length);

// The same without what the running statement has done: it cannot vouch for itself. Good to the next call.
const Answer *answer_before_statement(const char *source, size_t length);

// Asks every source that the session has asked before about the user, where there is one, for the running statement;
// what fails is left out.
const Pin *pin_known_sources();

// The number of questions that were put to the tables since the session began.
uint64 membership_fills();

}  // namespace rls_tenant
