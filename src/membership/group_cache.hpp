// The groups of users that a backend keeps across transactions, in at most rls_tenant.membership_cache_size of memory:
// those least recently used go first.
#pragma once

#include "membership/group_set.hpp"

namespace rls_tenant {

void group_cache_init();

// Whose groups they are, and by which reading of which source (Source::id).
struct GroupsKey {
  uint64 source;
  const char *user;
  uint32 user_length;
};

// A set of groups in memory, as long as the cache, a statement or a cursor refers to it. In one block with what belongs
// to it.
struct CachedGroups {
  dlist_node link;  // in the cache, by last use
  GroupsKey key;    // `user` is a copy
  GroupSet *groups;
  size_t size;  // of all that belongs to it
  int references;
};

// The memory of sets of groups and of what refers to them.
MemoryContext membership_memory();

// A copy of a set of groups in membership_memory(), with one reference, the caller's. It is not in the cache yet. Until
// this copy is made, at once, all that is read lies in memory of the query that asks: whatever ends that frees it.
CachedGroups *make_cached_groups(const GroupsKey &key, const GroupSet *groups);
void add_reference(CachedGroups *cached);
void release_cached_groups(CachedGroups *cached);

// What the cache has, or nullptr.
CachedGroups *find_cached_groups(const GroupsKey &key);
// Puts groups into the cache, if there is room for them at all. An error releases the caller's reference.
void add_to_cache(CachedGroups *cached);

// Drops from the cache what a reading of a source has given.
void drop_cached_of_source(uint64 source);
// Drops from the cache what is good for one transaction only.
void drop_cached_of_transaction();

// What membership_cache() shows.
struct CacheFigures {
  int64 users;  // sets of groups in the cache: one for each user and source
  int64 bytes;
  int64 evictions;  // since the session began
};
CacheFigures cache_figures();

}  // namespace rls_tenant
