// Catalog scans under a snapshot that does not see the transaction's own commands: that is all it takes to look back.

#include "catalog_image.hpp"

namespace rls_tenant {

namespace {

// Runs fn on the first row of a catalog whose columns are as the keys say.
template <typename Fn>
void with_row(Oid catalog, Oid index, Image image, ScanKey keys, int count, Fn fn) {
  static_assert(jump_safe<Fn>);
  Relation relation = table_open(catalog, AccessShareLock);
  SysScanDesc scan = systable_beginscan(relation, index, true, image, count, keys);
  HeapTuple tuple = systable_getnext(scan);
  if (HeapTupleIsValid(tuple)) fn(tuple);
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
}

// Runs fn on an attribute, dropped ones included.
template <typename Fn>
void with_attribute(Oid relid, AttrNumber attribute, Image image, Fn fn) {
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(attribute));
  with_row(AttributeRelationId, AttributeRelidNumIndexId, image, keys, 2,
           [&](HeapTuple tuple) { fn(reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))); });
}

RelationImage read_class(HeapTuple tuple) {
  const Form_pg_class form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
  return {true,           form->relkind, form->relispartition, form->relrowsecurity, form->relforcerowsecurity,
          form->relnatts, form->relowner};
}

// One column of the rows of pg_inherits where another is relid.
List *inheritance(Oid relid, AttrNumber key_column, Oid index, bool parents, Image image) {
  List *result = NIL;
  Relation catalog = table_open(InheritsRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, key_column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  SysScanDesc scan = systable_beginscan(catalog, index, true, image, 1, &key);
  for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
    const Form_pg_inherits form = reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple));
    result = lappend_oid(result, parents ? form->inhparent : form->inhrelid);
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return result;
}

}  // namespace

Image image_before_transaction() {
  Snapshot image = RegisterSnapshot(GetNonHistoricCatalogSnapshot(RelationRelationId));
  image->curcid = FirstCommandId;
  return image;
}

void end_image(Image image) { UnregisterSnapshot(image); }

RelationImage relation_image(Oid relid, Image image) {
  RelationImage result = {};
  if (image == nullptr) {
    with_syscache(RELOID, ObjectIdGetDatum(relid), [&](HeapTuple tuple) { result = read_class(tuple); });
    return result;
  }
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  with_row(RelationRelationId, ClassOidIndexId, image, &key, 1, [&](HeapTuple tuple) { result = read_class(tuple); });
  return result;
}

AttrNumber attribute_named(Oid relid, const char *name, Image image) {
  if (image == nullptr) return get_attnum(relid, name);
  AttrNumber result = InvalidAttrNumber;
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  ScanKeyInit(&keys[1], Anum_pg_attribute_attname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
  with_row(AttributeRelationId, AttributeRelidNameIndexId, image, keys, 2,
           [&](HeapTuple tuple) { result = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attnum; });
  return result;
}

const char *attribute_name(Oid relid, AttrNumber attribute, Image image) {
  if (image == nullptr) return get_attname(relid, attribute, true);
  const char *result = nullptr;
  with_attribute(relid, attribute, image, [&](Form_pg_attribute form) {
    result = form->attisdropped ? nullptr : pstrdup(NameStr(form->attname));
  });
  return result;
}

bool is_not_null(Oid relid, AttrNumber attribute, Image image) {
  bool result = false;
  with_attribute(relid, attribute, image, [&](Form_pg_attribute form) { result = form->attnotnull; });
  return result;
}

List *parents_of(Oid relid, Image image) {
  return inheritance(relid, Anum_pg_inherits_inhrelid, InheritsRelidSeqnoIndexId, true, image);
}

List *children_of(Oid relid, Image image) {
  return inheritance(relid, Anum_pg_inherits_inhparent, InheritsParentIndexId, false, image);
}

}  // namespace rls_tenant
