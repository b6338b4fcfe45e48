// A hash table over a list in the order of use, the last used first.

#include "membership/group_cache.hpp"

#include "postgres/transaction_end.hpp"

namespace rls_tenant {

namespace {

int cache_size = 4096;  // kB

struct Entry {
  GroupsKey key;
  CachedGroups *cached;
};

HTAB *entries = nullptr;
dlist_head by_use = DLIST_STATIC_INIT(by_use);
CacheFigures figures = {};
int clock_dependent = 0;  // how many sets in the cache are good for one transaction only

uint32 hash_key(const void *key, Size) {
  const GroupsKey *groups = static_cast<const GroupsKey *>(key);
  return hash_combine(
      hash_bytes(reinterpret_cast<const unsigned char *>(groups->user), static_cast<int>(groups->user_length)),
      hash_bytes_uint32(static_cast<uint32>(groups->source)));
}

int compare_keys(const void *left, const void *right, Size) {
  const GroupsKey *a = static_cast<const GroupsKey *>(left), *b = static_cast<const GroupsKey *>(right);
  return a->source != b->source || a->user_length != b->user_length || memcmp(a->user, b->user, a->user_length) != 0;
}

// What a node of the list belongs to.
CachedGroups *of_node(dlist_node *node) {
  static_assert(offsetof(CachedGroups, link) == 0);
  return reinterpret_cast<CachedGroups *>(node);
}

HTAB *table() {
  if (entries != nullptr) return entries;
  HASHCTL control = {};
  control.keysize = sizeof(GroupsKey);
  control.entrysize = sizeof(Entry);
  control.hash = hash_key;
  control.match = compare_keys;
  control.hcxt = membership_memory();
  entries =
      hash_create("rls_tenant memberships", 64, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
  return entries;
}

void drop(CachedGroups *cached) {
  hash_search(table(), &cached->key, HASH_REMOVE, nullptr);
  dlist_delete(&cached->link);
  figures.users--;
  figures.bytes -= static_cast<int64>(cached->size);
  if (cached->groups->depends_on_clock) clock_dependent--;
  release_cached_groups(cached);
}

template <typename Fn>
void drop_where(Fn fn) {
  for (dlist_node *node = by_use.head.next, *next; node != &by_use.head; node = next) {
    next = node->next;
    if (fn(of_node(node))) drop(of_node(node));
  }
}

// Makes room for so many bytes; false: they are more than the cache may hold.
bool make_room(size_t size) {
  const int64 limit = int64{cache_size} * 1024;
  while (figures.bytes + static_cast<int64>(size) > limit && !dlist_is_empty(&by_use)) {
    drop(of_node(dlist_tail_node(&by_use)));
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

CachedGroups *make_cached_groups(const GroupsKey &key, const GroupSet *groups) {
  const size_t groups_at = MAXALIGN(sizeof(CachedGroups)), user_at = groups_at + groups->size;
  char *block = static_cast<char *>(
      MemoryContextAllocExtended(membership_memory(), user_at + key.user_length + 1, MCXT_ALLOC_HUGE));
  memcpy(block + groups_at, groups, groups->size);
  memcpy(block + user_at, key.user, key.user_length);
  block[user_at + key.user_length] = '\0';
  CachedGroups *cached = reinterpret_cast<CachedGroups *>(block);
  *cached = {};
  cached->key = {key.source, block + user_at, key.user_length};
  cached->groups = reinterpret_cast<GroupSet *>(block + groups_at);
  cached->size = GetMemoryChunkSpace(cached) + sizeof(Entry) + 2 * sizeof(void *);
  cached->references = 1;
  return cached;
}

void add_reference(CachedGroups *cached) { cached->references++; }

void release_cached_groups(CachedGroups *cached) {
  if (--cached->references == 0) pfree(cached);
}

CachedGroups *find_cached_groups(const GroupsKey &key) {
  make_room(0);  // the setting may have been lowered
  const Entry *entry = static_cast<const Entry *>(hash_search(table(), &key, HASH_FIND, nullptr));
  if (entry == nullptr) return nullptr;
  dlist_move_head(&by_use, &entry->cached->link);
  return entry->cached;
}

void add_to_cache(CachedGroups *cached) {
  if (find_cached_groups(cached->key) != nullptr || !make_room(cached->size)) return;
  PG_TRY();
  { static_cast<Entry *>(hash_search(table(), &cached->key, HASH_ENTER, nullptr))->cached = cached; }
  PG_CATCH();
  {
    release_cached_groups(cached);
    PG_RE_THROW();
  }
  PG_END_TRY();
  cached->references++;
  dlist_push_head(&by_use, &cached->link);
  figures.users++;
  figures.bytes += static_cast<int64>(cached->size);
  if (cached->groups->depends_on_clock) {
    clock_dependent++;
    note_transaction();
  }
}

void drop_cached_of_source(uint64 source) {
  drop_where([=](const CachedGroups *cached) { return cached->key.source == source; });
}

void drop_cached_of_transaction() {
  if (clock_dependent == 0) return;
  drop_where([](const CachedGroups *cached) { return cached->groups->depends_on_clock; });
}

CacheFigures cache_figures() { return figures; }

void group_cache_init() {
  DefineCustomIntVariable(
      "rls_tenant.membership_cache_size", "The memory in which a session keeps the memberships of users.",
      "Those of the least recently used users are dropped first. 0 keeps none longer than a statement.", &cache_size,
      4096, 0, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
}

}  // namespace rls_tenant
