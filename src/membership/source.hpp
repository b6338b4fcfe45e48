// Membership sources: the relations that say who is in which group, as rls_tenant.membership_source lists them.
#pragma once

#include "context/context.hpp"
#include "membership/group_set.hpp"

namespace rls_tenant {

void membership_source_init();

// One row of the table membership_source.
struct SourceRow {
  const char *name;
  Oid relid;
  const char *user_column;
  const char *group_column;
  const char *role_column;  // nullptr: none
  const char *active;       // nullptr: every row
};

// A source as it was read and found good. Whatever may change its answers takes `valid` away, and it is read anew.
struct Source {
  Source *next;
  uint64 id;  // of this reading: no other has it
  char *name;
  Oid relid;
  IdType user_type;
  IdType group_type;
  bool has_roles;
  bool asks_clock;
  const char *unkept;  // why its answers are not kept, or nullptr
  Oid *watched;        // the relations whose changes matter, sorted
  int watched_count;
  bool valid;
  SPIPlanPtr plan;  // of its query; nullptr until it is needed
  char *query;
  MemoryContext memory;
};

// The source of that name; an error where there is none, or none that is good any more. Valid to the next call.
Source *find_source(const char *name);

// Whether a source has been read in this session, and whether what was read is good.
bool is_known(const char *name);
bool is_ready(const char *name);

// What the session has read so far; linked by next.
const Source *known_sources();

// Whether a source is being read or asked. What runs meanwhile must not ask: it would never end, and would take from
// memory what is in use.
extern bool source_is_busy;

// Runs fn while sources are busy. Not inline: see run_watched.
template <typename Fn>
__attribute__((noinline)) void while_busy(const Fn &fn) {
  static_assert(jump_safe<Fn>);
  source_is_busy = true;
  PG_TRY();
  { fn(); }
  PG_FINALLY();
  { source_is_busy = false; }
  PG_END_TRY();
}

// The rows of membership_source, as SourceRows, by name.
List *source_rows();

// The row of that name, or nullptr.
const SourceRow *source_row(const char *name);

// Checks that a row makes a source; an error if not. Gives the tables to be watched, as OIDs.
List *check_source(const SourceRow *row);

// The table membership_source; an error where the extension is too old to have it.
Oid source_table();

// That the transaction itself has changed memberships. From then on nothing it finds is kept.
void note_own_change();
bool has_own_change();
// Counts own changes that have become visible to the transaction's next command.
extern uint64 visible_own_changes;
// Changes with every statement; 0 where an own change has become visible since. What was answered under a stamp is good
// as long as this is the same.
extern uint64 answer_stamp;

}  // namespace rls_tenant
