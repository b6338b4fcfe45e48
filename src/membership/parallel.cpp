// The groups lie in a segment of dynamic shared memory. Its handle is the value of a setting, which PostgreSQL passes
// on to workers with all others.

#include "membership/parallel.hpp"

namespace rls_tenant {

namespace {

constexpr char handle_setting[] = "rls_tenant.handed_down";

char *handle_text;
bool handing_down = false;

// One set of groups in the segment: this, then the set, the source's name, and the user.
struct Entry {
  uint32 size;  // of all of it; 0 ends the segment
  uint32 source_length;
  uint32 user_length;
};

constexpr size_t groups_at = MAXALIGN(sizeof(Entry));

size_t entry_size(const StatementGroups *given) {
  return MAXALIGN(groups_at + given->cached->groups->size + given->source_length + given->cached->key.user_length);
}

// The handle is not for users to set.
bool check_handle(char **newval, void **, GucSource source) {
  if (handing_down || InitializingParallelWorker || source == PGC_S_DEFAULT || **newval == '\0') return true;
  GUC_check_errmsg("%s cannot be set", handle_setting);
  GUC_check_errdetail("The library alone sets it, to hand memberships down to parallel workers.");
  GUC_check_errhint("Leave it unset.");
  return false;
}

void set_handle(const char *text) {
  handing_down = true;
  PG_TRY();
  { set_config_option(handle_setting, text, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, ERROR, false); }
  PG_FINALLY();
  { handing_down = false; }
  PG_END_TRY();
}

void write_groups(char *place, const StatementGroups *list) {
  for (; list != nullptr; list = list->next) {
    const GroupSet *groups = list->cached->groups;
    const GroupsKey &key = list->cached->key;
    const size_t size = entry_size(list);
    const Entry entry = {static_cast<uint32>(size), static_cast<uint32>(list->source_length), key.user_length};
    memcpy(place, &entry, sizeof entry);
    memcpy(place + groups_at, groups, groups->size);
    char *text = place + groups_at + groups->size;
    memcpy(text, list->source, list->source_length);
    memcpy(text + list->source_length, key.user, key.user_length);
    place += size;
  }
  const Entry end = {};
  memcpy(place, &end, sizeof end);
}

}  // namespace

HandedDown hand_down_groups(const StatementGroups *list) {
  HandedDown handed = {nullptr, 0};
  if (list == nullptr) return handed;
  size_t size = sizeof(Entry);
  for (const StatementGroups *given = list; given != nullptr; given = given->next) size += entry_size(given);
  handed.segment = dsm_create(size, 0);
  write_groups(static_cast<char *>(dsm_segment_address(handed.segment)), list);
  handed.level = NewGUCNestLevel();
  set_handle(psprintf("%u", dsm_segment_handle(handed.segment)));
  return handed;
}

void end_hand_down(const HandedDown &handed) {
  if (handed.segment == nullptr) return;
  AtEOXact_GUC(true, handed.level);
  dsm_detach(handed.segment);
}

GroupSet *handed_down_groups(const char *source, const ContextValue *user) {
  if (handle_text == nullptr || *handle_text == '\0') return nullptr;
  dsm_segment *segment = dsm_attach(static_cast<dsm_handle>(strtoul(handle_text, nullptr, 10)));
  if (segment == nullptr) return nullptr;  // the leader has ended: so will this worker
  GroupSet *result = nullptr;
  const char *place = static_cast<const char *>(dsm_segment_address(segment));
  for (;;) {
    Entry entry;
    memcpy(&entry, place, sizeof entry);
    if (entry.size == 0) break;
    const GroupSet *groups = reinterpret_cast<const GroupSet *>(place + groups_at);
    const char *text = place + groups_at + groups->size;
    if (entry.source_length == strlen(source) && memcmp(text, source, entry.source_length) == 0 &&
        entry.user_length == user->length() &&
        memcmp(text + entry.source_length, user->bytes(), entry.user_length) == 0) {
      result = static_cast<GroupSet *>(MemoryContextAllocExtended(CurrentMemoryContext, groups->size, MCXT_ALLOC_HUGE));
      memcpy(result, groups, groups->size);
      break;
    }
    place += entry.size;
  }
  dsm_detach(segment);
  return result;
}

void parallel_init() {
  DefineCustomStringVariable(handle_setting, "Where parallel workers find the groups that their leader was given.",
                             "The library alone sets it.", &handle_text, "", PGC_SUSET,
                             GUC_NO_SHOW_ALL | GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
                             check_handle, nullptr, nullptr);
}

}  // namespace rls_tenant
