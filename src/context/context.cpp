// The context settings: their hooks, the latch, and their end with the transaction.

#include "context/context.hpp"

#include "context/read_watch.hpp"
#include "postgres/transaction_end.hpp"

namespace rls_tenant {

ContextSlot context_slots[setting_count];

namespace {

struct SettingWords {
  const char *word;
  const char *name;
  const char *type_name;
  const char *description;
  const char *type_description;
};

constexpr SettingWords words[setting_count] = {
    {"tenant", "rls_tenant.tenant_id", "rls_tenant.tenant_type", "The tenant that the transaction stands for.",
     "The type that every tenant's id must have."},
    {"account", "rls_tenant.account_id", "rls_tenant.account_type", "The account that the transaction stands for.",
     "The type that every account's id must have."},
    {"user", "rls_tenant.user_id", "rls_tenant.user_type", "The user that the transaction stands for.",
     "The type that every user's id must have."},
};

constexpr int any_type = -1;
const config_enum_entry type_options[] = {{"any", any_type, false},
                                          {"uuid", static_cast<int>(IdType::uuid), false},
                                          {"bigint", static_cast<int>(IdType::bigint), false},
                                          {"text", static_cast<int>(IdType::text), false},
                                          {nullptr, 0, false}};

enum MissingContext { missing_error, missing_null };
const config_enum_entry missing_options[] = {
    {"error", missing_error, false}, {"null", missing_null, false}, {nullptr, 0, false}};

char *setting_texts[setting_count];
// From the start what the settings have by default: PostgreSQL asserts it from 16 on.
int setting_types[setting_count] = {any_type, any_type, any_type};
int missing_context = missing_error;
bool one_tenant = true;

// While the library loads: a session-level value from before must not come back as a context.
bool drop_next_session_value = false;

void (*change_callback)(Setting) = nullptr;
void (*read_check)(Setting, const ContextValue *) = nullptr;

ContextSlot &slot_of(Setting setting) { return context_slots[static_cast<int>(setting)]; }
const SettingWords &words_of(Setting setting) { return words[static_cast<int>(setting)]; }

// The value that a slot's setting has now; nullptr if it is unset.
const ContextValue *present(const ContextSlot &slot) {
  return slot.extra != nullptr && slot.extra->length() > 0 ? slot.extra : nullptr;
}

// When the context may change; the word of the setting is to be filled in.
const char *change_hint() {
  return one_tenant ? "End the transaction first: one transaction stands for one %s."
                    : "Change it between statements: one statement reads one %s.";
}

// --- What a transaction is bound to

// While the library loads PostgreSQL hands over the values of all savepoints, the oldest first: only the last binds.
bool loading = false;
// The extra that the check hook has just made: what is assigned next with it was set, not restored by a rollback.
const void *checked_extra = nullptr;

bool was_set_here(Setting setting) {
  const config_generic *record = slot_of(setting).record;
  return record != nullptr && record->stack != nullptr;
}

// A set whose function with a SET clause has ended, or that was made before the library was loaded and is rolled back,
// binds nothing. PostgreSQL keeps a setting's stack for as long as the transaction's set may have to be undone. What
// set_context() left unset is bound for as long as the tenant.
void forget_undone_bindings() {
  if (was_set_here(Setting::tenant)) return;
  for (Setting setting : all_settings) {
    ContextSlot &slot = slot_of(setting);
    if (slot.binding == ContextSlot::Binding::by_set && !was_set_here(setting))
      slot.binding = ContextSlot::Binding::none;
  }
}

// Binds the transaction to a value, or to none. Allocates nothing: it runs where nothing may fail.
void bind(Setting setting, const ContextValue *value, ContextSlot::Binding binding) {
  ContextSlot &slot = slot_of(setting);
  slot.binding = binding;
  slot.bound_unset = value == nullptr;
  if (value != nullptr) memcpy(&slot.bound, value, context_value_size(value->length()));
}

// Binds a transaction that is not bound yet to a value that it has set, at a nesting level of subtransactions.
void bind_by_set(Setting setting, const ContextValue *value, int level) {
  if (!one_tenant || loading || IsParallelWorker() || is_bound(setting)) return;
  note_transaction();
  bind(setting, value, ContextSlot::Binding::by_set);
  slot_of(setting).set_level = level;
}

// A set that is rolled back binds nothing: retries may set another value. What is released belongs to the level above.
void at_subtransaction_event(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
  const int level = GetCurrentTransactionNestLevel();
  for (ContextSlot &slot : context_slots) {
    if (slot.binding != ContextSlot::Binding::by_set || slot.set_level < level) continue;
    if (event == SUBXACT_EVENT_ABORT_SUB) slot.binding = ContextSlot::Binding::none;
    if (event == SUBXACT_EVENT_COMMIT_SUB) slot.set_level = level - 1;
  }
}

// Binds a transaction to what it reads and, where that is a value, to all three as they are now: a tenant's rows that
// were read for one user must not be followed by another user's.
void bind_by_read(Setting setting, const ContextValue *value) {
  bind(setting, value, ContextSlot::Binding::by_read);
  if (value == nullptr || !one_tenant || IsParallelWorker()) return;
  for (Setting other : all_settings) {
    const ContextSlot &slot = slot_of(other);
    if (slot.binding == ContextSlot::Binding::by_set) {
      slot_of(other).binding = ContextSlot::Binding::by_read;
    } else if (slot.binding == ContextSlot::Binding::none) {
      bind(other, present(slot), ContextSlot::Binding::by_read);
    }
  }
}

// Whether a value is another than the transaction is bound to.
bool breaks_binding(Setting setting, const ContextValue *value) {
  return one_tenant && is_bound(setting) && !same_context_value(bound_value(setting), value);
}

// Whether a value comes from the session or its client, not from a default that a DBA set.
bool set_by_session(GucSource source) { return source >= PGC_S_INTERACTIVE; }

// Memory of a setting, for its check hook; nullptr: there is none, and PostgreSQL will say that.
void *allocate_for_setting(size_t size) {
  void *memory = compat::guc_allocate(size);
  if (memory == nullptr) {
    GUC_check_errcode(ERRCODE_OUT_OF_MEMORY);
    GUC_check_errmsg("out of memory");
  }
  return memory;
}

// Puts the canonical form of a declared uuid or bigint in the place of what was written: one tenant has one text.
bool canonical_text(std::optional<IdType> type, ContextValue *value, char **newval) {
  char text[64];
  if (type == IdType::uuid && value->is_uuid) {
    print_uuid(value->uuid, text);
  } else if (type == IdType::bigint && value->is_bigint) {
    snprintf(text, sizeof text, INT64_FORMAT, value->bigint);
  } else {
    return true;
  }
  // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): without a text there is neither a uuid nor a bigint
  if (strcmp(text, *newval) == 0) return true;
  const size_t length = strlen(text);
  char *canonical = static_cast<char *>(allocate_for_setting(length + 1));
  if (canonical == nullptr) return false;
  memcpy(canonical, text, length + 1);
  compat::guc_release(*newval);
  *newval = canonical;
  parse_context_value(canonical, length, value);
  return true;
}

// Refuses a value because of where it comes from or because this transaction is bound to another one.
bool check_change(Setting setting, const ContextValue *value, GucSource source) {
  if (InitializingParallelWorker || source == PGC_S_TEST) return true;  // a worker restores what its leader was allowed
  if (IsParallelWorker() && set_by_session(source) && !same_context_value(present(slot_of(setting)), value)) {
    // By a function's SET clause, whose reading the leader would not hear of.
    GUC_check_errcode(ERRCODE_ACTIVE_SQL_TRANSACTION);
    GUC_check_errmsg("%s cannot change in a parallel worker", setting_name(setting));
    GUC_check_errdetail("Its leader reads one %s and cannot know of another.", setting_word(setting));
    GUC_check_errhint("Mark the function that sets it PARALLEL UNSAFE.");
    return false;
  }
  if (source == PGC_S_CLIENT && value != nullptr) {
    GUC_check_errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
    GUC_check_errmsg("%s cannot be set by a connection option", setting_name(setting));
    GUC_check_errdetail("A context lasts one transaction; a connection may be handed on to another tenant.");
    GUC_check_errhint(
        "Use SET LOCAL inside a transaction, or SELECT rls_tenant.set_context(...); a DBA can pin a role by ALTER "
        "ROLE.");
    return false;
  }
  const ContextSlot &slot = slot_of(setting);
  if (!set_by_session(source) || loading) return true;
  if (breaks_binding(setting, value)) {
    const ContextValue *bound = bound_value(setting);
    GUC_check_errcode(ERRCODE_ACTIVE_SQL_TRANSACTION);
    GUC_check_errmsg("%s cannot change after it has been %s", setting_name(setting), slot.latched ? "read" : "set");
    if (bound == nullptr) {
      GUC_check_errdetail("This transaction stands for no %s.", setting_word(setting));
    } else {
      GUC_check_errdetail("This transaction stands for %s \"%s\".", setting_word(setting), bound->bytes());
    }
    GUC_check_errhint(change_hint(), setting_word(setting));
    return false;
  }
  if (slot.latched && slot.running > 0 && !same_context_value(slot.reading, value)) {
    GUC_check_errcode(ERRCODE_ACTIVE_SQL_TRANSACTION);
    GUC_check_errmsg("%s cannot change after it has been read", setting_name(setting));
    GUC_check_errdetail("This statement has read %s.", context_words(setting, slot.reading));
    GUC_check_errhint(change_hint(), setting_word(setting));
    return false;
  }
  return true;
}

// Refuses the value that the session had before the library was loaded.
bool drop_session_value(Setting setting) {
  drop_next_session_value = false;  // an empty one, too: it would hide what a DBA has pinned
  GUC_check_errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
  GUC_check_errmsg("a value of %s that was set for the session is dropped", setting_name(setting));
  GUC_check_errdetail("It was set before the library rls_tenant was loaded, and a context lasts one transaction.");
  GUC_check_errhint("Use SET LOCAL inside a transaction, or SELECT rls_tenant.set_context(...).");
  return false;
}

// The check hook: reads the text once, into the extra.
bool check_setting(Setting setting, char **newval, void **extra, GucSource source) {
  checked_extra = nullptr;
  if (drop_next_session_value && set_by_session(source)) return drop_session_value(setting);
  const char *text = *newval != nullptr ? *newval : "";
  const size_t length = strlen(text);
  if (length == 0 && source == PGC_S_DEFAULT) return true;
  const char *fault = context_text_fault(text, length);
  if (fault != nullptr) {
    GUC_check_errcode(ERRCODE_INVALID_PARAMETER_VALUE);
    GUC_check_errmsg("invalid value for %s", setting_name(setting));  // not repeated: it may be long or unprintable
    GUC_check_errdetail("%s", fault);
    GUC_check_errhint("An id is at most 255 bytes of text without control characters.");
    return false;
  }
  ContextValue parsed;
  parse_context_value(text, length, &parsed);
  const std::optional<IdType> type = setting_type(setting);
  if (length > 0 && type && !context_value_fits(parsed, *type)) {
    GUC_check_errcode(ERRCODE_INVALID_PARAMETER_VALUE);
    GUC_check_errmsg("invalid value for %s: \"%s\"", setting_name(setting), text);
    GUC_check_errdetail("It is not a valid %s, which %s requires.", id_type_name(*type), words_of(setting).type_name);
    GUC_check_errhint("Set the id of the %s as a valid %s.", setting_word(setting), id_type_name(*type));
    return false;
  }
  if (!canonical_text(type, &parsed, newval)) return false;
  parsed.source = source;
  if (!check_change(setting, length > 0 ? &parsed : nullptr, source)) return false;
  // Last of all: PostgreSQL does not release the extra of a value that was refused.
  const size_t size = context_value_size(parsed.length());
  *extra = allocate_for_setting(size);
  if (*extra == nullptr) return false;
  memcpy(*extra, &parsed, size);
  if (source != PGC_S_TEST) checked_extra = *extra;
  return true;
}

// Copies of values that were read. They outlive the transaction where a procedure has ended it: an argument of CALL may
// point to one until the procedure returns. Where there are many they are shared by text: a procedure that goes through
// the tenants for hours takes memory for each tenant, not for each transaction.
MemoryContext copies_memory = nullptr;
int copies = 0;
HTAB *copies_by_text = nullptr;
constexpr int copies_unshared = 8;

struct SharedCopy {
  char text[max_context_bytes + 1];
  const ContextValue *copy;
};

// A copy of the value that nothing frees or overwrites before release_copies().
const ContextValue *kept_copy(const ContextValue *value) {
  if (copies_memory == nullptr) {
    copies_memory = AllocSetContextCreate(TopMemoryContext, "rls_tenant context", ALLOCSET_SMALL_SIZES);
  }
  if (++copies <= copies_unshared) return copy_context_value(value, copies_memory);
  if (copies_by_text == nullptr) {
    HASHCTL control = {};
    control.keysize = sizeof(SharedCopy::text);
    control.entrysize = sizeof(SharedCopy);
    control.hcxt = copies_memory;
    copies_by_text = hash_create("rls_tenant contexts", 64, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
  }
  const SharedCopy *present =
      static_cast<const SharedCopy *>(hash_search(copies_by_text, value->bytes(), HASH_FIND, nullptr));
  if (present != nullptr) return present->copy;
  const ContextValue *copy =
      copy_context_value(value, copies_memory);  // first: an entry without a copy must not stay after an error
  static_cast<SharedCopy *>(hash_search(copies_by_text, value->bytes(), HASH_ENTER, nullptr))->copy = copy;
  return copy;
}

void release_copies() {
  if (copies == 0) return;
  copies = 0;
  copies_by_text = nullptr;
  MemoryContextReset(copies_memory);
}

// Whether a transaction ends within a statement that goes on: a procedure or DO block that commits.
bool statement_goes_on() { return PortalIsValid(ActivePortal) || SPI_inside_nonatomic_context(); }

// From here on a read must look again.
void make_unready(ContextSlot *slot) {
  slot->ready = nullptr;
  slot->ready_uuid = nullptr;
  slot->ready_bigint = nullptr;
}

// The assign hook: takes over what the check hook read.
void assign_setting(Setting setting, void *extra) {
  ContextSlot &slot = slot_of(setting);
  slot.extra = static_cast<const ContextValue *>(extra);
  make_unready(&slot);
  note_transaction();
  const bool is_set = extra != nullptr && extra == checked_extra;
  checked_extra = nullptr;
  if (is_set && present(slot) != nullptr && set_by_session(slot.extra->source))
    bind_by_set(setting, present(slot), GetCurrentTransactionNestLevel());
  if (change_callback != nullptr) change_callback(setting);
}

// Where an unset context begins to be read as NULL, that is a change of what a read gives.
void assign_missing_context(int value, void *) {
  missing_context = value;  // before PostgreSQL does it, for the callback
  if (change_callback == nullptr) return;
  for (Setting setting : all_settings) change_callback(setting);
}

template <Setting setting>
bool check_hook(char **newval, void **extra, GucSource source) {
  return check_setting(setting, newval, extra, source);
}

template <Setting setting>
void assign_hook(const char *, void *extra) {
  assign_setting(setting, extra);
}

// Whether the session gave a placeholder a value before the current transaction: the bottom of its stack says so.
// A value taken back to its default has the session as its source, too, and comes to no check hook.
bool has_session_value(const config_generic *placeholder) {
  const guc_stack *stack = placeholder->stack;
  if (stack == nullptr) {
    return set_by_session(placeholder->source) &&
           *reinterpret_cast<const config_string *>(placeholder)->variable != nullptr;
  }
  while (stack->prev != nullptr) stack = stack->prev;
  return set_by_session(stack->source) && stack->prior.val.stringval != nullptr;
}

template <Setting setting>
void define_setting() {
  constexpr int index = static_cast<int>(setting);
  const config_generic *placeholder = compat::find_setting(words[index].name);
  drop_next_session_value =
      placeholder != nullptr && (placeholder->flags & GUC_CUSTOM_PLACEHOLDER) != 0 && has_session_value(placeholder);
  loading = true;
  DefineCustomStringVariable(words[index].name, words[index].description,
                             "It lasts one transaction: use SET LOCAL or rls_tenant.set_context().",
                             &setting_texts[index], "", PGC_USERSET, 0, check_hook<setting>, assign_hook<setting>,
                             nullptr);
  drop_next_session_value = loading = false;
  context_slots[index].record = compat::find_setting(words[index].name);
  const ContextValue *now = present_context(setting);
  if (now != nullptr && set_by_session(now->source)) bind_by_set(setting, now, 1);  // at whatever level it was set
}

template <Setting setting>
void define_setting_type() {
  constexpr int index = static_cast<int>(setting);
  DefineCustomEnumVariable(words[index].type_name, words[index].type_description,
                           "A value of another type is refused when it is set.", &setting_types[index], any_type,
                           type_options, PGC_SUSET, 0, nullptr, nullptr, nullptr);
}

// Takes back what the transaction set for longer than itself; SET LOCAL ends by itself.
void end_context() {
  for (Setting setting : all_settings) {
    // What the transaction left alone needs nothing, and SET LOCAL ends by itself, unless it only masks a SET.
    const guc_stack *stack = slot_of(setting).record->stack;
    if (stack == nullptr || (stack->state == GUC_LOCAL && stack->prev == nullptr)) continue;
    set_config_option(setting_name(setting), nullptr, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, ERROR, false);
  }
}

// Forgets what was read.
void forget_readings() {
  for (ContextSlot &slot : context_slots) {
    make_unready(&slot);
    slot.reading = nullptr;
    slot.latched = false;
    slot.running = 0;
    slot.binding = ContextSlot::Binding::none;
  }
  if (!statement_goes_on()) {
    release_copies();
  } else if (copies > 0) {
    note_transaction();
  }
}

void at_transaction_event(XactEvent event) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
      // A worker restores its leader's settings in a transaction of its own and must keep them.
      if (!IsParallelWorker()) end_context();
      break;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_PARALLEL_ABORT:
      forget_readings();
      break;
    case XACT_EVENT_PARALLEL_PRE_COMMIT:
      break;
  }
}

}  // namespace

