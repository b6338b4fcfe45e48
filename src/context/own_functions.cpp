// The OIDs of the extension's own functions. A plan that contains one of them is known by its dependencies.

#include "context/own_functions.hpp"

#include "context/plan_marks.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

// What one function means for a plan that depends on it.
struct KnownFunction {
  uint32 hash;  // under which PostgreSQL notes the dependency
  SettingSet settings;
  uint32 memberships;  // 1: it asks about them, else 0
};

// The types that a group may have in is_member(), has_role() and so on.
constexpr Oid group_types[] = {UUIDOID, INT8OID, INT4OID, INT2OID, TEXTOID};
constexpr int group_type_count = lengthof(group_types);

constexpr int functions_per_setting = 1 + 2 * id_type_count;
constexpr int membership_functions = 3 * group_type_count + 2 * id_type_count;

// All of them, as one reading of the catalogs found them.
struct OwnFunctions {
  SettingFunctions settings[setting_count];
  Oid membership_checks[group_type_count];  // is_member()
  Oid role_checks[group_type_count];        // has_role()
  Oid group_lists[id_type_count];           // index_groups_uuid() and so on
  Oid membership_change;
  Oid tenant_isolation;
  KnownFunction known[setting_count * functions_per_setting + membership_functions];
  int known_count;
};
static_assert(std::has_unique_object_representations_v<OwnFunctions>);  // two readings are compared byte for byte

OwnFunctions own = {};  // the last that were read as a whole
bool valid = false;     // nothing has changed since
uint64 changes = 0;     // of functions and schemas, be they whatever they are

void remember(OwnFunctions *found, Oid function, Setting setting, bool memberships) {
  if (!OidIsValid(function)) return;
  found->known[found->known_count++] = {GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function)),
                                        setting_bit(setting), memberships ? 1u : 0u};
}

// The functions that read one setting.
void look_up_setting(OwnFunctions *found, Oid schema, Setting setting) {
  const Oid types[] = {TEXTOID};
  SettingFunctions &mine = found->settings[static_cast<int>(setting)];
  char name[NAMEDATALEN];
  snprintf(name, sizeof name, "%s_setting", setting_word(setting));
  mine.setting = function_named(schema, name, types, 0);
  remember(found, mine.setting, setting, false);
  for (IdType type : all_id_types) {
    const int i = static_cast<int>(type);
    snprintf(name, sizeof name, "current_%s_%s", setting_word(setting), id_type_name(type));
    mine.getter[i] = function_named(schema, name, types, 1);
    snprintf(name, sizeof name, "fast_%s_%s", setting_word(setting), id_type_name(type));
    mine.fast[i] = function_named(schema, name, types, 0);
    remember(found, mine.fast[i], setting, false);
  }
}

// The functions that ask about memberships, of the user in the context.
void look_up_memberships(OwnFunctions *found, Oid schema) {
  for (int i = 0; i < group_type_count; i++) {
    const Oid types[] = {group_types[i], TEXTOID, TEXTOID};
    found->membership_checks[i] = function_named(schema, "is_member", types, 2);
    remember(found, found->membership_checks[i], Setting::user, true);
    found->role_checks[i] = function_named(schema, "has_role", types, 3);
    remember(found, found->role_checks[i], Setting::user, true);
    remember(found, function_named(schema, "member_role", types, 2), Setting::user, true);
  }
  for (IdType type : all_id_types) {
    const Oid types[] = {TEXTOID, TEXTOID};
    char name[NAMEDATALEN];
    snprintf(name, sizeof name, "member_groups_%s", id_type_name(type));
    remember(found, function_named(schema, name, types, 2), Setting::user, true);
    snprintf(name, sizeof name, "index_groups_%s", id_type_name(type));
    Oid &list = found->group_lists[static_cast<int>(type)];
    list = function_named(schema, name, types, 2);
    remember(found, list, Setting::user, true);
  }
  found->membership_change = function_named(schema, "note_membership_change", nullptr, 0);
  found->tenant_isolation = function_named(schema, "with_tenant_isolation", nullptr, 0);
}

void look_up_all(OwnFunctions *found) {
  memset(found, 0, sizeof *found);
  const Oid schema = get_namespace_oid(extension_schema, true);
  if (!OidIsValid(schema)) return;
  for (Setting setting : all_settings) look_up_setting(found, schema, setting);
  look_up_memberships(found, schema);
}

// Looks up again until nothing changed in between, or two readings are the same: then what changed meanwhile was none
// of ours. (With debug_discard_caches each look at a catalog counts as a change.) What is not read to its end changes
// nothing: after an error the next call looks up again.
void refresh() {
  for (bool is_second = false; !valid; is_second = true) {
    const uint64 before = changes;
    OwnFunctions found;
    look_up_all(&found);
    const bool is_same = is_second && memcmp(&own, &found, sizeof own) == 0;
    own = found;
    valid = before == changes;
    if (is_same) return;
  }
}

