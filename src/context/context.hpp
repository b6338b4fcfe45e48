// The context: the tenant, account and user that a transaction stands for.
//
// Three text settings hold it. A check hook reads their text once; the first read in a transaction latches what it
// found until the transaction ends, and answers from a copy that nothing frees or overwrites before.
#pragma once

#include "context/context_value.hpp"

namespace rls_tenant {

enum class Setting { tenant, account, user };
constexpr int setting_count = 3;
constexpr Setting all_settings[setting_count] = {Setting::tenant, Setting::account, Setting::user};

// A set of settings, one bit each.
using SettingSet = uint32;
constexpr SettingSet setting_bit(Setting setting) { return 1u << static_cast<int>(setting); }

void context_init();

// "tenant", "account" or "user".
const char *setting_word(Setting setting);
// "rls_tenant.tenant_id" and so on.
const char *setting_name(Setting setting);
// The type that a DBA has declared for its values, if any.
std::optional<IdType> setting_type(Setting setting);

// What the context setting holds now, without reading it in the sense of the latch; nullptr if it is unset.
// Gone with the next change of the setting.
const ContextValue *present_context(Setting setting);

// "tenant "a"" or "no tenant", for a message.
const char *context_words(Setting setting, const ContextValue *value);
inline const char *context_words(Setting setting) { return context_words(setting, present_context(setting)); }

// Has fn called after each change of a setting, also while a transaction is undone: it may do nothing that can fail.
void on_context_change(void (*fn)(Setting));
// Has fn called with what is about to be read, before it is; an error there refuses it. And what makes the next reads
// ask it again.
void set_read_check(void (*fn)(Setting, const ContextValue *));
void make_context_unready();
// Refuses SET for a session: it would end with the transaction, which is not what was written.
void check_session_set(const Node *statement);

// Where a value came from, in words: transaction, role, database, ...
const char *source_word(GucSource source);

// Whether a transaction is bound to the first values that it sets or reads.
bool one_tenant_per_transaction();
// Whether reading an unset context raises (else it gives NULL).
bool missing_context_raises();

// The state of one setting. Public for the inline reads alone.
struct ContextSlot {
  // What a read gives at once: parts of `reading`, each nullptr where there is nothing to give or no read has
  // looked since the last assignment.
  const ContextValue *ready;
  const pg_uuid_t *ready_uuid;
  const int64 *ready_bigint;

  const ContextValue *extra;    // the setting's own: freed by the next assignment, so never handed out
  const ContextValue *reading;  // a copy of what was read, or nullptr: read as unset
  bool latched;                 // `reading` is what this transaction has read
  int running;                  // statements that read it and are running now

  // What the transaction is bound to. A binding by a value that was set, and not read, is undone with the set.
  enum class Binding { none, by_set, by_read } binding;
  int set_level;           // by_set: the nesting level of subtransactions with which the set is undone
  bool bound_unset;        // to no value
  ContextValue bound;      // never handed out
  config_generic *record;  // PostgreSQL's record of the setting
};
extern ContextSlot context_slots[setting_count];

const ContextValue *read_context_slow(Setting setting);

// The value for this transaction; latches it. nullptr if it is unset and that does not raise.
inline const ContextValue *read_context(Setting setting) {
  const ContextValue *ready = context_slots[static_cast<int>(setting)].ready;
  return likely(ready != nullptr) ? ready : read_context_slow(setting);
}

// While a statement that reads these settings runs, they cannot change, whatever one_tenant_per_transaction says.
void context_running(SettingSet settings, int step);

// Makes three values valid to the end of the transaction, and binds it to them; a setting whose value is nullptr goes
// back to its default.
void set_context_values(const char *const values[setting_count]);
// Takes all three back to their defaults.
void clear_context_values();

// Whether a transaction is bound to a value or to none, and to which (nullptr: none).
bool is_bound(Setting setting);
const ContextValue *bound_value(Setting setting);

// Raised where the text of the context is not of the type that is asked for.
[[noreturn]] void raise_unfit_context(Setting setting, const char *text, const char *type);
[[noreturn]] void raise_context_changed(Setting setting, const ContextValue *before, const ContextValue *now);

}  // namespace rls_tenant