const char *setting_word(Setting setting) { return words_of(setting).word; }
const char *setting_name(Setting setting) { return words_of(setting).name; }

std::optional<IdType> setting_type(Setting setting) {
  const int type = setting_types[static_cast<int>(setting)];
  return type == any_type ? std::nullopt : std::optional<IdType>(static_cast<IdType>(type));
}

const ContextValue *present_context(Setting setting) { return present(slot_of(setting)); }

const char *context_words(Setting setting, const ContextValue *value) {
  if (value == nullptr) return psprintf("no %s", setting_word(setting));
  return psprintf("%s \"%s\"", setting_word(setting), value->bytes());
}

bool is_bound(Setting setting) {
  forget_undone_bindings();
  return slot_of(setting).binding != ContextSlot::Binding::none;
}

const ContextValue *bound_value(Setting setting) {
  const ContextSlot &slot = slot_of(setting);
  return slot.bound_unset ? nullptr : &slot.bound;
}

void on_context_change(void (*fn)(Setting)) { change_callback = fn; }
void set_read_check(void (*fn)(Setting, const ContextValue *)) { read_check = fn; }

void make_context_unready() {
  for (ContextSlot &slot : context_slots) make_unready(&slot);
}

bool one_tenant_per_transaction() { return one_tenant; }
bool missing_context_raises() { return missing_context == missing_error; }

