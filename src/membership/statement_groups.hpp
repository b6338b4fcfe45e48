// Lists of the groups that statements were given, each of one user by one source.
#pragma once

#include "context/context_value.hpp"
#include "membership/group_cache.hpp"

namespace rls_tenant {

// An element of such a list; it refers to the groups, which stay as they are until it is released.
struct StatementGroups {
  StatementGroups *next;
  CachedGroups *cached;
  uint64 source_length;
  char source[FLEXIBLE_ARRAY_MEMBER];
};

// What a list has of a user by a source, or nullptr.
const StatementGroups *find_statement_groups(const StatementGroups *list, const char *source, size_t length,
                                             const ContextValue *user);

// Adds groups in front; the caller's reference becomes the list's.
void add_statement_groups(StatementGroups **list, const char *source, size_t length, CachedGroups *cached);

// Moves what another list has into a list. Where both have the same user by the same source, and one of them has all
// that the other has, the other goes.
void merge_statement_groups(StatementGroups **into, StatementGroups **from);

// Adds what another list has, which keeps it.
void copy_statement_groups(StatementGroups **into, const StatementGroups *from);

void release_statement_groups(StatementGroups **list);

}  // namespace rls_tenant
