// Foreign keys, rewrite rules, views and materialised views of tenant tables: each can lead past their policies.

#include "policy/relation_faults.hpp"

namespace rls_tenant {

namespace {

List *add_fault(List *faults, const char *rule, const char *detail, const char *remedy) {
  Fault *fault = static_cast<Fault *>(palloc(sizeof(Fault)));
  *fault = {rule, detail, remedy};
  return lappend(faults, fault);
}

// An array column of a constraint: attribute numbers.
struct Key {
  const int16 *attributes;
  int count;
  bool temporal;  // the last one is a period
};

Key read_key(HeapTuple tuple, AttrNumber column, TupleDesc description) {
  bool isnull;
  const bool temporal = compat::is_temporal(reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple)));
  const Datum datum = heap_getattr(tuple, column, description, &isnull);
  if (isnull) return {nullptr, 0, temporal};
  const ArrayType *array = DatumGetArrayTypePCopy(datum);
  return {reinterpret_cast<const int16 *>(ARR_DATA_PTR(array)), ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)),
          temporal};
}

// The columns of a key, the tenant's first, for a foreign key or for a unique one.
const char *with_tenant(Oid relid, AttrNumber tenant, const Key &key, bool unique) {
  StringInfoData list;
  initStringInfo(&list);
  appendStringInfoString(&list, quote_identifier(get_attname(relid, tenant, false)));
  for (int i = 0; i < key.count; i++) {
    if (key.attributes[i] == tenant) continue;
    const bool period = key.temporal && i == key.count - 1;
    appendStringInfo(&list, ", %s%s%s", period && !unique ? "PERIOD " : "",
                     quote_identifier(get_attname(relid, key.attributes[i], false)),
                     period && unique ? " WITHOUT OVERLAPS" : "");
  }
  return list.data;
}

// Whether an index makes the tenant's column and those of a key unique, all of them and no others.
bool is_unique_over(Oid index, AttrNumber tenant, const Key &key) {
  bool result = false;
  with_syscache(INDEXRELID, ObjectIdGetDatum(index), [&](HeapTuple tuple) {
    const Form_pg_index form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
    result = form->indisunique && form->indimmediate && form->indisvalid && form->indisexclusion == key.temporal &&
             heap_attisnull(tuple, Anum_pg_index_indpred, nullptr);
    Bitmapset *indexed = nullptr, *wanted = bms_make_singleton(tenant);
    for (int i = 0; i < form->indnkeyatts; i++) {
      if (form->indkey.values[i] <= 0) result = false;
      if (result) indexed = bms_add_member(indexed, form->indkey.values[i]);
    }
    for (int i = 0; i < key.count; i++) wanted = bms_add_member(wanted, key.attributes[i]);
    result = result && bms_equal(indexed, wanted);
  });
  return result;
}

// The statement without which no foreign key can refer to the tenant's column and those of a key; empty: none is
// needed.
const char *make_unique(Oid relid, AttrNumber tenant, const Key &key) {
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (relation == nullptr) return "";
  bool found = false;
  List *indexes = RelationGetIndexList(relation);
  const ListCell *cell;
  foreach (cell, indexes) found = found || is_unique_over(lfirst_oid(cell), tenant, key);
  relation_close(relation, AccessShareLock);
  return found ? ""
               : psprintf("ALTER TABLE %s ADD UNIQUE (%s); ", relation_name(relid),
                          with_tenant(relid, tenant, key, true));
}

const char *action_words(char action) {
  switch (action) {
    case FKCONSTR_ACTION_RESTRICT:
      return "RESTRICT";
    case FKCONSTR_ACTION_CASCADE:
      return "CASCADE";
    case FKCONSTR_ACTION_SETNULL:
      return "SET NULL";
    case FKCONSTR_ACTION_SETDEFAULT:
      return "SET DEFAULT";
    default:
      return nullptr;
  }
}

