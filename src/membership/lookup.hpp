// The groups of the context's user by a source. Within one statement they stay the same.
#pragma once

#include "membership/statement_groups.hpp"

namespace rls_tenant {

void lookup_init();

// What one statement (a run of a query) was given. Lives on the C stack of its run.
struct StatementScope {
  StatementScope *outer;
  StatementGroups *current;     // what its own checks are given
  StatementGroups *also_given;  // to the statements of its functions, and to itself before changes of its transaction
  uint64 stamp;
  uint64 own_changes;  // that were visible when `current` began
  uint64 number;       // no other statement of the session has it
};

// The innermost statement, or nullptr.
const StatementScope *current_statement();
void enter_statement(StatementScope *scope);
// given: takes all that the statement and its functions were given, which its outer statement gets, too; nullptr: the
// statement failed.
void leave_statement(StatementScope *scope, StatementGroups **given);

// Before a query runs again (a cursor's FETCH): an error where a user has lost a group or role that was given to the
// last run, which may have chosen rows by it.
void check_given_groups(const StatementGroups *given);

// Changes with each statement; 0 where a change of the transaction's own has become visible since. Groups that were
// given under a stamp are good while it is the same. Public for the inline reads alone.
extern uint64 groups_stamp;

// The groups of the context's user; nullptr if there is no user and that does not raise. Valid while groups_stamp
// stays the same and is not 0; outside of any statement, until the next call.
const GroupSet *user_groups(const char *source, size_t length);

// The same without what the running statement has done, which must not grant itself anything. Valid until the next
// call.
const GroupSet *user_groups_before_statement(const char *source, size_t length);

// What every source that the session has asked before gives the running statement of the user, if there is one; sources
// that fail are left out.
const StatementGroups *groups_of_known_sources();

// How many queries have been put to sources since the session began.
uint64 membership_queries();

}  // namespace rls_tenant
