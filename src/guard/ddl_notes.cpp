// The event triggers tell of each command; the hook, which is there once the library is loaded, of relations that are
// made where no event trigger fires.

#include "guard/ddl_notes.hpp"

#include <initializer_list>

#include "postgres/catalog.hpp"
#include "guard/column_rule.hpp"
#include "guard/foreign_key_check.hpp"
#include "postgres/transaction_end.hpp"

namespace rls_tenant {

namespace {

const config_enum_entry mode_options[] = {{"refuse", mode_refuse, false},
                                          {"protect", mode_protect, false},
                                          {"warn", mode_warn, false},
                                          {"off", mode_off, false},
                                          {nullptr, 0, false}};
int mode = mode_refuse;

// The OIDs of relations that this transaction made or altered, in TopTransactionContext. Rolled back notes do no harm,
// since the check looks for itself.
HTAB *notes = nullptr;
bool muted = false;          // what the check does itself is not noted
Oid told_role = InvalidOid;  // the role that was last told that the guard does not check its tables
TimestampTz loaded_in = 0;   // the statement that loaded the library; on_object_access() has not seen all of it

object_access_hook_type previous_access = nullptr;

// Whether the role that runs the DDL may bypass row-level security and has said that it does, as pg_dump's output does.
// A SECURITY DEFINER function's role does not count.
bool is_bypassed() {
  const Oid role = GetOuterUserId();
  if (row_security || !has_bypassrls_privilege(role)) return false;
  if (told_role != role) {
    ereport(NOTICE, (errmsg("the guard of rls_tenant does not check tables"),
                     errdetail("row_security is off and role \"%s\" may bypass row-level security.", role_name(role)),
                     errhint("SET row_security = on to have tables checked.")));
    told_role = role;
  }
  return true;
}

void note(Oid relid) {
  if (!OidIsValid(relid) || is_bypassed()) return;
  if (notes == nullptr) {
    note_transaction();
    HASHCTL control = {};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(Oid);
    control.hcxt = TopTransactionContext;
    notes = hash_create("rls_tenant tables to check", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  }
  hash_search(notes, &relid, HASH_ENTER, nullptr);
}

// Whether tables are noted at all now.
bool is_watching() { return !muted && mode != mode_off && !creating_extension && !IsParallelWorker(); }

// Whether PostgreSQL itself does it: the heaps that rewriting a table makes for a moment.
bool is_internal(ObjectAccessType access, const void *arg) {
  if (arg == nullptr) return false;
  return access == OAT_POST_CREATE ? static_cast<const ObjectAccessPostCreate *>(arg)->is_internal
                                   : static_cast<const ObjectAccessPostAlter *>(arg)->is_internal;
}

// Notes tables that are made where no event trigger tells of it (EXPLAIN ANALYZE CREATE TABLE AS, and functions that
// REFRESH MATERIALIZED VIEW calls), and what is given another owner, name, or schema by a command on something else
// (REASSIGN OWNED, ALTER EXTENSION). A session that has not loaded the library has no hook: preload it.
void on_object_access(ObjectAccessType access, Oid classid, Oid objid, int subid, void *arg) {
  if (previous_access != nullptr) previous_access(access, classid, objid, subid, arg);
  if ((access != OAT_POST_CREATE && access != OAT_POST_ALTER) || classid != RelationRelationId || subid != 0) return;
  if (is_watching() && !is_internal(access, arg)) note(objid);
}

// Runs fn on each row of one of PostgreSQL's functions that tell an event trigger what happened.
template <typename Fn>
void for_event_rows(Oid function_oid, Fn fn) {
  FmgrInfo function;
  fmgr_info(function_oid, &function);
  ExprContext *context = CreateStandaloneExprContext();
  ReturnSetInfo result = {};
  result.type = T_ReturnSetInfo;
  result.econtext = context;
  result.allowedModes = SFRM_Materialize;
  LOCAL_FCINFO(call, 0);
  InitFunctionCallInfoData(*call, &function, 0, InvalidOid, nullptr, reinterpret_cast<fmNodePtr>(&result));
  FunctionCallInvoke(call);
  TupleTableSlot *row = MakeSingleTupleTableSlot(result.setDesc, &TTSOpsMinimalTuple);
  while (tuplestore_gettupleslot(result.setResult, true, false, row)) fn(row);
  ExecDropSingleTupleTableSlot(row);
  tuplestore_end(result.setResult);
  FreeExprContext(context, true);
}

// The relation that an object of another catalog belongs to: a policy's or rewrite rule's.
Oid relation_of(Oid catalog, Oid index, AttrNumber key_column, AttrNumber relation_column, Oid object) {
  Oid result = InvalidOid;
  for_catalog_rows(catalog, index, key_column, object, nullptr, [&](HeapTuple tuple, TupleDesc description) {
    bool isnull;
    result = DatumGetObjectId(heap_getattr(tuple, relation_column, description, &isnull));
  });
  return result;
}

// The columns of pg_event_trigger_ddl_commands() that matter here.
enum DdlColumn : AttrNumber { ddl_classid = 1, ddl_objid = 2, ddl_in_extension = 8, ddl_command = 9 };

// Notes the relation of one row. The row tells what was made; the command's own tag may be another (CREATE SCHEMA).
void note_command(TupleTableSlot *row) {
  bool isnull;
  const Oid catalog = DatumGetObjectId(slot_getattr(row, ddl_classid, &isnull));
  if (isnull) return;
  const Oid object = DatumGetObjectId(slot_getattr(row, ddl_objid, &isnull));
  if (isnull || DatumGetBool(slot_getattr(row, ddl_in_extension, &isnull))) return;
  if (catalog == RelationRelationId) {
    const CollectedCommand *command =
        reinterpret_cast<const CollectedCommand *>(DatumGetPointer(slot_getattr(row, ddl_command, &isnull)));
    note(object);
    if (command->type == SCT_AlterTable && !is_bypassed())
      check_foreign_key_commands(object, command->d.alterTable.subcmds, mode == mode_warn ? WARNING : ERROR);
  } else if (catalog == PolicyRelationId) {
    note(relation_of(PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, Anum_pg_policy_polrelid, object));
  } else if (catalog == RewriteRelationId) {
    note(relation_of(RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid, Anum_pg_rewrite_ev_class, object));
  } else if (catalog == TriggerRelationId && !is_bypassed()) {
    check_column_rule(object, mode == mode_warn ? WARNING : ERROR);
  }
}

// Whether all subcommands of ALTER TABLE are of these kinds.
bool has_only(const Node *statement, std::initializer_list<AlterTableType> kinds) {
  if (!IsA(statement, AlterTableStmt)) return false;
  const ListCell *cell;
  foreach (cell, reinterpret_cast<const AlterTableStmt *>(statement)->cmds) {
    bool known = false;
    for (AlterTableType kind : kinds) known |= lfirst_node(AlterTableCmd, cell)->subtype == kind;
    if (!known) return false;
  }
  return true;
}

// Whether a statement makes no relation that the guard judges, nor changes what it judges it by.
bool is_irrelevant(const Node *statement) {
  switch (nodeTag(statement)) {
    case T_IndexStmt:
    case T_CreateSeqStmt:
    case T_AlterSeqStmt:
    case T_CreateFunctionStmt:
    case T_CommentStmt:
    case T_GrantStmt:
      return true;
    case T_CreateTrigStmt:
      return strcmp(strVal(llast(reinterpret_cast<const CreateTrigStmt *>(statement)->funcname)), restrict_columns) !=
             0;
    default:
      return has_only(statement, {AT_ColumnDefault});
  }
}

// The relation of ALTER TABLE, where it still has the name by which the statement called it, because nobody's code has
// run since: an expression's constants are read by functions of their types, which can change the search_path. To have
// each object that a command made described by pg_event_trigger_ddl_commands() costs more than all the rest. nullptr:
// it must be asked.
const RangeVar *named_relation(const Node *statement) {
  return has_only(statement, {AT_EnableRowSecurity, AT_DisableRowSecurity, AT_ForceRowSecurity, AT_NoForceRowSecurity,
                              AT_SetNotNull, AT_DropNotNull})
             ? reinterpret_cast<const AlterTableStmt *>(statement)->relation
             : nullptr;
}

// Notes the relations of a schema that has got another name, by which exemptions go; false: the statement is none such.
bool note_renamed_schema(const Node *statement) {
  if (!IsA(statement, RenameStmt)) return false;
  const RenameStmt *rename = reinterpret_cast<const RenameStmt *>(statement);
  if (rename->renameType != OBJECT_SCHEMA) return false;
  const Oid schema = get_namespace_oid(rename->newname, true);
  for_all_rows(RelationRelationId, [&](HeapTuple tuple, TupleDesc) {
    const Form_pg_class form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    if (form->relnamespace == schema) note(form->oid);
  });
  return true;
}

// Notes what a statement made or altered.
void note_statement(const Node *statement) {
  if (is_irrelevant(statement) || note_renamed_schema(statement)) return;
  // What the hook has noted; where another module has set its own on top, it may not have been asked.
  if (IsA(statement, CreateStmt) && object_access_hook == on_object_access &&
      GetCurrentStatementStartTimestamp() != loaded_in) {
    return;
  }
  const RangeVar *name = named_relation(statement);
  if (name != nullptr) {
    note(RangeVarGetRelid(name, NoLock, true));
  } else {
    for_event_rows(F_PG_EVENT_TRIGGER_DDL_COMMANDS, note_command);
  }
}

// The columns of pg_event_trigger_dropped_objects() that matter here.
enum DropColumn : AttrNumber { drop_object_type = 7, drop_address_names = 11 };

// Notes the table that a policy or column was taken from, be it by DROP … CASCADE of something else.
void note_drop(TupleTableSlot *row) {
  bool isnull;
  const char *type = TextDatumGetCString(slot_getattr(row, drop_object_type, &isnull));
  if (strcmp(type, "policy") != 0 && strcmp(type, "table column") != 0 && strcmp(type, "table constraint") != 0) return;
  const Datum names = slot_getattr(row, drop_address_names, &isnull);
  if (isnull) return;
  const List *texts = array_texts(names);
  if (list_length(texts) < 3 || linitial(texts) == nullptr || lsecond(texts) == nullptr) return;
  const Oid schema = get_namespace_oid(static_cast<const char *>(linitial(texts)), true);
  if (OidIsValid(schema)) note(get_relname_relid(static_cast<const char *>(lsecond(texts)), schema));
}

void check_called(FunctionCallInfo fcinfo) {
  if (CALLED_AS_EVENT_TRIGGER(fcinfo)) return;
  ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                  errmsg("the guard's functions can only be called as event triggers")));
}

}  // namespace

GuardMode guard_mode() { return static_cast<GuardMode>(mode); }

HTAB *noted_relations() { return notes; }

void mute_notes(bool mute) { muted = mute; }

void forget_notes() {
  notes = nullptr;  // its memory goes with the transaction
  muted = false;
}

RT_FUNCTION(rls_tenant_guard_note_ddl) {
  check_called(fcinfo);
  if (is_watching()) note_statement(reinterpret_cast<const EventTriggerData *>(fcinfo->context)->parsetree);
  PG_RETURN_NULL();
}

RT_FUNCTION(rls_tenant_guard_note_drop) {
  check_called(fcinfo);
  if (is_watching()) for_event_rows(F_PG_EVENT_TRIGGER_DROPPED_OBJECTS, note_drop);
  PG_RETURN_NULL();
}

void guard_notes_init() {
  DefineCustomEnumVariable(
      "rls_tenant.guard", "What happens to tables that do not keep tenants apart.",
      "refuse: the transaction fails; protect: they are protected where that is possible; warn; off.", &mode,
      mode_refuse, mode_options, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  loaded_in = GetCurrentStatementStartTimestamp();
  previous_access = object_access_hook;
  object_access_hook = on_object_access;
}

}  // namespace rls_tenant