// What stands behind a foreign key's columns. Where a row that goes sets columns, the tenant's stays what it is.
const char *key_options(Oid relid, AttrNumber tenant, HeapTuple tuple, TupleDesc description, const Key &ours) {
  const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
  StringInfoData text;
  initStringInfo(&text);
  if (form->confmatchtype == FKCONSTR_MATCH_FULL && ours.count > 1) appendStringInfoString(&text, " MATCH FULL");
  const char *action = action_words(form->confupdtype);
  if (action != nullptr) appendStringInfo(&text, " ON UPDATE %s", action);
  action = action_words(form->confdeltype);
  if (action != nullptr) appendStringInfo(&text, " ON DELETE %s", action);
  if (form->confdeltype == FKCONSTR_ACTION_SETNULL || form->confdeltype == FKCONSTR_ACTION_SETDEFAULT) {
    const Key named = read_key(tuple, Anum_pg_constraint_confdelsetcols, description);
    const Key &set = named.count > 0 ? named : ours;
    const char *separator = " (";
    for (int i = 0; i < set.count; i++) {
      if (set.attributes[i] == tenant) continue;
      appendStringInfo(&text, "%s%s", separator, quote_identifier(get_attname(relid, set.attributes[i], false)));
      separator = ", ";
    }
    if (separator[0] == ',') appendStringInfoChar(&text, ')');
  }
  if (form->condeferrable) appendStringInfoString(&text, " DEFERRABLE");
  if (form->condeferred) appendStringInfoString(&text, " INITIALLY DEFERRED");
  if (!compat::is_enforced(form)) {
    appendStringInfoString(&text, " NOT ENFORCED");
  } else if (!form->convalidated) {
    appendStringInfoString(&text, " NOT VALID");
  }
  return text.data;
}

// Whether all columns of a key are those by which a table without tenant column looks up whose its rows are.
bool is_looked_up(const Key &key, List *policies) {
  Bitmapset *columns = join_columns(policies);
  for (int i = 0; i < key.count; i++) {
    if (!bms_is_member(key.attributes[i], columns)) return false;
  }
  return true;
}

// A foreign key between two tenant tables must hold the tenant to the tenant: the check of foreign keys asks no policy.
List *foreign_key_fault(List *faults, const Tenancy &table, HeapTuple tuple, TupleDesc description) {
  const Oid relid = table.relid;
  const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
  if (form->contype != CONSTRAINT_FOREIGN || OidIsValid(form->conparentid)) return faults;
  const Tenancy referenced_table = tenancy_of(form->confrelid, table.snapshot);
  if (!keeps_tenants(referenced_table)) return faults;
  const AttrNumber tenant = table.attribute, their_tenant = referenced_table.attribute;
  const bool have_columns = tenant != InvalidAttrNumber && their_tenant != InvalidAttrNumber;
  const Key ours = read_key(tuple, Anum_pg_constraint_conkey, description);
  const Key theirs = read_key(tuple, Anum_pg_constraint_confkey, description);
  for (int i = 0; have_columns && i < ours.count && i < theirs.count; i++) {
    if (ours.attributes[i] == tenant && theirs.attributes[i] == their_tenant) return faults;
  }
  if (tenant == InvalidAttrNumber && is_looked_up(ours, table.policies)) return faults;
  const char *name = quote_identifier(NameStr(form->conname));
  const char *referenced = relation_name(form->confrelid);
  const char *remedy = "";
  if (table.snapshot == nullptr) {
    remedy = have_columns ? psprintf(
                                "%sALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES "
                                "%s (%s)%s;",
                                make_unique(form->confrelid, their_tenant, theirs), relation_name(relid), name, name,
                                with_tenant(relid, tenant, ours, false), referenced,
                                with_tenant(form->confrelid, their_tenant, theirs, false),
                                key_options(relid, tenant, tuple, description, ours))
                          : psprintf("ALTER TABLE %s DROP CONSTRAINT %s; /* or give both tables a tenant column */",
                                     relation_name(relid), name);
  }
  return add_fault(
      faults, "fk_crosses",
      psprintf("foreign key %s to %s leaves the tenant column out, so that it accepts and shows keys of other tenants",
               name, referenced),
      remedy);
}

