// The check of what a transaction made or altered. It comes at its end, because migrations go in steps and CREATE TABLE
// cannot enable row-level security. What was wrong before the transaction is not held against it.

#include "guard/guard.hpp"

#include "postgres/as_owner.hpp"
#include "postgres/subtransaction.hpp"
#include "policy/exemptions.hpp"
#include "guard/ddl_notes.hpp"
#include "guard/refusals.hpp"
#include "guard/protect.hpp"
#include "policy/relation_faults.hpp"
#include "postgres/transaction_end.hpp"

namespace rls_tenant {

namespace {

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

// What the relation cache says of a relation: it holds what the transaction has made, so that no catalog is asked.
struct Glance {
  bool judged;  // a table or view that is still there, neither temporary nor the system's
  bool is_new;  // made by this transaction
  char kind;
  bool has_children;  // or had once
  bool is_partition;
};

Glance glance_at(Oid relid) {
  Glance result = {};
  Relation relation = RelationIdGetRelation(relid);
  if (relation == nullptr) return result;
  const Form_pg_class form = relation->rd_rel;
  const bool has_rows = form->relkind == RELKIND_RELATION || form->relkind == RELKIND_PARTITIONED_TABLE ||
                        form->relkind == RELKIND_VIEW || form->relkind == RELKIND_MATVIEW;
  result.judged = has_rows && form->relpersistence != RELPERSISTENCE_TEMP &&
                  (form->relnamespace >= FirstNormalObjectId || form->relnamespace == PG_PUBLIC_NAMESPACE);
  result.is_new = relation->rd_createSubid != InvalidSubTransactionId;
  result.kind = form->relkind;
  result.has_children = form->relhassubclass;
  result.is_partition = form->relispartition;
  RelationClose(relation);
  return result;
}

// Whether an extension answers for a relation, whatever it looks like. Two scans of pg_depend: ask it last.
bool is_passed_over(Oid relid) {
  return in_trusted_extension(RelationRelationId, relid) ||
         in_trusted_extension(NamespaceRelationId, get_rel_namespace(relid));
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

// A relation that the check judges.
struct Candidate {
  Oid relid;
  bool is_new;
  bool alone;  // without parts, and part of nothing
};

// Protects the parts of tenant tables among a table and what is below it, so that partition managers go on working.
void protect_parts(const Candidate *candidate) {
  if (candidate->alone || !keeps_tenants(tenancy_of(candidate->relid))) return;
  List *parts = find_all_inheritors(candidate->relid, NoLock, nullptr);
  const ListCell *cell;
  foreach (cell, parts) {
    const Oid part = lfirst_oid(cell);
    if (is_enabled_and_forced(part) || !glance_at(part).judged || is_passed_over(part)) continue;
    if (!OidIsValid(tenancy_of(part).ancestor)) continue;
    as_owner(part, 0, [&] { enable_row_security(part); });  // whoever commits may be another role
    CommandCounterIncrement();
  }
}

// What the check goes by.
struct Check {
  const Exemptions *exemptions;
  Snapshot before;
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
  const RelationRow before = relation_row(relid, check->before), now = relation_row(relid);
  if (!before.found || before.owner == now.owner || !has_bypassrls_privilege(now.owner) ||
      has_bypassrls_privilege(before.owner) || !tenancy_of(relid).is_tenant_table) {
    return NIL;
  }
  Fault *fault = static_cast<Fault *>(palloc(sizeof(Fault)));
  *fault = {"bypass_login", psprintf("its new owner \"%s\" is held by no policy", GetUserNameFromId(now.owner, true)),
            psprintf("ALTER TABLE %s OWNER TO %s;", relation_name(relid),
                     quote_identifier(GetUserNameFromId(before.owner, true)))};
  return list_make1(fault);
}

// The faults that the transaction has brought, and that no exemption waives.
List *new_faults(const Check *check, const Candidate *candidate) {
  const Oid relid = candidate->relid;
  List *all = relation_faults(relid);
  if (!candidate->is_new) all = list_concat(all, owner_fault(check, relid));
  if (all == NIL || is_passed_over(relid)) return NIL;
  // What becomes part of a tenant table shows that table's rows from now on.
  const bool joins = tenancy_of(relid).ancestor != tenancy_of(relid, check->before).ancestor;
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
  if (tenancy_of(relid).attribute == InvalidAttrNumber) return nullptr;
  const char *problem = in_subtransaction([&] { run_statements(protect_statements(relid, nullptr, nullptr, nullptr, nullptr)); });
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

// A relation with what is wrong with it.
struct Finding {
  Oid relid;
  const char *name;
  List *faults;
};

void report_finding(Message *message, const Finding *finding) {
  const Oid relid = finding->relid;
  const char *name = finding->name;
  if (message->tables++ == 0) {
    message->first = name;
    message->first_kind = kind_word(relid);
    message->first_exempt = psprintf("SELECT rls_tenant.exempt(%s, %s, 'reason');",
                                     quote_literal_cstr(get_namespace_name(get_rel_namespace(relid))),
                                     pattern_literal(get_rel_name(relid)));
  }
  const ListCell *cell;
  foreach (cell, finding->faults) {
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
  const char *text = message->tables == 1
                         ? psprintf("%s %s does not keep tenants apart", message->first_kind, message->first)
                         : psprintf("%d relations do not keep tenants apart", message->tables);
  remember_refusal(text, message->detail.data);
  ereport(guard_mode() == mode_warn ? WARNING : ERROR,
          (errcode(ERRCODE_INVALID_TABLE_DEFINITION), errmsg_internal("%s", text),
           errdetail_internal("%s", message->detail.data),
           errhint("Run these statements in the same transaction, before COMMIT; without BEGIN each statement is a "
                   "transaction of its own. What belongs to no tenant: "
                   "%s",
                   message->first_exempt)));
}

// The children that a relation has or had. (Partitions can be detached, and relhassubclass be reset.)
List *all_children(Oid relid, const Glance &relation, Snapshot before) {
  if (!relation.has_children && (relation.is_new || relation.kind != RELKIND_PARTITIONED_TABLE)) return NIL;
  return list_concat_unique_oid(children_of(relid), children_of(relid, before));
}

// Adds a relation, and what is or was below it: ATTACH PARTITION and INHERIT make two tables one, DETACH makes one two.
void add_with_parts(List **candidates, HTAB *seen, Oid relid, Snapshot before) {
  check_stack_depth();
  bool found;
  hash_search(seen, &relid, HASH_ENTER, &found);
  const Glance relation = found ? Glance{} : glance_at(relid);
  if (!relation.judged) return;
  List *children = all_children(relid, relation, before);
  Candidate *candidate = static_cast<Candidate *>(palloc(sizeof(Candidate)));
  *candidate = {relid, relation.is_new, children == NIL && !relation.is_partition && parents_of(relid) == NIL};
  *candidates = lappend(*candidates, candidate);
  const ListCell *cell;
  foreach (cell, children) add_with_parts(candidates, seen, lfirst_oid(cell), before);
}

// The relations to judge.
List *noted_candidates(Snapshot before) {
  HASHCTL control = {};
  control.keysize = control.entrysize = sizeof(Oid);
  control.hcxt = CurrentMemoryContext;
  HTAB *seen = hash_create("rls_tenant relations seen", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  List *candidates = NIL;
  HASH_SEQ_STATUS status;
  hash_seq_init(&status, noted_relations());
  for (Oid *relid = static_cast<Oid *>(hash_seq_search(&status)); relid != nullptr;
       relid = static_cast<Oid *>(hash_seq_search(&status))) {
    add_with_parts(&candidates, seen, *relid, before);
  }
  return candidates;
}

// Protects what is faulty and can be; parents first, since that protects their parts.
void mend_all(List *candidates, const Check *check, Message *message) {
  for (int pass = 0; pass < 2; pass++) {
    const ListCell *cell;
    foreach (cell, candidates) {
      const Candidate *candidate = static_cast<const Candidate *>(lfirst(cell));
      const Oid relid = candidate->relid;
      const Tenancy tenancy = tenancy_of(relid);
      if ((tenancy.parents == NIL) != (pass == 0) || OidIsValid(tenancy.ancestor)) continue;
      if (new_faults(check, candidate) == NIL) continue;
      const char *text = mend(relid);
      if (text == nullptr) continue;
      Problem *problem = static_cast<Problem *>(palloc(sizeof(Problem)));
      *problem = {relid, text};
      message->problems = lappend(message->problems, problem);
    }
  }
}

int compare_findings(const ListCell *left, const ListCell *right) {
  return strcmp(static_cast<const Finding *>(lfirst(left))->name, static_cast<const Finding *>(lfirst(right))->name);
}

// The check itself, with a snapshot and memory of its own.
void check_relations() {
  const Check check = {load_exemptions(), snapshot_before_transaction()};
  if (check.exemptions != nullptr) {  // else the extension was dropped in this transaction, or is not in this database
    Message message = {};
    initStringInfo(&message.detail);
    List *candidates = noted_candidates(check.before);
    const ListCell *cell;
    if (guard_mode() == mode_protect) mend_all(candidates, &check, &message);
    foreach (cell, candidates) protect_parts(static_cast<const Candidate *>(lfirst(cell)));
    List *findings = NIL;
    foreach (cell, candidates) {
      const Candidate *candidate = static_cast<const Candidate *>(lfirst(cell));
      List *faults = new_faults(&check, candidate);
      if (faults == NIL) continue;
      Finding *finding = static_cast<Finding *>(palloc(sizeof(Finding)));
      *finding = {candidate->relid, relation_name(candidate->relid), faults};
      findings = lappend(findings, finding);
    }
    list_sort(findings, compare_findings);
    foreach (cell, findings) report_finding(&message, static_cast<const Finding *>(lfirst(cell)));
    if (message.tables > 0) raise_faults(&message);
  }
  release_snapshot(check.before);
}

void check_at_end() {
  if (noted_relations() == nullptr || guard_mode() == mode_off || IsParallelWorker()) return;
  mute_notes(true);
  CommandCounterIncrement();
  PushActiveSnapshot(GetTransactionSnapshot());
  const MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "rls_tenant guard", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext before = MemoryContextSwitchTo(memory);
  check_relations();
  MemoryContextSwitchTo(before);
  MemoryContextDelete(memory);
  PopActiveSnapshot();
  mute_notes(false);
}

void at_transaction_event(XactEvent event) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
      check_at_end();
      break;
    default:
      forget_notes();
      break;
  }
}

}  // namespace

void guard_init() {
  guard_notes_init();
  at_end_of_transaction(at_transaction_event);
}

}  // namespace rls_tenant