void raise_context_changed(Setting setting, const ContextValue *before, const ContextValue *now) {
  ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                  errmsg("the %s is no longer the one that this %s stands for", setting_word(setting),
                         one_tenant ? "transaction" : "statement"),
                  errdetail("It stands for %s; %s now names %s.", context_words(setting, before),
                            setting_name(setting), context_words(setting, now)),
                  errhint(change_hint(), setting_word(setting))));
  pg_unreachable();
}

void raise_unfit_context(Setting setting, const char *text, const char *type) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                  errmsg("the %s \"%s\" is not a valid %s", setting_word(setting), text, type),
                  errdetail("A function or policy asks for the %s as %s.", setting_word(setting), type),
                  errhint("Set %s to a valid %s, or ask for it with the function of its own type.",
                          setting_name(setting), type)));
  pg_unreachable();
}

// Not inline: what the first read of a transaction does, and the first after each assignment.
const ContextValue *read_context_slow(Setting setting) {
  note_transaction();
  const bool may_be_ready = note_read(setting);
  ContextSlot &slot = slot_of(setting);
  const ContextValue *now = present(slot);
  if (breaks_binding(setting, now)) raise_context_changed(setting, bound_value(setting), now);
  if (read_check != nullptr)
    read_check(setting, now);  // in a worker, too: that of CREATE INDEX has a leader who has read nothing
  if (!slot.latched || !same_context_value(slot.reading, now)) {
    if (slot.latched && slot.running > 0) raise_context_changed(setting, slot.reading, now);
    if (now == nullptr && missing_context_raises()) {
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("no %s is set for this transaction", setting_word(setting)),
                      errdetail("The setting %s is empty.", setting_name(setting)),
                      errhint("Begin a transaction and run SET LOCAL %s = '...' in it, or SELECT "
                              "rls_tenant.set_context(...).",
                              setting_name(setting))));
    }
    const std::optional<IdType> type = setting_type(setting);
    if (now != nullptr && type && !context_value_fits(*now, *type)) {  // it was set before the type was declared
      ereport(ERROR,
              (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
               errmsg("the %s \"%s\" is not a valid %s", setting_word(setting), now->bytes(), id_type_name(*type)),
               errdetail("%s requires it.", words_of(setting).type_name),
               errhint("Set %s to a valid %s.", setting_name(setting), id_type_name(*type))));
    }
    slot.reading = now != nullptr ? kept_copy(now) : nullptr;
    slot.latched = true;
    bind_by_read(setting, now);
  }
  if (!may_be_ready) return slot.reading;
  slot.ready = slot.reading;
  if (slot.reading != nullptr && slot.reading->is_uuid) slot.ready_uuid = &slot.reading->uuid;
  if (slot.reading != nullptr && slot.reading->is_bigint) slot.ready_bigint = &slot.reading->bigint;
  return slot.reading;
}