// Whether a function is one of these, as they were known last.
template <int count>
bool was_one_of(const Oid (&functions)[count], Oid function) {
  for (Oid candidate : functions) {
    if (OidIsValid(candidate) && candidate == function) return true;
  }
  return false;
}

// What look_up_all remembers of a whole extension: its script may be halfway, and the rest comes with no other sign.
constexpr int known_count_complete = setting_count * (1 + id_type_count) + membership_functions;

// A function changed: ours, or, while we do not know them all, perhaps ours from now on.
void on_function_change(Datum, int, uint32 hash) {
  if (drops_marked_plans(hash)) return;  // no function: the context has changed
  changes++;
  if (hash == 0 || own.known_count < known_count_complete) {
    valid = false;
    return;
  }
  for (int i = 0; i < own.known_count; i++) {
    if (own.known[i].hash == hash) valid = false;
  }
}

void on_schema_change(Datum, int, uint32) {
  changes++;
  valid = false;
}

}  // namespace

const SettingFunctions *setting_functions(Setting setting) {
  refresh();
  return &own.settings[static_cast<int>(setting)];
}

const SettingFunctions *remembered_setting_functions(Setting setting) {
  return &own.settings[static_cast<int>(setting)];
}

bool was_membership_check(Oid function) { return was_one_of(own.membership_checks, function); }

PlanReads what_plan_reads(const PlannedStmt *plan) {
  PlanReads result = {};
  if (plan->invalItems == NIL) return result;
  refresh();
  const ListCell *cell;
  foreach (cell, plan->invalItems) {
    const PlanInvalItem *item = lfirst_node(PlanInvalItem, cell);
    PlanMark mark;
    if (read_plan_mark(item, &mark)) {
      if (mark.generation != 0) result.settings |= setting_bit(mark.setting);
      result.other_context |= mark.generation == 0;
      result.constants = true;
    }
    if (item->cacheId != PROCOID) continue;
    for (int i = 0; i < own.known_count; i++) {
      if (own.known[i].hash != item->hashValue) continue;
      result.settings |= own.known[i].settings;
      result.memberships |= own.known[i].memberships != 0;
    }
  }
  return result;
}

bool is_getter(Oid function, Setting *setting, IdType *type) {
  refresh();
  for (Setting candidate : all_settings) {
    const SettingFunctions &mine = own.settings[static_cast<int>(candidate)];
    for (int i = 0; i < id_type_count; i++) {
      if (!OidIsValid(function) || (function != mine.getter[i] && function != mine.fast[i])) continue;
      *setting = candidate;
      *type = static_cast<IdType>(i);
      return true;
    }
  }
  return false;
}

bool is_context_call(const FuncExpr *call, Setting *setting, IdType *type) {
  if (!is_getter(call->funcid, setting, type)) return false;
  if (call->args == NIL) return true;
  const Node *argument = static_cast<const Node *>(linitial(call->args));
  return IsA(argument, FuncExpr) &&
         reinterpret_cast<const FuncExpr *>(argument)->funcid == own.settings[static_cast<int>(*setting)].setting;
}

SettingSet what_function_reads(Oid function) {
  Setting setting;
  IdType type;
  if (is_getter(function, &setting, &type)) return setting_bit(setting);
  const uint32 hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
  for (int i = 0; i < own.known_count; i++) {
    if (own.known[i].hash == hash) return own.known[i].settings;
  }
  return 0;
}

bool is_tenant_isolation_call(const Node *expression) {
  if (expression == nullptr || !IsA(expression, FuncExpr)) return false;
  refresh();
  return OidIsValid(own.tenant_isolation) &&
         reinterpret_cast<const FuncExpr *>(expression)->funcid == own.tenant_isolation;
}

Oid change_function() {
  refresh();
  return own.membership_change;
}

Oid groups_function(IdType type) {
  refresh();
  return own.group_lists[static_cast<int>(type)];
}

bool is_membership_check(Oid function) {
  refresh();
  return was_one_of(own.membership_checks, function);
}

bool is_role_check(Oid function) {
  refresh();
  return was_one_of(own.role_checks, function);
}

bool is_group_list(Oid function) {
  refresh();
  return was_one_of(own.group_lists, function);
}

void own_functions_init() {
  CacheRegisterSyscacheCallback(PROCOID, on_function_change, 0);
  CacheRegisterSyscacheCallback(NAMESPACENAME, on_schema_change, 0);
}

}  // namespace rls_tenant
