// A hash table over a list in the order of use.

#include "membership/group_cache.hpp"

#include "postgres/transaction_end.hpp"

namespace rls_tenant {

namespace {

int cache_size = 4096;  // kB

struct Entry {
  AnswerKey key;
  HeldAnswer *held;
};

HTAB *entries = nullptr;
dlist_head by_use = DLIST_STATIC_INIT(by_use);  // the last used first
CacheFigures figures = {};
int for_one_transaction = 0;  // answers in the cache that hold for one transaction

uint32 hash_key(const void *key, Size) {
  const AnswerKey *answer = static_cast<const AnswerKey *>(key);
  return hash_combine(
      hash_bytes(reinterpret_cast<const unsigned char *>(answer->user), static_cast<int>(answer->user_length)),
      hash_bytes_uint32(static_cast<uint32>(answer->source)));
}

int compare_keys(const void *left, const void *right, Size) {
  const AnswerKey *a = static_cast<const AnswerKey *>(left), *b = static_cast<const AnswerKey *>(right);
  return a->source != b->source || a->user_length != b->user_length || memcmp(a->user, b->user, a->user_length) != 0;
}

// The answer that a node of the list is in.
HeldAnswer *of_node(dlist_node *node) {
  static_assert(offsetof(HeldAnswer, link) == 0);
  return reinterpret_cast<HeldAnswer *>(node);
}

HTAB *table() {
  if (entries != nullptr) return entries;
  HASHCTL control = {};
  control.keysize = sizeof(AnswerKey);
  control.entrysize = sizeof(Entry);
  control.hash = hash_key;
  control.match = compare_keys;
  control.hcxt = membership_memory();
  entries =
      hash_create("rls_tenant memberships", 64, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
  return entries;
}

void uncache(HeldAnswer *held) {
  hash_search(table(), &held->key, HASH_REMOVE, nullptr);
  dlist_delete(&held->link);
  held->cached = false;
  figures.users--;
  figures.bytes -= static_cast<int64>(held->size);
  if (held->answer->holds_for_one_transaction) for_one_transaction--;
  release_answer(held);
}

template <typename Fn>
void uncache_where(Fn fn) {
  for (dlist_node *node = by_use.head.next, *next; node != &by_use.head; node = next) {
    next = node->next;
    if (fn(of_node(node))) uncache(of_node(node));
  }
}

// Makes room for so many bytes; says whether there is any.
bool make_room(size_t size) {
  const int64 limit = int64{cache_size} * 1024;
  while (figures.bytes + static_cast<int64>(size) > limit && !dlist_is_empty(&by_use)) {
    uncache(of_node(dlist_tail_node(&by_use)));
    figures.evictions++;
  }
  return static_cast<int64>(size) <= limit;
}

}  // namespace

MemoryContext membership_memory() {
  static MemoryContext memory = nullptr;
  if (memory == nullptr)
    memory = AllocSetContextCreate(TopMemoryContext, "rls_tenant memberships", ALLOCSET_DEFAULT_SIZES);
  return memory;
}

HeldAnswer *hold_answer(const AnswerKey &key, Answer *answer) {
  HeldAnswer *held =
      static_cast<HeldAnswer *>(MemoryContextAllocZero(membership_memory(), sizeof(HeldAnswer) + key.user_length + 1));
  char *user = reinterpret_cast<char *>(held) + sizeof(HeldAnswer);
  memcpy(user, key.user, key.user_length);
  held->key = {key.source, user, key.user_length};
  held->answer = answer;
  held->size = GetMemoryChunkSpace(held) + GetMemoryChunkSpace(answer) + sizeof(Entry) + 2 * sizeof(void *);
  held->references = 1;
  return held;
}

void refer_to(HeldAnswer *held) { held->references++; }

void release_answer(HeldAnswer *held) {
  if (--held->references > 0) return;
  pfree(held->answer);
  pfree(held);
}

HeldAnswer *cached_answer(const AnswerKey &key) {
  make_room(0);  // the setting may have been lowered
  const Entry *entry = static_cast<const Entry *>(hash_search(table(), &key, HASH_FIND, nullptr));
  if (entry == nullptr) return nullptr;
  dlist_move_head(&by_use, &entry->held->link);
  return entry->held;
}

void cache_answer(HeldAnswer *held) {
  if (cached_answer(held->key) != nullptr || !make_room(held->size)) return;
  bool found;
  Entry *entry = static_cast<Entry *>(hash_search(table(), &held->key, HASH_ENTER, &found));
  entry->held = held;
  held->cached = true;
  held->references++;
  dlist_push_head(&by_use, &held->link);
  figures.users++;
  figures.bytes += static_cast<int64>(held->size);
  if (held->answer->holds_for_one_transaction) {
    for_one_transaction++;
    note_transaction();
  }
}

void uncache_source(uint64 source) {
  uncache_where([=](const HeldAnswer *held) { return held->key.source == source; });
}

void uncache_transaction() {
  if (for_one_transaction == 0) return;
  uncache_where([](const HeldAnswer *held) { return held->answer->holds_for_one_transaction; });
}

CacheFigures cache_figures() { return figures; }

void membership_cache_init() {
  DefineCustomIntVariable("rls_tenant.membership_cache_size",
                          "The memory in which a session keeps the memberships of users.",
                          "Users that were least recently asked for go first. 0 keeps none beyond a statement.",
                          &cache_size, 4096, 0, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
}

}  // namespace rls_tenant