void context_running(SettingSet settings, int step) {
  for (Setting setting : all_settings) {
    if (settings & setting_bit(setting)) slot_of(setting).running += step;
  }
}

namespace {

// Makes a value valid to the end of the transaction, or takes a setting back to its default if it is nullptr.
void set_context_value(Setting setting, const char *value) {
  const ContextSlot &slot = slot_of(setting);
  if (value == nullptr && (slot.extra == nullptr || !set_by_session(slot.extra->source))) return;
  set_config_option(setting_name(setting), value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
  const ContextValue *now = present(slot);
  if (value != nullptr && read_check != nullptr) read_check(setting, now);
  if (value != nullptr) return;
  // Going back to the default asks no check hook.
  if (breaks_binding(setting, now)) raise_context_changed(setting, bound_value(setting), now);
  if (slot.latched && slot.running > 0 && !same_context_value(slot.reading, now))
    raise_context_changed(setting, slot.reading, now);
}

}  // namespace

void set_context_values(const char *const values[setting_count]) {
  for (Setting setting : all_settings) set_context_value(setting, values[static_cast<int>(setting)]);
  // What was left out is bound, too, as it is now. Only after all could be set.
  for (Setting setting : all_settings) {
    if (values[static_cast<int>(setting)] == nullptr)
      bind_by_set(setting, present_context(setting), GetCurrentTransactionNestLevel());
  }
}

void clear_context_values() {
  for (Setting setting : all_settings) set_context_value(setting, nullptr);
}

void check_session_set(const Node *statement) {
  if (!IsA(statement, VariableSetStmt)) return;
  forget_undone_bindings();  // RESET comes to no check hook, and what it leaves to be undone would hide that
  const VariableSetStmt *set = reinterpret_cast<const VariableSetStmt *>(statement);
  if (set->is_local || set->name == nullptr) return;
  if (set->kind != VAR_SET_VALUE && set->kind != VAR_SET_CURRENT) return;
  for (Setting setting : all_settings) {
    if (pg_strcasecmp(set->name, setting_name(setting)) != 0) continue;
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s cannot be set for a session", setting_name(setting)),
             errdetail("A context lasts one transaction, so that a pooled connection hands nothing on."),
             errhint("Use SET LOCAL %s inside a transaction, or SELECT rls_tenant.set_context(...).",
                     setting_name(setting))));
  }
}

void context_init() {
  define_setting_type<Setting::tenant>();
  define_setting_type<Setting::account>();
  define_setting_type<Setting::user>();
  DefineCustomEnumVariable("rls_tenant.missing_context", "What reading a context that is not set does.",
                           "error: it raises; null: it gives NULL, so that no row is visible.", &missing_context,
                           missing_error, missing_options, PGC_SUSET, 0, nullptr, assign_missing_context, nullptr);
  DefineCustomBoolVariable("rls_tenant.one_tenant_per_transaction",
                           "Binds a transaction to the first tenant, account and user that it sets or reads.",
                           "Off, for test suites and batch workers, binds each statement only.", &one_tenant, true,
                           PGC_SUSET, 0, nullptr, nullptr, nullptr);
  define_setting<Setting::tenant>();
  define_setting<Setting::account>();
  define_setting<Setting::user>();
  at_end_of_transaction(at_transaction_event);
  RegisterSubXactCallback(at_subtransaction_event, nullptr);
}

}  // namespace rls_tenant
