// Event triggers note the relations that a transaction makes or alters; the check comes at its end, because migrations
// go in steps and CREATE TABLE cannot enable row-level security. What was wrong before the transaction is not held
// against it.

#include "guard.hpp"

#include "as_owner.hpp"
#include "attempt.hpp"
#include "exemptions.hpp"
#include "functions.hpp"
#include "protect.hpp"
#include "relation_rules.hpp"

namespace rls_tenant {

namespace {

enum Mode { mode_refuse, mode_protect, mode_warn, mode_off };
const config_enum_entry mode_options[] = {{"refuse", mode_refuse, false},
                                          {"protect", mode_protect, false},
                                          {"warn", mode_warn, false},
                                          {"off", mode_off, false},
                                          {nullptr, 0, false}};
int guard_mode = mode_refuse;

// The OIDs of relations that this transaction made or altered, in TopTransactionContext. Rolled back notes do no harm,
// since the check looks for itself.
HTAB *notes = nullptr;
bool checking = false;        // what the check does itself is not noted
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

void note(Oid relid) {
  if (!OidIsValid(relid) || stands_aside()) return;
  if (notes == nullptr) {
    HASHCTL control = {};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(Oid);
    control.hcxt = TopTransactionContext;
    notes = hash_create("rls_tenant tables to check", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  }
  hash_search(notes, &relid, HASH_ENTER, nullptr);
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
  note(objid);
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

// The table that a part of ALTER TABLE has checked a foreign key to; InvalidOid: it has checked none.
Oid checked_foreign_key(Oid relid, const AlterTableCmd *command) {
  if (compat::adds_constraint(command) && command->def != nullptr && IsA(command->def, Constraint)) {
    const Constraint *constraint = reinterpret_cast<const Constraint *>(command->def);
    if (constraint->contype != CONSTR_FOREIGN || constraint->skip_validation) return InvalidOid;
    return RangeVarGetRelid(constraint->pktable, NoLock, true);
  }
  Oid result = InvalidOid;
  if (!compat::validates_constraint(command)) return result;
  for_catalog_rows(ConstraintRelationId, ConstraintRelidTypidNameIndexId, Anum_pg_constraint_conrelid, relid, nullptr,
                   [&](HeapTuple tuple, TupleDesc) {
                     const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
                     if (strcmp(NameStr(form->conname), command->name) == 0) result = form->confrelid;
                   });
  return result;
}

// Whether a table has rows from before the transaction, perhaps, that forced row-level security hides from its owner.
bool hides_rows(Oid relid, Image before) {
  return is_enabled_and_forced(relid) && relation_image(relid, before).found;
}

// PostgreSQL checks the rows that are there when it adds or validates a foreign key, as the role that does so: under
// row-level security it sees those of one tenant, and believes the others.
void check_foreign_key_commands(Oid relid, List *subcommands) {
  if (stands_aside() || has_bypassrls_privilege(GetUserId())) return;
  const Image before = image_before_transaction();
  const ListCell *cell;
  foreach (cell, subcommands) {
    const Node *command = static_cast<const CollectedATSubcmd *>(lfirst(cell))->parsetree;
    const Oid referenced = checked_foreign_key(relid, reinterpret_cast<const AlterTableCmd *>(command));
    if (!OidIsValid(referenced) || (!hides_rows(relid, before) && !hides_rows(referenced, before))) continue;
    ereport(guard_mode == mode_warn ? WARNING : ERROR,
            (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
             errmsg("a foreign key of table %s was checked for the rows of one tenant only", relation_name(relid)),
             errdetail("fk_crosses: role \"%s\" sees but these of %s, and PostgreSQL marks the key as valid for all.",
                       GetUserNameFromId(GetUserId(), true),
                       relation_name(hides_rows(relid, before) ? relid : referenced)),
             errhint("Add it NOT VALID, and let a role with BYPASSRLS run ALTER TABLE %s VALIDATE CONSTRAINT ...;",
                     relation_name(relid))));
  }
  end_image(before);
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
    if (command->type == SCT_AlterTable) check_foreign_key_commands(object, command->d.alterTable.subcmds);
  } else if (catalog == PolicyRelationId) {
    note(relation_of(PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, Anum_pg_policy_polrelid, object));
  } else if (catalog == RewriteRelationId) {
    note(relation_of(RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid, Anum_pg_rewrite_ev_class, object));
  }
}

// The columns of pg_event_trigger_dropped_objects() that matter here.
enum DropColumn : AttrNumber { drop_object_type = 7, drop_address_names = 11 };

// Notes the table that a policy or column was taken from, be it by DROP … CASCADE of something else.
void note_drop(TupleTableSlot *row) {
  bool isnull;
  const char *type = TextDatumGetCString(slot_getattr(row, drop_object_type, &isnull));
  if (strcmp(type, "policy") != 0 && strcmp(type, "table column") != 0) return;
  const Datum names = slot_getattr(row, drop_address_names, &isnull);
  if (isnull) return;
  Datum *elements;
  bool *nulls;
  int count;
  deconstruct_array(DatumGetArrayTypeP(names), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
  if (count < 3 || nulls[0] || nulls[1]) return;
  const Oid schema = get_namespace_oid(TextDatumGetCString(elements[0]), true);
  if (OidIsValid(schema)) note(get_relname_relid(TextDatumGetCString(elements[1]), schema));
}

// Whether an object belongs to an extension that a superuser owns. (Users can add tables to extensions of their own.)
bool in_trusted_extension(Oid catalog, Oid object) {
  const Oid extension = getExtensionOfObject(catalog, object);
  if (!OidIsValid(extension)) return false;
  Oid owner = InvalidOid;
  for_catalog_rows(
      ExtensionRelationId, ExtensionOidIndexId, Anum_pg_extension_oid, extension, nullptr,
      [&](HeapTuple tuple, TupleDesc) { owner = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extowner; });
  return OidIsValid(owner) && superuser_arg(owner);
}

// Whether the guard has nothing to say about a relation, whatever it looks like.
bool is_passed_over(Oid relid) {
  const char kind = get_rel_relkind(relid);
  if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW &&
      kind != RELKIND_MATVIEW) {
    return true;  // also: gone again
  }
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

// What the check goes by.
struct Check {
  const Exemptions *exemptions;
  Image before;
};

bool has_fault(List *faults, const Fault *wanted) {
  const ListCell *cell;
  foreach (cell, faults) {
    const Fault *fault = static_cast<const Fault *>(lfirst(cell));
    if (strcmp(fault->rule, wanted->rule) == 0 && strcmp(fault->detail, wanted->detail) == 0) return true;
  }
  return false;
}

// A table that was a part shows nothing by itself when it is one no longer, which harms nobody.
bool is_closed_part(const Check *check, Oid relid, const Fault *fault) {
  return (strcmp(fault->rule, "no_policy") == 0 || strcmp(fault->rule, "only_restrictive") == 0) &&
         parents_of(relid, check->before) != NIL;
}

// A new owner whom no policy holds.
List *owner_fault(const Check *check, Oid relid) {
  const RelationImage before = relation_image(relid, check->before), now = relation_image(relid);
  if (!before.found || before.owner == now.owner || !has_bypassrls_privilege(now.owner) ||
      has_bypassrls_privilege(before.owner) || !is_tenant_table(relid)) {
    return NIL;
  }
  Fault *fault = static_cast<Fault *>(palloc(sizeof(Fault)));
  *fault = {"bypass_login", psprintf("its new owner \"%s\" is held by no policy", GetUserNameFromId(now.owner, true)),
            psprintf("ALTER TABLE %s OWNER TO %s;", relation_name(relid),
                     quote_identifier(GetUserNameFromId(before.owner, true)))};
  return list_make1(fault);
}

// The faults that the transaction has brought, and that no exemption waives.
List *new_faults(const Check *check, Oid relid) {
  List *all = list_concat(relation_faults(relid), owner_fault(check, relid));
  if (all == NIL) return NIL;
  // What becomes part of a tenant table shows that table's rows from now on.
  const bool joins = tenant_ancestor(relid) != tenant_ancestor(relid, check->before);
  List *old = joins ? NIL : relation_faults(relid, check->before);
  List *faults = NIL;
  const ListCell *cell;
  foreach (cell, all) {
    Fault *fault = static_cast<Fault *>(lfirst(cell));
    if (!has_fault(old, fault) && !is_closed_part(check, relid, fault) &&
        !is_exempt(check->exemptions, relid, fault->rule)) {
      faults = lappend(faults, fault);
    }
  }
  return faults;
}

// Runs protect()'s statements, in a subtransaction: what cannot be mended is reported with the other faults. Tells why
// not, or gives nullptr. A table without tenant column stays as it is.
const char *mend(Oid relid) {
  if (get_rel_relkind(relid) != RELKIND_RELATION && get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE) return nullptr;
  if (tenant_attribute(relid, relation_policies(relid)) == InvalidAttrNumber) return nullptr;
  const char *problem = attempt([&] { run_statements(protect_statements(relid, nullptr, nullptr, nullptr)); });
  CommandCounterIncrement();
  return problem;
}

// What is said about all faulty tables.
struct Message {
  StringInfoData detail;
  int tables;
  const char *first_kind;  // "table", …
  const char *first;
  const char *first_exempt;
  List *problems;  // of Problem
};

// Why a table could not be mended.
struct Problem {
  Oid relid;
  const char *text;
};

// A name as a literal of the LIKE pattern that means it and no other. Not by quote_literal(), which would write
// E'a\\_b'.
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

const char *kind_word(Oid relid) {
  switch (get_rel_relkind(relid)) {
    case RELKIND_VIEW:
      return "view";
    case RELKIND_MATVIEW:
      return "materialized view";
    default:
      return "table";
  }
}

void report_faults(Message *message, Oid relid, List *faults) {
  const char *name = relation_name(relid);
  if (message->tables++ == 0) {
    message->first = name;
    message->first_kind = kind_word(relid);
    message->first_exempt = psprintf("SELECT rls_tenant.exempt(%s, %s, 'reason');",
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
    if (problem->relid == relid)
      appendStringInfo(&message->detail, "\n%s: cannot be protected: %s", name, problem->text);
  }
}

void raise_faults(const Message *message) {
  const int level = guard_mode == mode_warn ? WARNING : ERROR;
  ereport(
      level,
      (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
       message->tables == 1 ? errmsg("%s %s does not keep tenants apart", message->first_kind, message->first)
                            : errmsg("%d relations do not keep tenants apart", message->tables),
       errdetail_internal("%s", message->detail.data),
       errhint("Run these statements in the same transaction, before COMMIT (so begin one). What belongs to no tenant: "
               "%s",
               message->first_exempt)));
}

int compare_names(const ListCell *left, const ListCell *right) {
  return strcmp(relation_name(lfirst_oid(left)), relation_name(lfirst_oid(right)));
}

// A relation, and what is or was below it: ATTACH PARTITION and INHERIT make two tables one, DETACH makes one two.
void add_with_parts(List **relations, HTAB *seen, Oid relid, Image before) {
  check_stack_depth();
  bool found;
  hash_search(seen, &relid, HASH_ENTER, &found);
  if (found) return;
  if (!is_passed_over(relid)) *relations = lappend_oid(*relations, relid);
  const ListCell *cell;
  List *parts = list_concat_unique_oid(children_of(relid), children_of(relid, before));
  foreach (cell, parts) add_with_parts(relations, seen, lfirst_oid(cell), before);
}

// The relations to judge that are still there, by name.
List *noted_relations(Image before) {
  HASHCTL control = {};
  control.keysize = control.entrysize = sizeof(Oid);
  control.hcxt = CurrentMemoryContext;
  HTAB *seen = hash_create("rls_tenant relations seen", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  List *relations = NIL;
  HASH_SEQ_STATUS status;
  hash_seq_init(&status, notes);
  for (Oid *relid = static_cast<Oid *>(hash_seq_search(&status)); relid != nullptr;
       relid = static_cast<Oid *>(hash_seq_search(&status))) {
    add_with_parts(&relations, seen, *relid, before);
  }
  list_sort(relations, compare_names);
  return relations;
}

// Protects what is faulty and can be; parents first, since that protects their parts.
void mend_all(List *tables, const Check *check, Message *message) {
  for (int pass = 0; pass < 2; pass++) {
    const ListCell *cell;
    foreach (cell, tables) {
      const Oid relid = lfirst_oid(cell);
      if ((parents_of(relid) == NIL) != (pass == 0) || OidIsValid(tenant_ancestor(relid))) continue;
      if (new_faults(check, relid) == NIL) continue;
      const char *text = mend(relid);
      if (text == nullptr) continue;
      Problem *problem = static_cast<Problem *>(palloc(sizeof(Problem)));
      *problem = {relid, text};
      message->problems = lappend(message->problems, problem);
    }
  }
}

// The check itself, with a snapshot and memory of its own.
void check_relations() {
  const Check check = {load_exemptions(), image_before_transaction()};
  if (check.exemptions != nullptr) {  // else the extension was dropped in this transaction, or is not in this database
    Message message = {};
    initStringInfo(&message.detail);
    List *relations = noted_relations(check.before);
    const ListCell *cell;
    if (guard_mode == mode_protect) mend_all(relations, &check, &message);
    foreach (cell, relations) protect_parts(lfirst_oid(cell));
    foreach (cell, relations) {
      List *faults = new_faults(&check, lfirst_oid(cell));
      if (faults != NIL) report_faults(&message, lfirst_oid(cell), faults);
    }
    if (message.tables > 0) raise_faults(&message);
  }
  end_image(check.before);
}

void check_at_end() {
  if (notes == nullptr || guard_mode == mode_off || IsParallelWorker()) return;
  checking = true;
  CommandCounterIncrement();
  PushActiveSnapshot(GetTransactionSnapshot());
  const MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "rls_tenant guard", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext before = MemoryContextSwitchTo(memory);
  check_relations();
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

namespace {

void check_called(FunctionCallInfo fcinfo) {
  if (CALLED_AS_EVENT_TRIGGER(fcinfo)) return;
  ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                  errmsg("the guard's functions can only be called as event triggers")));
}

}  // namespace

RT_FUNCTION(rls_tenant_guard_note_ddl) {
  check_called(fcinfo);
  if (is_watching()) for_event_rows(F_PG_EVENT_TRIGGER_DDL_COMMANDS, note_command);
  PG_RETURN_NULL();
}

RT_FUNCTION(rls_tenant_guard_note_drop) {
  check_called(fcinfo);
  if (is_watching()) for_event_rows(F_PG_EVENT_TRIGGER_DROPPED_OBJECTS, note_drop);
  PG_RETURN_NULL();
}

bool is_guard_off() { return guard_mode == mode_off; }

void guard_init() {
  DefineCustomEnumVariable(
      "rls_tenant.guard", "What happens to tables that do not keep tenants apart.",
      "refuse: the transaction fails; protect: they are protected where that is possible; warn; off.", &guard_mode,
      mode_refuse, mode_options, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  RegisterXactCallback(at_transaction_event, nullptr);
  previous_access = object_access_hook;
  object_access_hook = on_object_access;
}

}  // namespace rls_tenant
