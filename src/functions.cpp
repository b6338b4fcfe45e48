// The OIDs of the extension's own functions. A plan that contains one of them is known by its dependencies.

#include "functions.hpp"

namespace rls_tenant {

namespace {

constexpr const char *getter_words[getter_count] = {"uuid", "bigint", "text"};

// What one function means for a plan that depends on it.
struct KnownFunction {
  uint32 hash;  // under which PostgreSQL notes the dependency
  SettingSet settings;
};

constexpr int functions_per_setting = 1 + 2 * getter_count;

SettingFunctions functions[setting_count];
KnownFunction known[setting_count * functions_per_setting];
int known_count = 0;
bool valid = false;

// The function of that name in that schema, with one text argument or with none.
Oid lookup(Oid schema, const char *name, bool text_argument) {
  const Oid types[1] = {TEXTOID};
  oidvector *arguments = buildoidvector(types, text_argument ? 1 : 0);
  const Oid result = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
                                     PointerGetDatum(arguments), ObjectIdGetDatum(schema));
  pfree(arguments);
  return result;
}

void remember(Oid function, Setting setting) {
  if (!OidIsValid(function)) return;
  known[known_count++] = {GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function)), setting_bit(setting)};
}

void look_up_all() {
  known_count = 0;
  memset(functions, 0, sizeof functions);
  const Oid schema = get_namespace_oid(extension_schema, true);
  if (!OidIsValid(schema)) return;
  for (Setting setting : all_settings) {
    SettingFunctions &mine = functions[static_cast<int>(setting)];
    char name[NAMEDATALEN];
    snprintf(name, sizeof name, "%s_setting", setting_word(setting));
    mine.setting = lookup(schema, name, false);
    remember(mine.setting, setting);
    for (int getter = 0; getter < getter_count; getter++) {
      snprintf(name, sizeof name, "current_%s_%s", setting_word(setting), getter_words[getter]);
      mine.getter[getter] = lookup(schema, name, true);
      snprintf(name, sizeof name, "fast_%s_%s", setting_word(setting), getter_words[getter]);
      mine.fast[getter] = lookup(schema, name, false);
      remember(mine.fast[getter], setting);
    }
  }
}

// Looks up again until no invalidation came in between.
void refresh() {
  while (!valid) {
    valid = true;
    look_up_all();
  }
}

// What look_up_all remembers of a whole extension: its script may be halfway, and the rest comes with no other sign.
constexpr int known_count_complete = setting_count * (1 + getter_count);

// A function changed: ours, or, while we do not know them all, perhaps ours from now on.
void on_function_change(Datum, int, uint32 hash) {
  if (hash == 0 || known_count < known_count_complete) {
    valid = false;
    return;
  }
  for (int i = 0; i < known_count; i++) {
    if (known[i].hash == hash) valid = false;
  }
}

void on_schema_change(Datum, int, uint32) { valid = false; }

}  // namespace

const SettingFunctions *setting_functions(Setting setting) {
  refresh();
  return &functions[static_cast<int>(setting)];
}

SettingSet settings_read_by(const PlannedStmt *plan) {
  if (plan->invalItems == NIL) return 0;
  refresh();
  SettingSet result = 0;
  const ListCell *cell;
  foreach (cell, plan->invalItems) {
    const PlanInvalItem *item = lfirst_node(PlanInvalItem, cell);
    if (item->cacheId != PROCOID) continue;
    for (int i = 0; i < known_count; i++) {
      if (known[i].hash == item->hashValue) result |= known[i].settings;
    }
  }
  return result;
}

void functions_init() {
  CacheRegisterSyscacheCallback(PROCOID, on_function_change, 0);
  CacheRegisterSyscacheCallback(NAMESPACENAME, on_schema_change, 0);
}

}  // namespace rls_tenant
