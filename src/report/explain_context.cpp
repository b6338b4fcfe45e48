// explain_context(): the session's state in words. It binds nothing and asks no table.

#include "membership/lookup.hpp"
#include "membership/source.hpp"
#include "context/pinned_context.hpp"
#include "postgres/catalog.hpp"
#include "query/plan_constant.hpp"

namespace rls_tenant {

namespace {

// One setting: its value, where it came from, whether it has been read.
const char *setting_words(Setting setting) {
  const ContextSlot &slot = context_slots[static_cast<int>(setting)];
  const ContextValue *value = present_context(setting);
  StringInfoData text;
  initStringInfo(&text);
  if (value == nullptr) {
    appendStringInfo(&text, "not set: reading it %s", missing_context_raises() ? "raises an error" : "gives NULL");
  } else {
    const char *source = source_word(value->source);
    appendStringInfo(&text, "\"%s\", %s", value->bytes(),
                     strcmp(source, "transaction") == 0 ? "set in this transaction, and gone with it"
                                                        : psprintf("a default that was pinned (%s)", source));
  }
  if (is_pinned(setting)) {
    appendStringInfo(&text, "; role \"%s\" is pinned here, and can read nothing else", role_name(GetSessionUserId()));
  }
  if (!slot.latched && one_tenant_per_transaction() && is_bound(setting)) {
    appendStringInfo(&text, "; the transaction stands for %s until it ends",
                     context_words(setting, bound_value(setting)));
  } else if (!slot.latched) {
    appendStringInfoString(&text, "; not read yet");
  } else if (!same_context_value(slot.reading, value)) {
    appendStringInfo(&text, "; read before as %s, so that the next read is %s",
                     slot.reading != nullptr ? psprintf("\"%s\"", slot.reading->bytes()) : "not set",
                     one_tenant_per_transaction() ? "refused" : "a new one");
  } else {
    appendStringInfoString(&text, one_tenant_per_transaction() ? "; read, so that it stays until the transaction ends"
                                                               : "; read, and free to change between statements");
  }
  return text.data;
}

// What the session knows of a source, and of the user of the context by it.
const char *source_words(const Source *source) {
  if (!source->valid) return "something that it reads has changed: the next check reads it again";
  if (source->not_cached_because != nullptr) return psprintf("groups are not cached: %s", source->not_cached_because);
  const ContextValue *user = present_context(Setting::user);
  if (user == nullptr) return "groups are cached; no user is set";
  const CachedGroups *cached = find_cached_groups({source->id, user->bytes(), static_cast<uint32>(user->length())});
  if (cached == nullptr) return psprintf("groups are cached; none of user \"%s\" yet", user->bytes());
  return psprintf("groups are cached; those of user \"%s\": %u", user->bytes(), cached->groups->count);
}

// Which values of the context cached plans hold.
const char *constant_words() {
  StringInfoData text;
  initStringInfo(&text);
  for (Setting setting : all_settings) {
    const char *value = planned_value(setting);
    if (value != nullptr)
      appendStringInfo(&text, "%s%s \"%s\"", text.len > 0 ? ", " : "", setting_word(setting), value);
  }
  if (text.len == 0) return "none: all cached plans read the context when they run";
  return psprintf("cached plans hold %s; they are replanned for another", text.data);
}

void put(const ReturnSetInfo *result, const char *item, const char *detail) {
  Datum values[2] = {CStringGetTextDatum(item), CStringGetTextDatum(detail)};
  bool nulls[2] = {false, false};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

// explain_context()
RT_FUNCTION(rls_tenant_explain_context) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  for (Setting setting : all_settings) put(result, setting_word(setting), setting_words(setting));
  put(result, "transaction",
      one_tenant_per_transaction()
          ? "reads one tenant, account and user"
          : "may change its context between statements: rls_tenant.one_tenant_per_transaction is off");
  put(result, "plan constants", constant_words());
  const CacheFigures figures = cache_figures();
  put(result, "memberships",
      psprintf(INT64_FORMAT " users cached; " UINT64_FORMAT " queries to sources since the session began",
               figures.users, membership_queries()));
  for (const Source *source = known_sources(); source != nullptr; source = source->next) {
    put(result, psprintf("membership source \"%s\"", source->name), source_words(source));
  }
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
