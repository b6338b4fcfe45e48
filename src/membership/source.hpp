// Membership sources: the relations that say who is in which group, as rls_tenant.membership_source lists them.
#pragma once

#include "context/id_type.hpp"

namespace rls_tenant {

void source_init();

// One row of the table membership_source.
struct SourceRow {
  const char *name;
  Oid relid;
  const char *user_column;
  const char *group_column;
  const char *role_column;  // nullptr: none
  const char *active;       // nullptr: every row
};

// A source as it was read and found good. Whatever may change its groups clears `valid`, and it is read again.
struct Source {
  Source *next;
  uint64 id;  // of this reading: no other has it
  char *name;
  Oid relid;
  IdType user_type;
  IdType group_type;
  bool depends_on_clock;
  const char *not_cached_because;  // why its groups are not kept from one statement to the next, or nullptr
  Oid *watched;                    // the relations whose changes matter, sorted
  int watched_count;
  bool valid;
  SPIPlanPtr plan;  // of its query; nullptr until it is needed
  char *query;
  MemoryContext memory;
};

// The source of that name; an error if there is none, or it is not usable any more. Valid until the next call.
Source *find_source(const char *name);

// Whether a source has been read in this session, and whether what was read is still valid.
bool is_known(const char *name);
bool is_ready(const char *name);

// What the session has read so far; linked by next.
const Source *known_sources();

// Runs fn while no source can be found: what a source reads must not ask for memberships, since that would never end,
// and would free what is in use.
void while_busy(void (*fn)(void *), void *argument);

template <typename Fn>
void while_busy(const Fn &fn) {
  static_assert(jump_safe<Fn>);
  while_busy([](void *argument) { (*static_cast<const Fn *>(argument))(); }, const_cast<Fn *>(&fn));
}

// The rows of membership_source, as SourceRows, by name.
List *source_rows();

// The row of that name, or nullptr.
const SourceRow *source_row(const char *name);

// Checks that a row makes a source; an error if not. Gives the tables to be watched, as OIDs.
List *check_source(const SourceRow *row);

// `active` as an expression on the relation; an error if it is not a condition.
Node *parse_active(Relation relation, const char *active);

// The table membership_source; an error where the extension is not created.
Oid source_table();

// The transaction itself has changed memberships. From then on nothing that it finds is cached.
void note_own_change();
bool has_own_change();

// Has fn called when a change of the transaction's own becomes visible to its next command. It may do nothing that can
// fail.
void on_visible_own_change(void (*fn)());

}  // namespace rls_tenant