List *check_foreign_keys(List *faults, const Tenancy &table) {
  for_catalog_rows(
      ConstraintRelationId, ConstraintRelidTypidNameIndexId, Anum_pg_constraint_conrelid, table.relid, table.snapshot,
      [&](HeapTuple tuple, TupleDesc description) { faults = foreign_key_fault(faults, table, tuple, description); });
  return faults;
}

// The rules of a relation: for a view the one that is its query, too. fn gets each row of pg_rewrite.
template <typename Fn>
void for_rules(Oid relid, Snapshot snapshot, Fn fn) {
  for_catalog_rows(RewriteRelationId, RewriteRelRulenameIndexId, Anum_pg_rewrite_ev_class, relid, snapshot, fn);
}

// What a rule makes of a statement runs with the rights of the table's owner.
List *check_rules(List *faults, const Tenancy &table) {
  if (!table.relation.has_rules) return faults;
  for_rules(table.relid, table.snapshot, [&](HeapTuple tuple, TupleDesc) {
    const char *name = quote_identifier(NameStr(reinterpret_cast<Form_pg_rewrite>(GETSTRUCT(tuple))->rulename));
    faults = add_fault(faults, "rule_rewrite",
                       psprintf("rule %s rewrites statements, with the rights of the table's owner", name),
                       psprintf("DROP RULE %s ON %s; /* use a trigger */", name, relation_name(table.relid)));
  });
  return faults;
}

// A view that has been read, and the role that its security_invoker would stand for.
struct Visit {
  Oid view;
  Oid role;
};

// The walk through what a view reads.
struct Reading {
  Snapshot snapshot;
  List **visits;  // of Visit: views can read each other, and one below many times over
  Oid view;       // whose query it is
  Oid role;       // as whom its relations are read
  bool any_role;  // materialised views: their contents are for all
  Oid bypass;     // as whom
  List *found;    // the tenant tables that are read past their policies
};

void read_view(Reading *reading, Oid relid, Oid role);

// Whether a role counts as the owner of a table whose row-level security is not forced.
bool is_unforced_owner(const Tenancy &table, Oid role) {
  return OidIsValid(role) && !table.relation.forced && has_privs_of_role(role, table.relation.owner);
}

void read_relation(Reading *reading, Oid relid) {
  if (relid == reading->view) return;
  const RelationRow relation = relation_row(relid, reading->snapshot);
  if (relation.kind == RELKIND_VIEW) {
    Reading inner = *reading;
    read_view(&inner, relid, reading->role);
    if (list_length(inner.found) > list_length(reading->found)) reading->bypass = inner.bypass;
    reading->found = inner.found;
    return;
  }
  const Tenancy table = tenancy_of(relid, reading->snapshot);
  const bool passes =
      reading->any_role || has_bypassrls_privilege(reading->role) || is_unforced_owner(table, reading->role);
  if (passes && keeps_tenants(table)) {
    reading->found = list_append_unique_oid(reading->found, relid);
    reading->bypass = reading->role;
  }
}

bool read_node(Node *node, void *context) {
  if (node == nullptr) return false;
  check_stack_depth();
  if (IsA(node, RangeTblEntry)) {
    const RangeTblEntry *entry = reinterpret_cast<const RangeTblEntry *>(node);
    if (entry->rtekind == RTE_RELATION) read_relation(static_cast<Reading *>(context), entry->relid);
    return false;
  }
  if (IsA(node, Query)) {
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(read_node), context,
                             QTW_EXAMINE_RTES_BEFORE);
  }
  return expression_tree_walker(node, compat::tree_walker(read_node), context);
}

// Whether a view's options say security_invoker.
bool is_security_invoker(Oid relid, Snapshot snapshot) {
  bool result = false;
  const auto read = [&](HeapTuple tuple, TupleDesc description) {
    bool isnull;
    const Datum options = heap_getattr(tuple, Anum_pg_class_reloptions, description, &isnull);
    if (isnull) return;
    List *list = untransformRelOptions(options);
    const ListCell *cell;
    foreach (cell, list) {
      DefElem *option = lfirst_node(DefElem, cell);
      if (strcmp(option->defname, "security_invoker") == 0) result = defGetBoolean(option);
    }
  };
  for_catalog_rows(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relid, snapshot, read);
  return result;
}

