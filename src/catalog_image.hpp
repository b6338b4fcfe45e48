// What the catalogs say of a relation: now, or as they were before the current transaction changed them.
#pragma once

#include "prelude.hpp"

namespace rls_tenant {

// A snapshot for catalog scans; nullptr: as it is now.
using Image = Snapshot;

// The catalogs without what the current transaction has done. To be released by end_image().
Image image_before_transaction();
void end_image(Image image);

// Runs fn(tuple, tuple descriptor) on the rows of a catalog where an OID column, the first of that index, has a value.
template <typename Fn>
void for_catalog_rows(Oid catalog_oid, Oid index, AttrNumber column, Oid value, Image image, Fn fn) {
  static_assert(jump_safe<Fn>);
  Relation catalog = table_open(catalog_oid, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
  SysScanDesc scan = systable_beginscan(catalog, index, true, image, 1, &key);
  for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
    fn(tuple, RelationGetDescr(catalog));
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
}

// A relation's row in pg_class.
struct RelationImage {
  bool found;
  char kind;
  bool is_partition;
  bool row_security;
  bool forced;
  bool has_rules;
  bool has_children;  // or had once
  AttrNumber attributes;
  Oid owner;
};
RelationImage relation_image(Oid relid, Image image = nullptr);

// The relations of these kinds (of relkind), neither temporary nor the system's.
List *user_relations(const char *kinds);

// The number of the attribute of that name; InvalidAttrNumber: there is none.
AttrNumber attribute_named(Oid relid, const char *name, Image image = nullptr);
// The name of an attribute; nullptr: there is none.
const char *attribute_name(Oid relid, AttrNumber attribute, Image image = nullptr);
bool is_not_null(Oid relid, AttrNumber attribute, Image image = nullptr);

// The direct parents of a partition or inheritance child.
List *parents_of(Oid relid, Image image = nullptr);
// The direct partitions or inheritance children.
List *children_of(Oid relid, Image image = nullptr);

}  // namespace rls_tenant
