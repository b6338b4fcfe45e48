// An event trigger notes the tables that a transaction makes or alters; the check comes at its end, because migrations
// go in steps and CREATE TABLE cannot enable row-level security.

#include "guard.hpp"

#include "as_owner.hpp"
#include "attempt.hpp"
#include "exemptions.hpp"
#include "functions.hpp"
#include "protect.hpp"

namespace rls_tenant {

namespace {

enum Mode { mode_refuse, mode_protect, mode_warn, mode_off };
const config_enum_entry mode_options[] = {{"refuse", mode_refuse, false},
                                          {"protect", mode_protect, false},
                                          {"warn", mode_warn, false},
                                          {"off", mode_off, false},
                                          {nullptr, 0, false}};
int guard_mode = mode_refuse;

// A table that this transaction made or altered.
struct Note {
  Oid relid;
  bool created;
};

HTAB *notes = nullptr;  // in TopTransactionContext; rolled back notes do no harm, since the check looks for itself
bool checking = false;  // what the check does itself is not noted
Oid told_aside = InvalidOid;  // the role that was last told

object_access_hook_type previous_access = nullptr;

// Whether the role that runs the DDL may pass row-level security by and has said that it does, as pg_dump's output
// does. A SECURITY DEFINER function's role does not count.
bool stands_aside() {
  const Oid role = GetOuterUserId();
  if (row_security || !has_bypassrls_privilege(role)) return false;
  if (told_aside != role) {
    told_aside = role;
    ereport(NOTICE, (errmsg("the guard of rls_tenant stands aside"),
                     errdetail("row_security is off and role \"%s\" may bypass row-level security.",
                               GetUserNameFromId(role, false)),
                     errhint("SET row_security = on to have tables checked.")));
  }
  return true;
}

void note(Oid relid, bool created) {
  if (stands_aside()) return;
  if (notes == nullptr) {
    HASHCTL control = {};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(Note);
    control.hcxt = TopTransactionContext;
    notes = hash_create("rls_tenant tables to check", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  }
  bool found;
  Note *entry = static_cast<Note *>(hash_search(notes, &relid, HASH_ENTER, &found));
  entry->created = created || (found && entry->created);
}

// Whether tables are noted at all now.
bool is_watching() { return !checking && guard_mode != mode_off && !creating_extension && !IsParallelWorker(); }

// Notes tables that are made where no event trigger tells of it: EXPLAIN ANALYZE CREATE TABLE AS, and functions that
// REFRESH MATERIALIZED VIEW calls. A session that has not loaded the library has no hook: preload it.
void on_object_access(ObjectAccessType access, Oid classid, Oid objid, int subid, void *arg) {
  if (previous_access != nullptr) previous_access(access, classid, objid, subid, arg);
  if (access != OAT_POST_CREATE || classid != RelationRelationId || subid != 0 || !is_watching()) return;
  const ObjectAccessPostCreate *how = static_cast<const ObjectAccessPostCreate *>(arg);
  if (how != nullptr && how->is_internal) return;  // the heaps that rewriting a table makes for a moment
  note(objid, true);
}

// The columns of pg_event_trigger_ddl_commands() that matter here.
enum DdlColumn : AttrNumber { ddl_classid = 1, ddl_objid = 2, ddl_tag = 4, ddl_in_extension = 8 };

// Notes the table of one row. The row tells what was made; the command's own tag may be another (CREATE SCHEMA).
void note_command(TupleTableSlot *row) {
  bool isnull;
  if (DatumGetObjectId(slot_getattr(row, ddl_classid, &isnull)) != RelationRelationId || isnull) return;
  const Oid relid = DatumGetObjectId(slot_getattr(row, ddl_objid, &isnull));
  if (isnull || DatumGetBool(slot_getattr(row, ddl_in_extension, &isnull))) return;
  const char *tag = TextDatumGetCString(slot_getattr(row, ddl_tag, &isnull));
  if (strcmp(tag, "CREATE TABLE") == 0 || strcmp(tag, "CREATE TABLE AS") == 0 || strcmp(tag, "SELECT INTO") == 0) {
    note(relid, true);
  } else if (strcmp(tag, "ALTER TABLE") == 0) {
    note(relid, false);
  }
}

// Asks PostgreSQL what the command has made, and notes it.
void note_commands() {
  FmgrInfo function;
  fmgr_info(F_PG_EVENT_TRIGGER_DDL_COMMANDS, &function);
  ExprContext *context = CreateStandaloneExprContext();
  ReturnSetInfo result = {};
  result.type = T_ReturnSetInfo;
  result.econtext = context;
  result.allowedModes = SFRM_Materialize;
  LOCAL_FCINFO(call, 0);
  InitFunctionCallInfoData(*call, &function, 0, InvalidOid, nullptr, reinterpret_cast<fmNodePtr>(&result));
  FunctionCallInvoke(call);
  TupleTableSlot *row = MakeSingleTupleTableSlot(result.setDesc, &TTSOpsMinimalTuple);
  while (tuplestore_gettupleslot(result.setResult, true, false, row)) note_command(row);
  ExecDropSingleTupleTableSlot(row);
  tuplestore_end(result.setResult);
  FreeExprContext(context, true);
}

// Whether an object belongs to an extension that a superuser owns. (Users can add tables to extensions of their own.)
bool in_trusted_extension(Oid catalog, Oid object) {
  const Oid extension = getExtensionOfObject(catalog, object);
  if (!OidIsValid(extension)) return false;
  Oid owner = InvalidOid;
  Relation relation = table_open(ExtensionRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
  SysScanDesc scan = systable_beginscan(relation, ExtensionOidIndexId, true, nullptr, 1, &key);
  HeapTuple tuple = systable_getnext(scan);
  if (HeapTupleIsValid(tuple)) owner = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extowner;
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return OidIsValid(owner) && superuser_arg(owner);
}

// Whether the guard has nothing to say about a relation, whatever it looks like.
bool is_passed_over(Oid relid) {
  const char kind = get_rel_relkind(relid);
  if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) return true;  // also: gone again
  if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP) return true;
  const Oid schema = get_rel_namespace(relid);
  if (schema < FirstNormalObjectId && schema != PG_PUBLIC_NAMESPACE) return true;  // system schemas
  return in_trusted_extension(RelationRelationId, relid) || in_trusted_extension(NamespaceRelationId, schema);
}

// Enables and forces row-level security.
void enable_row_security(Oid relid) {
  AlterTableCmd *enable = makeNode(AlterTableCmd);
  enable->subtype = AT_EnableRowSecurity;
  AlterTableCmd *force = makeNode(AlterTableCmd);
  force->subtype = AT_ForceRowSecurity;
  AlterTableInternal(relid, list_make2(enable, force), false);
  ereport(DEBUG1, (errmsg_internal("rls_tenant: row-level security enabled and forced on %s", relation_name(relid))));
}

// Protects the parts of tenant tables among a table and what is below it, so that partition managers go on working.
void protect_parts(Oid relid) {
  if (!OidIsValid(tenant_ancestor(relid)) && !is_tenant_table(relid)) return;
  List *parts = find_all_inheritors(relid, NoLock, nullptr);
  const ListCell *cell;
  foreach (cell, parts) {
    const Oid part = lfirst_oid(cell);
    if (is_passed_over(part) || is_enabled_and_forced(part) || !OidIsValid(tenant_ancestor(part))) continue;
    as_owner(part, 0, [&] { enable_row_security(part); });  // whoever commits may be another role
    CommandCounterIncrement();
  }
}

List *open_faults(Oid relid, const Exemptions *exemptions) {
  List *faults = NIL;
  const ListCell *cell;
  List *all = table_faults(relid);
  foreach (cell, all) {
    Fault *fault = static_cast<Fault *>(lfirst(cell));
    if (!is_exempt(exemptions, relid, fault->rule)) faults = lappend(faults, fault);
  }
  return faults;
}

// Runs protect()'s statements, in a subtransaction: what cannot be mended is reported with the other faults. Tells why
// not, or gives nullptr. A table without tenant column stays as it is.
const char *mend(Oid relid) {
  if (tenant_attribute(relid, relation_policies(relid)) == InvalidAttrNumber) return nullptr;
  const char *problem = attempt([&] { run_statements(protect_statements(relid, nullptr, nullptr, nullptr)); });
  CommandCounterIncrement();
  return problem;
}

// What is said about all faulty tables.
struct Message {
  StringInfoData detail;
  int tables;
  const char *first;
  const char *first_exempt;
  List *problems;  // of Problem
};

// Why a table could not be mended.
struct Problem {
  Oid relid;
  const char *text;
};

// A name as a literal of the LIKE pattern that means it and no other. Not by quote_literal(), which would write E'a\\_b'.
const char *pattern_literal(const char *name) {
  StringInfoData literal;
  initStringInfo(&literal);
  appendStringInfoChar(&literal, '\'');
  for (; *name != '\0'; name++) {
    if (*name == '\\' || *name == '%' || *name == '_') appendStringInfoChar(&literal, '\\');
    if (*name == '\'') appendStringInfoChar(&literal, '\'');
    appendStringInfoChar(&literal, *name);
  }
  appendStringInfoChar(&literal, '\'');
  return literal.data;
}

void report_faults(Message *message, Oid relid, List *faults) {
  const char *name = relation_name(relid);
  if (message->tables++ == 0) {
    message->first = name;
    message->first_exempt =
        psprintf("SELECT rls_tenant.exempt(%s, %s, 'reason');",
                 quote_literal_cstr(get_namespace_name(get_rel_namespace(relid))),
                 pattern_literal(get_rel_name(relid)));
  }
  const ListCell *cell;
  foreach (cell, faults) {
    const Fault *fault = static_cast<const Fault *>(lfirst(cell));
    appendStringInfo(&message->detail, "%s%s: %s: %s\n    %s", message->detail.len > 0 ? "\n" : "", name, fault->rule,
                     fault->detail, fault->remedy);
  }
  foreach (cell, message->problems) {
    const Problem *problem = static_cast<const Problem *>(lfirst(cell));
    if (problem->relid == relid) appendStringInfo(&message->detail, "\n%s: cannot be protected: %s", name, problem->text);
  }
}

void raise_faults(const Message *message) {
  const int level = guard_mode == mode_warn ? WARNING : ERROR;
  ereport(level,
          (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
           message->tables == 1 ? errmsg("table %s does not keep tenants apart", message->first)
                                : errmsg("%d tables do not keep tenants apart", message->tables),
           errdetail_internal("%s", message->detail.data),
           errhint("Run these statements in the transaction that makes the table, before COMMIT (so begin one). A table "
                   "that belongs to no tenant: %s",
                   message->first_exempt)));
}

int compare_names(const ListCell *left, const ListCell *right) {
  return strcmp(relation_name(lfirst_oid(left)), relation_name(lfirst_oid(right)));
}

// The noted tables that are still there, by name.
List *noted_tables(bool created) {
  List *tables = NIL;
  HASH_SEQ_STATUS status;
  hash_seq_init(&status, notes);
  for (Note *entry = static_cast<Note *>(hash_seq_search(&status)); entry != nullptr;
       entry = static_cast<Note *>(hash_seq_search(&status))) {
    if ((entry->created || !created) && !is_passed_over(entry->relid)) tables = lappend_oid(tables, entry->relid);
  }
  list_sort(tables, compare_names);
  return tables;
}

// Protects what is faulty and can be; parents first, since that protects their parts.
void mend_all(List *tables, const Exemptions *exemptions, Message *message) {
  for (int pass = 0; pass < 2; pass++) {
    const ListCell *cell;
    foreach (cell, tables) {
      const Oid relid = lfirst_oid(cell);
      if ((parents_of(relid) == NIL) != (pass == 0) || OidIsValid(tenant_ancestor(relid))) continue;
      if (open_faults(relid, exemptions) == NIL) continue;
      const char *text = mend(relid);
      if (text == nullptr) continue;
      Problem *problem = static_cast<Problem *>(palloc(sizeof(Problem)));
      *problem = {relid, text};
      message->problems = lappend(message->problems, problem);
    }
  }
}

// Altered tables are judged as parts only: ATTACH PARTITION and INHERIT make two tables one.
List *tables_to_judge(List *created, List *touched) {
  List *tables = list_copy(created);
  const ListCell *cell;
  foreach (cell, touched) {
    List *below = find_all_inheritors(lfirst_oid(cell), NoLock, nullptr);
    const ListCell *part;
    foreach (part, below) {
      if (parents_of(lfirst_oid(part)) != NIL && !is_passed_over(lfirst_oid(part))) {
        tables = list_append_unique_oid(tables, lfirst_oid(part));
      }
    }
  }
  list_sort(tables, compare_names);
  return tables;
}

// The check itself, with a snapshot and memory of its own.
void check_tables() {
  const Exemptions *exemptions = load_exemptions();
  if (exemptions == nullptr) return;  // the extension was dropped in this transaction, or is not in this database
  Message message = {};
  initStringInfo(&message.detail);
  List *created = noted_tables(true);
  if (guard_mode == mode_protect) mend_all(created, exemptions, &message);
  List *touched = noted_tables(false);
  const ListCell *cell;
  foreach (cell, touched) protect_parts(lfirst_oid(cell));
  List *tables = tables_to_judge(created, list_difference_oid(touched, created));
  foreach (cell, tables) {
    List *faults = open_faults(lfirst_oid(cell), exemptions);
    if (faults != NIL) report_faults(&message, lfirst_oid(cell), faults);
  }
  if (message.tables > 0) raise_faults(&message);
}

void check_at_end() {
  if (notes == nullptr || guard_mode == mode_off || IsParallelWorker()) return;
  checking = true;
  CommandCounterIncrement();
  PushActiveSnapshot(GetTransactionSnapshot());
  const MemoryContext memory =
      AllocSetContextCreate(CurrentMemoryContext, "rls_tenant guard", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext before = MemoryContextSwitchTo(memory);
  check_tables();
  MemoryContextSwitchTo(before);
  MemoryContextDelete(memory);
  PopActiveSnapshot();
  checking = false;
}

void at_transaction_event(XactEvent event, void *) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
      check_at_end();
      break;
    default:
      notes = nullptr;  // its memory goes with the transaction
      checking = false;
      break;
  }
}

}  // namespace

RT_FUNCTION(rls_tenant_guard_note_ddl) {
  if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("guard_note_ddl() can only be called as an event trigger")));
  }
  if (is_watching()) note_commands();
  PG_RETURN_NULL();
}

void guard_init() {
  DefineCustomEnumVariable("rls_tenant.guard", "What happens to tables that do not keep tenants apart.",
                           "refuse: the transaction fails; protect: they are protected where that is possible; warn; off.",
                           &guard_mode, mode_refuse, mode_options, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  RegisterXactCallback(at_transaction_event, nullptr);
  previous_access = object_access_hook;
  object_access_hook = on_object_access;
}

}  // namespace rls_tenant
