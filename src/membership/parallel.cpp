// The answers lie in a segment of dynamic shared memory. Its handle is the value of a setting, which PostgreSQL passes
// on to workers with all others.

#include "membership/parallel.hpp"

namespace rls_tenant {

namespace {

constexpr char handle_setting[] = "rls_tenant.handed_down";

char *handle_text;
bool handing_down = false;

// One answer in the segment: this, the answer's block, the source's name, the user.
struct Handed {
  uint32 size;  // of all of it; 0 ends the segment
  uint32 source_length;
  uint32 user_length;
};

constexpr size_t answer_at = MAXALIGN(sizeof(Handed));

size_t handed_size(const Pin *pin) {
  return MAXALIGN(answer_at + pin->held->answer->size + pin->source_length + pin->held->key.user_length);
}

// The handle is not for users to set.
bool check_handle(char **newval, void **, GucSource source) {
  if (handing_down || InitializingParallelWorker || source == PGC_S_DEFAULT || **newval == '\0') return true;
  GUC_check_errmsg("%s cannot be set", handle_setting);
  GUC_check_errdetail("It tells parallel workers what their leader knows.");
  GUC_check_errhint("Leave it alone.");
  return false;
}

void set_handle(const char *text) {
  handing_down = true;
  set_config_option(handle_setting, text, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, ERROR, false);
  handing_down = false;
}

void write_answers(char *place, const Pin *pins) {
  for (const Pin *pin = pins; pin != nullptr; pin = pin->next) {
    const HeldAnswer *held = pin->held;
    const size_t size = handed_size(pin);
    const Handed head = {static_cast<uint32>(size), static_cast<uint32>(pin->source_length), held->key.user_length};
    memcpy(place, &head, sizeof head);
    char *text = place + answer_at + held->answer->size;
    memcpy(place + answer_at, held->answer, held->answer->size);
    memcpy(text, pin->source, pin->source_length);
    memcpy(text + pin->source_length, held->key.user, held->key.user_length);
    place += size;
  }
  const Handed end = {};
  memcpy(place, &end, sizeof end);
}

}  // namespace

HandedDown hand_down_answers() {
  HandedDown handed = {nullptr, 0};
  const Pin *pins = pin_known_sources();
  if (pins == nullptr) return handed;
  size_t size = sizeof(Handed);
  for (const Pin *pin = pins; pin != nullptr; pin = pin->next) size += handed_size(pin);
  handed.segment = dsm_create(size, 0);
  write_answers(static_cast<char *>(dsm_segment_address(handed.segment)), pins);
  handed.level = NewGUCNestLevel();
  set_handle(psprintf("%u", dsm_segment_handle(handed.segment)));
  return handed;
}

void end_hand_down(const HandedDown &handed) {
  if (handed.segment == nullptr) return;
  AtEOXact_GUC(true, handed.level);
  dsm_detach(handed.segment);
}

Answer *handed_down_answer(const char *source, const ContextValue *user) {
  if (handle_text == nullptr || *handle_text == '\0') return nullptr;
  dsm_segment *segment = dsm_attach(static_cast<dsm_handle>(strtoul(handle_text, nullptr, 10)));
  if (segment == nullptr) return nullptr;  // the leader has ended: so will this worker
  Answer *result = nullptr;
  const char *place = static_cast<const char *>(dsm_segment_address(segment));
  for (;;) {
    Handed head;
    memcpy(&head, place, sizeof head);
    if (head.size == 0) break;
    const Answer *answer = reinterpret_cast<const Answer *>(place + answer_at);
    const char *text = place + answer_at + answer->size;
    if (head.source_length == strlen(source) && memcmp(text, source, head.source_length) == 0 &&
        head.user_length == user->length() && memcmp(text + head.source_length, user->bytes(), head.user_length) == 0) {
      result = static_cast<Answer *>(MemoryContextAlloc(membership_memory(), answer->size));
      memcpy(result, answer, answer->size);
      break;
    }
    place += head.size;
  }
  dsm_detach(segment);
  return result;
}

void membership_parallel_init() {
  DefineCustomStringVariable(handle_setting, "Where parallel workers find what their leader knows of memberships.",
                             "Set by the library alone.", &handle_text, "", PGC_SUSET,
                             GUC_NO_SHOW_ALL | GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
                             check_handle, nullptr, nullptr);
}

}  // namespace rls_tenant
