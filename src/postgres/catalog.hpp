// What the catalogs say of a relation: now, or as they were before the current transaction changed them.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Where a snapshot for catalog scans is taken, nullptr means: as they are now.

// The catalogs without what the current transaction has done. To be released by release_snapshot().
Snapshot snapshot_before_transaction();
void release_snapshot(Snapshot snapshot);

// Runs fn(tuple, tuple descriptor) on the rows of a catalog where an OID column, the first of that index, has a value.
template <typename Fn>
void for_catalog_rows(Oid catalog_oid, Oid index, AttrNumber column, Oid value, Snapshot snapshot, Fn fn) {
  static_assert(jump_safe<Fn>);
  Relation catalog = table_open(catalog_oid, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
  SysScanDesc scan = systable_beginscan(catalog, index, true, snapshot, 1, &key);
  for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
    fn(tuple, RelationGetDescr(catalog));
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
}

// Runs fn(tuple, tuple descriptor) on all rows of a catalog or table, as they are now.
template <typename Fn>
void for_all_rows(Oid relid, Fn fn) {
  static_assert(jump_safe<Fn>);
  Relation relation = table_open(relid, AccessShareLock);
  SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
  for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
    fn(tuple, RelationGetDescr(relation));
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
}

// The texts of an array, as strings; nullptr among them: NULL.
List *array_texts(Datum array);

// A relation's row in pg_class.
struct RelationRow {
  bool found;
  char kind;
  bool is_partition;
  bool row_security;
  bool forced;
  bool has_rules;
  bool has_children;  // or had once
  AttrNumber attributes;
  Oid owner;
  Oid schema;
  NameData name;
};
RelationRow relation_row(Oid relid, Snapshot snapshot = nullptr);

// The name of a schema; nullptr: there is none.
const char *find_schema_name(Oid schema, Snapshot snapshot);

// The relations of these kinds (of relkind), neither temporary nor the system's.
List *user_relations(const char *kinds);

// The number of the attribute of that name; InvalidAttrNumber: there is none.
AttrNumber attribute_named(Oid relid, const char *name, Snapshot snapshot = nullptr);
// The name of an attribute; nullptr: there is none.
const char *find_attribute_name(Oid relid, AttrNumber attribute, Snapshot snapshot = nullptr);
bool is_not_null(Oid relid, AttrNumber attribute, Snapshot snapshot = nullptr);

// The function of that name in that schema with arguments of these types; InvalidOid: there is none.
Oid function_named(Oid schema, const char *name, const Oid *types, int count);

// Whether an object belongs to an extension that a superuser owns. (Users can add tables to extensions of their own.)
bool in_trusted_extension(Oid catalog, Oid object);

// The direct parents of a partition or inheritance child.
List *parents_of(Oid relid, Snapshot snapshot = nullptr);
// The direct partitions or inheritance children.
List *children_of(Oid relid, Snapshot snapshot = nullptr);

// Whether row-level security is both enabled and forced.
bool is_enabled_and_forced(Oid relid);

// Runs fn on an open relation, which until then nobody can drop or alter; false: there is none of that OID.
template <typename Fn>
bool with_relation(Oid relid, LOCKMODE mode, Fn fn) {
  static_assert(jump_safe<Fn>);
  Relation relation = try_relation_open(relid, mode);
  if (relation == nullptr) return false;
  fn(relation);
  relation_close(relation, mode);
  return true;
}

// Names. None is nullptr: what another session has dropped meanwhile is called by its number. Nobody else asks
// PostgreSQL for names, which gives NULL then.
const char *role_name(Oid role);
const char *schema_name(Oid schema);
const char *attribute_name(Oid relid, AttrNumber attribute, Snapshot snapshot = nullptr);
const char *function_name(Oid function);
const char *access_method_name(Oid access_method);
// Of the database of the session.
const char *database_name();
// Of a relation without its schema; and of that schema.
const char *unqualified_name(Oid relid);
const char *schema_name_of(Oid relid);
// The relation's qualified and quoted name.
const char *relation_name(Oid relid);
// Those of several, separated by commas.
const char *relation_names(const List *relids);

}  // namespace rls_tenant
