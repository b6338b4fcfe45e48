// Who may pin a context, and that the pinned stay where they are.

#include "context/pinned_context.hpp"

#include "postgres/catalog.hpp"
#include "context/context.hpp"

namespace rls_tenant {

namespace {

// Whether "name=value" is one of ours.
bool is_context(const char *pin) {
  for (Setting setting : all_settings) {
    const size_t length = strlen(setting_name(setting));
    if (pg_strncasecmp(pin, setting_name(setting), length) == 0 && (pin[length] == '=' || pin[length] == '\0'))
      return true;
  }
  return false;
}

// Runs fn(form, "name=value") on what pg_db_role_setting says for a role, in whatever database; InvalidOid: for
// databases.
template <typename Fn>
void for_settings_of(Oid role, Fn fn) {
  static_assert(jump_safe<Fn>);
  for_all_rows(DbRoleSettingRelationId, [&](HeapTuple tuple, TupleDesc description) {
    const Form_pg_db_role_setting form = reinterpret_cast<Form_pg_db_role_setting>(GETSTRUCT(tuple));
    if (form->setrole != role) return;
    bool isnull;
    const Datum settings = heap_getattr(tuple, Anum_pg_db_role_setting_setconfig, description, &isnull);
    if (isnull) return;
    const ListCell *cell;
    foreach (cell, array_texts(settings)) {
      const char *setting = static_cast<const char *>(lfirst(cell));
      if (setting != nullptr) fn(form, setting);
    }
  });
}

// Whether something is pinned for a role, in whatever database; InvalidOid: for databases.
bool has_pin(Oid role) {
  bool found = false;
  for_settings_of(role, [&](Form_pg_db_role_setting, const char *text) { found |= is_context(text); });
  return found;
}

// What one setting is pinned to.
struct Pinned {
  bool pinned;
  bool in_database;   // by ALTER ROLE … IN DATABASE, which outranks the other
  const char *fault;  // why it cannot be read
  ContextValue value;
};
Pinned pinned[setting_count];
Oid pinned_role = InvalidOid;  // the session user of whom `pinned` tells

// Reads the text of a pin.
Pinned read_pin(const char *text, bool in_database) {
  Pinned pin = {};
  const size_t length = strlen(text);
  pin.pinned = length > 0;  // empty is no context: in this database it removes a pin for all databases
  pin.in_database = in_database;
  pin.fault = context_text_fault(text, length);
  if (pin.fault == nullptr) parse_context_value(text, length, &pin.value);
  return pin;
}

// Reads what the session user is pinned to; superusers are pinned to nothing.
void read_pins(Oid role) {
  Pinned found[setting_count] = {};
  const auto read = [&](Form_pg_db_role_setting form, const char *text) {
    if (OidIsValid(form->setdatabase) && form->setdatabase != MyDatabaseId) return;
    for (Setting setting : all_settings) {
      const size_t length = strlen(setting_name(setting));
      if (pg_strncasecmp(text, setting_name(setting), length) != 0 || text[length] != '=') continue;
      Pinned &pin = found[static_cast<int>(setting)];
      const bool in_database = OidIsValid(form->setdatabase);
      if (in_database || !pin.in_database) pin = read_pin(text + length + 1, in_database);
    }
  };
  if (!superuser_arg(role)) for_settings_of(role, read);
  memcpy(pinned, found, sizeof pinned);
  pinned_role = role;
}

// Reads the pins where the session's user is another than before, for whom what is ready was checked.
void follow_session_user() {
  const Oid role = GetSessionUserId();
  if (likely(role == pinned_role)) return;
  read_pins(role);
  make_context_unready();
}

// Whether two values are the same id, in whatever spelling its type allows.
bool same_id(Setting setting, const ContextValue &left, const ContextValue &right) {
  const std::optional<IdType> type = setting_type(setting);
  if (type == IdType::uuid) {
    return left.is_uuid && right.is_uuid && memcmp(&left.uuid, &right.uuid, sizeof(pg_uuid_t)) == 0;
  }
  if (type == IdType::bigint) return left.is_bigint && right.is_bigint && left.bigint == right.bigint;
  return same_context_value(&left, &right);
}

[[noreturn]] void raise_pinned(Setting setting, const Pinned &pin, const char *fault, const ContextValue *now) {
  const char *word = setting_word(setting), *name = setting_name(setting);
  const char *role = role_name(pinned_role);
  const char *alter = psprintf("ALTER ROLE %s%s%s", quote_identifier(role), pin.in_database ? " IN DATABASE " : "",
                               pin.in_database ? quote_identifier(database_name()) : "");
  if (fault != nullptr) {
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("the %s that role \"%s\" is pinned to cannot be read", word, role), errdetail("%s", fault),
                    errhint("A DBA can correct it, for new sessions: %s SET %s = '...';", alter, name)));
  }
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("role \"%s\" is pinned to %s \"%s\"", role, word, pin.value.bytes()),
                  errdetail("%s names %s.", name, context_words(setting, now)),
                  errhint("Set no other %s as this role. A DBA can remove the pin, for new sessions: %s RESET %s;",
                          word, alter, name)));
  pg_unreachable();
}

// Refuses to read another value than what the session user is pinned to.
void check_read(Setting setting, const ContextValue *now) {
  follow_session_user();
  const Pinned &pin = pinned[static_cast<int>(setting)];
  if (likely(!pin.pinned)) return;
  const char *fault = pin.fault;
  const std::optional<IdType> type = setting_type(setting);
  if (fault == nullptr && type && !context_value_fits(pin.value, *type)) {
    fault = psprintf("\"%s\" is not a valid %s.", pin.value.bytes(), id_type_name(*type));
  }
  if (fault == nullptr && now != nullptr && same_id(setting, pin.value, *now)) return;
  raise_pinned(setting, pin, fault, now);
}

// Superusers, and for other roles than themselves those that may alter roles. Who has logged in stays itself under SET
// ROLE.
bool is_dba(Oid role) {
  return superuser() || (OidIsValid(role) && role != GetUserId() && role != GetSessionUserId() &&
                         has_createrole_privilege(GetUserId()));
}

}  // namespace

bool is_pinned(Setting setting) {
  follow_session_user();
  return pinned[static_cast<int>(setting)].pinned;
}

void check_session_user() { follow_session_user(); }

void check_pin(const Node *statement) {
  const VariableSetStmt *set = nullptr;
  Oid role = InvalidOid;
  if (IsA(statement, AlterRoleSetStmt)) {
    const AlterRoleSetStmt *alter = reinterpret_cast<const AlterRoleSetStmt *>(statement);
    set = alter->setstmt;
    if (alter->role != nullptr) role = get_rolespec_oid(alter->role, true);
  } else if (IsA(statement, AlterDatabaseSetStmt)) {
    set = reinterpret_cast<const AlterDatabaseSetStmt *>(statement)->setstmt;
  }
  if (set == nullptr || is_dba(role)) return;
  if (set->kind == VAR_RESET_ALL ? !has_pin(role) : set->name == nullptr || !is_context(set->name)) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("only a DBA may pin a context or remove a pin"),
           errdetail("Transactions that set no context of their own would fall back to another one than before."),
           errhint("Set the context in each transaction: SET LOCAL %s = '...'.", setting_name(Setting::tenant))));
}

void pinned_context_init() { set_read_check(check_read); }

}  // namespace rls_tenant
