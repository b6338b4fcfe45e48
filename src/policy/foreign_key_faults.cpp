// The foreign keys of a table, by pg_constraint, and what each must be instead.

#include "policy/foreign_key_faults.hpp"

#include "policy/confinement.hpp"
#include "policy/fault.hpp"

namespace rls_tenant {

namespace {

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
  appendStringInfoString(&list, quote_identifier(attribute_name(relid, tenant)));
  for (int i = 0; i < key.count; i++) {
    if (key.attributes[i] == tenant) continue;
    const bool period = key.temporal && i == key.count - 1;
    appendStringInfo(&list, ", %s%s%s", period && !unique ? "PERIOD " : "",
                     quote_identifier(attribute_name(relid, key.attributes[i])),
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

// ON DELETE … of a foreign key. Where it sets columns, the tenant's stays what it is.
void append_delete_action(StringInfo text, Oid relid, AttrNumber tenant, HeapTuple tuple, TupleDesc description,
                          const Key &ours) {
  const char kind = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple))->confdeltype;
  const char *action = action_words(kind);
  if (action == nullptr) return;
  StringInfoData columns;
  initStringInfo(&columns);
  const bool sets = kind == FKCONSTR_ACTION_SETNULL || kind == FKCONSTR_ACTION_SETDEFAULT;
  const Key named = read_key(tuple, Anum_pg_constraint_confdelsetcols, description);
  const Key &set = named.count > 0 ? named : ours;
  for (int i = 0; sets && i < set.count; i++) {
    if (set.attributes[i] == tenant) continue;
    appendStringInfo(&columns, "%s%s", columns.len > 0 ? ", " : "",
                     quote_identifier(attribute_name(relid, set.attributes[i])));
  }
  if (!sets) appendStringInfo(text, " ON DELETE %s", action);
  if (columns.len > 0) appendStringInfo(text, " ON DELETE %s (%s)", action, columns.data);
}

// What stands behind a foreign key's columns.
const char *key_options(Oid relid, AttrNumber tenant, HeapTuple tuple, TupleDesc description, const Key &ours) {
  const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
  StringInfoData text;
  initStringInfo(&text);
  if (form->confmatchtype == FKCONSTR_MATCH_FULL && ours.count > 1) appendStringInfoString(&text, " MATCH FULL");
  const bool defaults = form->confupdtype == FKCONSTR_ACTION_SETDEFAULT;
  const char *action = defaults ? nullptr : action_words(form->confupdtype);  // it takes no list of columns
  if (action != nullptr) appendStringInfo(&text, " ON UPDATE %s", action);
  append_delete_action(&text, relid, tenant, tuple, description, ours);
  if (form->condeferrable) appendStringInfoString(&text, " DEFERRABLE");
  if (form->condeferred) appendStringInfoString(&text, " INITIALLY DEFERRED");
  if (!compat::is_enforced(form)) {
    appendStringInfoString(&text, " NOT ENFORCED");
  } else if (!form->convalidated) {
    appendStringInfoString(&text, " NOT VALID");
  }
  return text.data;
}

// Whether a foreign key compares columns that a lookup does, and no others.
bool is_of_lookup(const Lookup *lookup, Oid referenced, const Key &ours, const Key &theirs) {
  if (lookup->relid != referenced || ours.temporal) return false;
  for (int i = 0; i < ours.count; i++) {
    bool found = false;
    const ListCell *mine, *other;
    forboth(mine, lookup->ours, other, lookup->theirs) {
      // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a foreign key has as many columns there as here
      found |= lfirst_int(mine) == ours.attributes[i] && lfirst_int(other) == theirs.attributes[i];
    }
    if (!found) return false;
  }
  return true;
}

bool is_looked_up(const Tenancy &table, Oid referenced, const Key &ours, const Key &theirs) {
  List *lookups = tenant_lookups(table.policies);
  const ListCell *cell;
  foreach (cell, lookups) {
    if (is_of_lookup(static_cast<const Lookup *>(lfirst(cell)), referenced, ours, theirs)) return true;
  }
  return false;
}

// Whether a valid foreign key holds each row to the one row of the other table that a lookup finds.
bool is_held(const Tenancy &table, const Lookup *lookup) {
  bool held = false;
  const auto check = [&](HeapTuple tuple, TupleDesc description) {
    const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
    if (form->contype != CONSTRAINT_FOREIGN || !form->convalidated || !compat::is_enforced(form)) return;
    held |= is_of_lookup(lookup, form->confrelid, read_key(tuple, Anum_pg_constraint_conkey, description),
                         read_key(tuple, Anum_pg_constraint_confkey, description));
  };
  for_catalog_rows(ConstraintRelationId, ConstraintRelidTypidNameIndexId, Anum_pg_constraint_conrelid, table.relid,
                   table.reader->snapshot, check);
  return held;
}

const char *attribute_names(Oid relid, const List *attributes) {
  StringInfoData names;
  initStringInfo(&names);
  const ListCell *cell;
  foreach (cell, attributes)
    appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
                     quote_identifier(attribute_name(relid, static_cast<AttrNumber>(lfirst_int(cell)))));
  return names.data;
}

// A table that belongs to tenants through another: without a key a row can outlive the one that says whose it is, and
// be the next one's.
void check_lookups(List **faults, const Tenancy &table) {
  List *lookups = tenant_lookups(table.policies), *told = NIL;
  const ListCell *cell;
  foreach (cell, lookups) {
    const Lookup *lookup = static_cast<const Lookup *>(lfirst(cell));
    if (is_held(table, lookup) || list_member_oid(told, lookup->relid)) continue;
    told = lappend_oid(told, lookup->relid);
    const char *other = relation_name(lookup->relid), *ours = attribute_names(table.relid, lookup->ours);
    add_fault(faults, RT_RULE(no_foreign_key),
              psprintf("its policies look up in %s whose a row is, by %s, without a valid foreign key", other, ours),
              psprintf("ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES %s (%s);", relation_name(table.relid), ours,
                       other, attribute_names(lookup->relid, lookup->theirs)));
  }
}

// The statement that makes a foreign key compare the tenant or, where one of the tables has no tenant column, drops it.
const char *fk_remedy(const Tenancy &table, const Tenancy &referenced, HeapTuple tuple, TupleDesc description,
                      const Key &ours, const Key &theirs) {
  const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
  const char *name = quote_identifier(NameStr(form->conname)), *relation = relation_name(table.relid);
  if (table.attribute == InvalidAttrNumber || referenced.attribute == InvalidAttrNumber)
    return psprintf("ALTER TABLE %s DROP CONSTRAINT %s; /* or give both tables a tenant column */", relation, name);
  return psprintf("%sALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s)%s;",
                  make_unique(referenced.relid, referenced.attribute, theirs), relation, name, name,
                  with_tenant(table.relid, table.attribute, ours, false), relation_name(referenced.relid),
                  with_tenant(referenced.relid, referenced.attribute, theirs, false),
                  key_options(table.relid, table.attribute, tuple, description, ours));
}

// Whether a foreign key compares the tenant, or a table without tenant column finds its rows' tenant by it.
bool compares_tenant(const Tenancy &table, const Tenancy &referenced, const Key &ours, const Key &theirs) {
  if (table.attribute == InvalidAttrNumber) return is_looked_up(table, referenced.relid, ours, theirs);
  if (referenced.attribute == InvalidAttrNumber) return false;
  for (int i = 0; i < ours.count && i < theirs.count; i++) {
    if (ours.attributes[i] == table.attribute && theirs.attributes[i] == referenced.attribute) return true;
  }
  return false;
}

bool has_attribute(const Key &key, AttrNumber attribute) {
  for (int i = 0; i < key.count; i++) {
    if (key.attributes[i] == attribute) return true;
  }
  return false;
}

// Whether a foreign key sets the tenant column to its default where the row goes that it refers to, or changes its key.
bool sets_tenant(const Tenancy &table, HeapTuple tuple, TupleDesc description, const Key &ours) {
  const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
  if (table.attribute == InvalidAttrNumber || !has_attribute(ours, table.attribute)) return false;
  if (form->confupdtype == FKCONSTR_ACTION_SETDEFAULT) return true;
  if (form->confdeltype != FKCONSTR_ACTION_SETDEFAULT) return false;
  const Key named = read_key(tuple, Anum_pg_constraint_confdelsetcols, description);
  return named.count == 0 || has_attribute(named, table.attribute);
}

void check_foreign_key(List **faults, const Tenancy &table, HeapTuple tuple, TupleDesc description) {
  const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
  if (form->contype != CONSTRAINT_FOREIGN || OidIsValid(form->conparentid)) return;
  const Tenancy &referenced = tenancy_of(table.reader, form->confrelid);
  if (!keeps_tenants(referenced)) return;
  const Key ours = read_key(tuple, Anum_pg_constraint_conkey, description);
  const Key theirs = read_key(tuple, Anum_pg_constraint_confkey, description);
  const bool compares = compares_tenant(table, referenced, ours, theirs);
  if (compares && !sets_tenant(table, tuple, description, ours)) return;
  // Names may be others than they were, and nobody is told the remedy of what was wrong before.
  const bool is_now = table.reader->snapshot == nullptr;
  add_fault(
      faults, RT_RULE(fk_crosses),
      psprintf(compares ? "foreign key %s to %s sets the tenant column to its default, which can be another tenant"
                        : "foreign key %s to %s leaves the tenant column out, so that it accepts and shows keys of "
                          "other tenants",
               quote_identifier(NameStr(form->conname)), relation_name(form->confrelid)),
      is_now ? fk_remedy(table, referenced, tuple, description, ours, theirs) : "");
}

}  // namespace

void check_foreign_keys(List **faults, const Tenancy &table, Oid referenced) {
  const auto check = [&](HeapTuple tuple, TupleDesc description) {
    const Oid other = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple))->confrelid;
    if (!OidIsValid(referenced) || other == referenced) check_foreign_key(faults, table, tuple, description);
  };
  for_catalog_rows(ConstraintRelationId, ConstraintRelidTypidNameIndexId, Anum_pg_constraint_conrelid, table.relid,
                   table.reader->snapshot, check);
  const bool belongs_through_another = table.attribute == InvalidAttrNumber && !OidIsValid(table.ancestor);
  if (belongs_through_another && !OidIsValid(referenced)) check_lookups(faults, table);
}

}  // namespace rls_tenant