// Whether a view is read for the first time as that role; notes it.
bool is_first_visit(Reading *reading, Oid view, Oid role) {
  const ListCell *cell;
  foreach (cell, *reading->visits) {
    const Visit *visit = static_cast<const Visit *>(lfirst(cell));
    if (visit->view == view && visit->role == role) return false;
  }
  Visit *visit = static_cast<Visit *>(palloc(sizeof(Visit)));
  *visit = {view, role};
  *reading->visits = lappend(*reading->visits, visit);
  return true;
}

// Reads a view's query, as its owner or, with security_invoker, as that role.
void read_view(Reading *reading, Oid relid, Oid role) {
  check_stack_depth();
  CHECK_FOR_INTERRUPTS();
  if (!is_first_visit(reading, relid, role)) return;
  reading->view = relid;
  reading->role = is_security_invoker(relid, reading->snapshot) ? role : relation_row(relid, reading->snapshot).owner;
  for_rules(relid, reading->snapshot, [&](HeapTuple tuple, TupleDesc description) {
    bool isnull;
    const Datum action = heap_getattr(tuple, Anum_pg_rewrite_ev_action, description, &isnull);
    read_node(static_cast<Node *>(stringToNode(TextDatumGetCString(action))), reading);
  });
}

// All of them: where the transaction adds one, that is new.
const char *relation_names(List *relations) {
  StringInfoData names;
  initStringInfo(&names);
  const ListCell *cell;
  foreach (cell, relations)
    appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", relation_name(lfirst_oid(cell)));
  return names.data;
}

List *view_faults(Oid relid, Snapshot snapshot) {
  List *visits = NIL;
  Reading reading = {snapshot, &visits, InvalidOid, InvalidOid, false, InvalidOid, NIL};
  read_view(&reading, relid, InvalidOid);
  if (reading.found == NIL) return NIL;
  return add_fault(NIL, "view_bypass",
                   psprintf("it reads %s as role \"%s\", whom no policy holds", relation_names(reading.found),
                            GetUserNameFromId(reading.bypass, true)),
                   psprintf("ALTER VIEW %s SET (security_invoker = on);", relation_name(relid)));
}

List *materialized_view_faults(Oid relid, Snapshot snapshot) {
  List *visits = NIL;
  Reading reading = {snapshot, &visits, InvalidOid, InvalidOid, true, InvalidOid, NIL};
  read_view(&reading, relid, InvalidOid);
  if (reading.found == NIL) return NIL;
  return add_fault(
      NIL, "matview",
      psprintf("it keeps rows of %s, and nothing keeps its readers to their tenant", relation_names(reading.found)),
      psprintf("DROP MATERIALIZED VIEW %s; /* use a table under protect() */", relation_name(relid)));
}

}  // namespace

List *relation_faults(Oid relid, Snapshot snapshot) {
  CHECK_FOR_INTERRUPTS();
  switch (relation_row(relid, snapshot).kind) {
    case RELKIND_RELATION:
    case RELKIND_PARTITIONED_TABLE: {
      const Tenancy table = tenancy_of(relid, snapshot);
      List *faults = table_faults(table);
      return keeps_tenants(table) ? check_rules(check_foreign_keys(faults, table), table) : faults;
    }
    case RELKIND_VIEW:
      return view_faults(relid, snapshot);
    case RELKIND_MATVIEW:
      return materialized_view_faults(relid, snapshot);
    default:
      return NIL;
  }
}

// The faults of one relation as rows.
RT_FUNCTION(rls_tenant_table_faults) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  List *faults = relation_faults(PG_GETARG_OID(0));
  const ListCell *cell;
  foreach (cell, faults) {
    const Fault *fault = static_cast<const Fault *>(lfirst(cell));
    Datum values[3] = {CStringGetTextDatum(fault->rule), CStringGetTextDatum(fault->detail),
                       CStringGetTextDatum(fault->remedy)};
    bool nulls[3] = {false, false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
