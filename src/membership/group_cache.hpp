// Answers that a backend keeps across transactions, at most rls_tenant.membership_cache_size of them; those that were
// least recently asked for go first.
#pragma once

#include "membership/group_set.hpp"

namespace rls_tenant {

void membership_cache_init();

// Whose answer it is, by which reading of which source (Source::id).
struct AnswerKey {
  uint64 source;
  const char *user;
  uint32 user_length;
};

// An answer in memory: as long as the cache or a statement refers to it.
struct HeldAnswer {
  dlist_node link;  // in the cache, by last use
  AnswerKey key;    // `user` is a copy
  Answer *answer;
  size_t size;  // of all that belongs to it
  int references;
  bool cached;
};

// The memory of answers and of what refers to them.
MemoryContext membership_memory();

// A holder of an answer (in membership_memory) with one reference, the caller's.
HeldAnswer *hold_answer(const AnswerKey &key, Answer *answer);
void refer_to(HeldAnswer *held);
void release_answer(HeldAnswer *held);

// The cached answer, or nullptr.
HeldAnswer *cached_answer(const AnswerKey &key);
// Puts an answer into the cache, if there is room for it at all.
void cache_answer(HeldAnswer *held);

// Drops what the cache has of a reading of a source.
void uncache_source(uint64 source);
// Drops what holds for one transaction only.
void uncache_transaction();

// What membership_cache() shows.
struct CacheFigures {
  int64 users;  // answers in the cache
  int64 bytes;
  int64 evictions;  // since the session began
};
CacheFigures cache_figures();

}  // namespace rls_tenant
