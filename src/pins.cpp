// Who may pin a context.

#include "pins.hpp"

#include "catalog_image.hpp"
#include "context.hpp"

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

// Whether something is pinned for a role, in whatever database; InvalidOid: for databases.
bool has_pin(Oid role) {
  bool found = false;
  Relation catalog = table_open(DbRoleSettingRelationId, AccessShareLock);
  SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, nullptr, 0, nullptr);
  for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
    if (reinterpret_cast<Form_pg_db_role_setting>(GETSTRUCT(tuple))->setrole != role) continue;
    bool isnull;
    const Datum array = heap_getattr(tuple, Anum_pg_db_role_setting_setconfig, RelationGetDescr(catalog), &isnull);
    if (isnull) continue;
    Datum *elements;
    bool *nulls;
    int count;
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
    for (int i = 0; i < count; i++) found |= !nulls[i] && is_context(TextDatumGetCString(elements[i]));
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return found;
}

// Superusers, and for other roles than themselves those that may alter roles.
bool is_dba(Oid role) {
  return superuser() || (OidIsValid(role) && role != GetUserId() && has_createrole_privilege(GetUserId()));
}

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
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("only a DBA may pin a context, or take a pin away"),
           errdetail("Transactions that set no context of their own would fall back to another one than before."),
           errhint("Set the context in each transaction: SET LOCAL %s = '...'.", setting_name(Setting::tenant))));
}

ProcessUtility_hook_type previous_utility = nullptr;

void process_utility(PlannedStmt *statement, const char *text, bool read_only_tree, ProcessUtilityContext context,
                     ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *qc) {
  check_pin(statement->utilityStmt);
  const auto next = previous_utility != nullptr ? previous_utility : standard_ProcessUtility;
  next(statement, text, read_only_tree, context, params, environment, dest, qc);
}

}  // namespace

void pins_init() {
  previous_utility = ProcessUtility_hook;
  ProcessUtility_hook = process_utility;
}

}  // namespace rls_tenant
