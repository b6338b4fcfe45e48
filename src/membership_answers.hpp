// Asking a source about the user of the context. One statement sees one answer.
#pragma once

#include "membership_cache.hpp"

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
  Pin *pins;
  uint64 stamp;
  uint64 own_changes;  // of the transaction, when the first pin was made
};

void enter_statement(StatementAnswers *answers);
void leave_statement(StatementAnswers *answers);

// Keeps what a statement was told for the next run of its query (a cursor's FETCH).
void keep_answers(StatementAnswers *answers, Pin **kept);
// At that run: an error where the user has left a group since.
void check_kept_answers(const Pin *kept);
void release_pins(Pin **pins);

// Changes with every statement, and when an own change becomes visible: an answer is good as long as this is the same
// and not 0.
extern uint64 answer_stamp;

// The groups of the context's user; nullptr if there is no user and that does not raise. Good to the end of the
// statement, and as long as answer_stamp stays the same; outside of any, to the next call.
const Answer *answer_of_source(const char *source, size_t length);

// Asks every source about the user, where there is one, for the running statement; what fails is left out.
const Pin *pin_all_sources();

// The number of questions that were put to the tables since the session began.
uint64 membership_fills();

}  // namespace rls_tenant
