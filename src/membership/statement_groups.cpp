// Lists of the groups that statements were given: linked lists, since few statements ask more than one source.

#include "membership/statement_groups.hpp"

namespace rls_tenant {

namespace {

// Whether an element is of that user by that source.
bool is_of(const StatementGroups *element, const char *source, size_t source_length, const char *user,
           size_t user_length) {
  const GroupsKey &key = element->cached->key;
  return element->source_length == source_length && memcmp(element->source, source, source_length) == 0 &&
         key.user_length == user_length && memcmp(key.user, user, user_length) == 0;
}

// Whether an element is of the same user by the same source as another, and has all groups and roles that the other
// has.
bool covers(const StatementGroups *element, const StatementGroups *other) {
  const GroupsKey &key = other->cached->key;
  return is_of(element, other->source, other->source_length, key.user, key.user_length) &&
         nothing_lost(other->cached->groups, element->cached->groups);
}

void release_element(StatementGroups *element) {
  release_cached_groups(element->cached);
  pfree(element);
}

// Puts an element that is in no list into a list.
void merge_element(StatementGroups **list, StatementGroups *element) {
  for (StatementGroups **link = list; *link != nullptr;) {
    StatementGroups *present = *link;
    if (covers(present, element)) {
      release_element(element);
      return;
    }
    if (covers(element, present)) {
      *link = present->next;
      release_element(present);
    } else {
      link = &present->next;
    }
  }
  element->next = *list;
  *list = element;
}

}  // namespace

const StatementGroups *find_statement_groups(const StatementGroups *list, const char *source, size_t length,
                                             const ContextValue *user) {
  while (list != nullptr && !is_of(list, source, length, user->bytes(), user->length())) list = list->next;
  return list;
}

void add_statement_groups(StatementGroups **list, const char *source, size_t length, CachedGroups *cached) {
  StatementGroups *element = static_cast<StatementGroups *>(MemoryContextAllocExtended(
      membership_memory(), offsetof(StatementGroups, source) + length + 1, MCXT_ALLOC_NO_OOM));
  if (element == nullptr) {
    release_cached_groups(cached);
    ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
  }
  element->cached = cached;
  element->source_length = length;
  memcpy(element->source, source, length);
  element->source[length] = '\0';
  element->next = *list;
  *list = element;
}

void merge_statement_groups(StatementGroups **into, StatementGroups **from) {
  while (*from != nullptr) {
    StatementGroups *element = *from;
    *from = element->next;
    merge_element(into, element);
  }
}

void copy_statement_groups(StatementGroups **into, const StatementGroups *from) {
  for (; from != nullptr; from = from->next) {
    StatementGroups *copy = nullptr;
    add_reference(from->cached);
    add_statement_groups(&copy, from->source, from->source_length, from->cached);
    merge_element(into, copy);
  }
}

void release_statement_groups(StatementGroups **list) {
  while (*list != nullptr) {
    StatementGroups *element = *list;
    *list = element->next;
    release_element(element);
  }
}

}  // namespace rls_tenant
