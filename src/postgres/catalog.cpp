// Catalog scans under a snapshot that does not see the transaction's own commands: that is all it takes to look back.

#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

// Runs fn on the first attribute that is as the two keys say.
template <typename Fn>
void with_row(Oid index, Snapshot snapshot, ScanKey keys, Fn fn) {
  static_assert(jump_safe<Fn>);
  Relation relation = table_open(AttributeRelationId, AccessShareLock);
  SysScanDesc scan = systable_beginscan(relation, index, true, snapshot, 2, keys);
  HeapTuple tuple = systable_getnext(scan);
  if (HeapTupleIsValid(tuple)) fn(reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple)));
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
}

// Runs fn on an attribute, dropped ones included.
template <typename Fn>
void with_attribute(Oid relid, AttrNumber attribute, Snapshot snapshot, Fn fn) {
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(attribute));
  with_row(AttributeRelidNumIndexId, snapshot, keys, fn);
}

// What pg_inherits says of a relation in the rows where it stands in that column, the first of the index.
List *inherits_oids(Oid index, AttrNumber column, Oid relid, Snapshot snapshot, Oid FormData_pg_inherits::*other) {
  List *result = NIL;
  for_catalog_rows(InheritsRelationId, index, column, relid, snapshot, [&](HeapTuple tuple, TupleDesc) {
    result = lappend_oid(result, reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple))->*other);
  });
  return result;
}

RelationRow read_class(HeapTuple tuple) {
  const Form_pg_class form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
  return {true,
          form->relkind,
          form->relispartition,
          form->relrowsecurity,
          form->relforcerowsecurity,
          form->relhasrules,
          form->relhassubclass,
          form->relnatts,
          form->relowner,
          form->relnamespace,
          form->relname};
}

}  // namespace

Snapshot snapshot_before_transaction() {
  Snapshot snapshot = RegisterSnapshot(GetNonHistoricCatalogSnapshot(RelationRelationId));
  snapshot->curcid = FirstCommandId;
  return snapshot;
}

void release_snapshot(Snapshot snapshot) { UnregisterSnapshot(snapshot); }

RelationRow relation_row(Oid relid, Snapshot snapshot) {
  RelationRow result = {};
  if (snapshot == nullptr) {
    with_syscache(RELOID, ObjectIdGetDatum(relid), [&](HeapTuple tuple) { result = read_class(tuple); });
    return result;
  }
  for_catalog_rows(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relid, snapshot,
                   [&](HeapTuple tuple, TupleDesc) { result = read_class(tuple); });
  return result;
}

const char *find_schema_name(Oid schema, Snapshot snapshot) {
  if (snapshot == nullptr) return get_namespace_name(schema);
  const char *result = nullptr;
  for_catalog_rows(NamespaceRelationId, NamespaceOidIndexId, Anum_pg_namespace_oid, schema, snapshot,
                   [&](HeapTuple tuple, TupleDesc) {
                     result = pstrdup(NameStr(reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->nspname));
                   });
  return result;
}

List *user_relations(const char *kinds) {
  List *result = NIL;
  for_all_rows(RelationRelationId, [&](HeapTuple tuple, TupleDesc) {
    const Form_pg_class form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    if (strchr(kinds, form->relkind) != nullptr && form->relpersistence != RELPERSISTENCE_TEMP &&
        (form->relnamespace >= FirstNormalObjectId || form->relnamespace == PG_PUBLIC_NAMESPACE)) {
      result = lappend_oid(result, form->oid);
    }
  });
  return result;
}

List *array_texts(Datum array) {
  Datum *elements;
  bool *nulls;
  int count;
  deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
  List *texts = NIL;
  for (int i = 0; i < count; i++) texts = lappend(texts, nulls[i] ? nullptr : TextDatumGetCString(elements[i]));
  return texts;
}

AttrNumber attribute_named(Oid relid, const char *name, Snapshot snapshot) {
  if (snapshot == nullptr) return get_attnum(relid, name);
  AttrNumber result = InvalidAttrNumber;
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  ScanKeyInit(&keys[1], Anum_pg_attribute_attname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
  with_row(AttributeRelidNameIndexId, snapshot, keys, [&](Form_pg_attribute form) { result = form->attnum; });
  return result;
}

const char *find_attribute_name(Oid relid, AttrNumber attribute, Snapshot snapshot) {
  if (snapshot == nullptr) return get_attname(relid, attribute, true);
  const char *result = nullptr;
  with_attribute(relid, attribute, snapshot, [&](Form_pg_attribute form) {
    result = form->attisdropped ? nullptr : pstrdup(NameStr(form->attname));
  });
  return result;
}

bool is_not_null(Oid relid, AttrNumber attribute, Snapshot snapshot) {
  bool result = false;
  with_attribute(relid, attribute, snapshot, [&](Form_pg_attribute form) { result = form->attnotnull; });
  if (!result || !compat::not_null_may_be_unproven) return result;
  const auto read = [&](HeapTuple tuple, TupleDesc description) {
    constexpr char not_null = 'n';
    const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
    if (form->contype != not_null || form->convalidated) return;
    bool isnull;
    const ArrayType *key = DatumGetArrayTypeP(heap_getattr(tuple, Anum_pg_constraint_conkey, description, &isnull));
    if (reinterpret_cast<const int16 *>(ARR_DATA_PTR(key))[0] == attribute) result = false;
  };
  for_catalog_rows(ConstraintRelationId, ConstraintRelidTypidNameIndexId, Anum_pg_constraint_conrelid, relid, snapshot,
                   read);
  return result;
}

Oid function_named(Oid schema, const char *name, const Oid *types, int count) {
  oidvector *arguments = buildoidvector(types, count);
  const Oid result = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
                                     PointerGetDatum(arguments), ObjectIdGetDatum(schema));
  pfree(arguments);
  return result;
}

bool in_trusted_extension(Oid catalog, Oid object) {
  const Oid extension = getExtensionOfObject(catalog, object);
  if (!OidIsValid(extension)) return false;
  Oid owner = InvalidOid;
  for_catalog_rows(
      ExtensionRelationId, ExtensionOidIndexId, Anum_pg_extension_oid, extension, nullptr,
      [&](HeapTuple tuple, TupleDesc) { owner = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extowner; });
  return OidIsValid(owner) && superuser_arg(owner);
}

List *parents_of(Oid relid, Snapshot snapshot) {
  return inherits_oids(InheritsRelidSeqnoIndexId, Anum_pg_inherits_inhrelid, relid, snapshot,
                       &FormData_pg_inherits::inhparent);
}

List *children_of(Oid relid, Snapshot snapshot) {
  return inherits_oids(InheritsParentIndexId, Anum_pg_inherits_inhparent, relid, snapshot,
                       &FormData_pg_inherits::inhrelid);
}

bool is_enabled_and_forced(Oid relid) {
  const RelationRow relation = relation_row(relid);
  return relation.row_security && relation.forced;
}

namespace {

// A name, or the number of what has none any more.
const char *name_or_number(const char *name, Oid oid) { return name != nullptr ? name : psprintf("%u", oid); }

}  // namespace

const char *role_name(Oid role) { return name_or_number(GetUserNameFromId(role, true), role); }
const char *schema_name(Oid schema) { return name_or_number(get_namespace_name(schema), schema); }
const char *function_name(Oid function) { return name_or_number(get_func_name(function), function); }
const char *access_method_name(Oid method) { return name_or_number(get_am_name(method), method); }
const char *database_name() { return name_or_number(get_database_name(MyDatabaseId), MyDatabaseId); }
const char *unqualified_name(Oid relid) { return name_or_number(get_rel_name(relid), relid); }
const char *schema_name_of(Oid relid) { return schema_name(get_rel_namespace(relid)); }

const char *attribute_name(Oid relid, AttrNumber attribute, Snapshot snapshot) {
  const char *name = find_attribute_name(relid, attribute, snapshot);
  return name != nullptr ? name : psprintf("%d", attribute);
}

const char *relation_name(Oid relid) {
  const char *name = get_rel_name(relid);
  if (name == nullptr) return name_or_number(nullptr, relid);
  const Oid schema = get_rel_namespace(relid);
  return quote_qualified_identifier(isAnyTempNamespace(schema) ? "pg_temp" : schema_name(schema), name);
}

const char *relation_names(const List *relids) {
  StringInfoData names;
  initStringInfo(&names);
  const ListCell *cell;
  foreach (cell, relids) appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", relation_name(lfirst_oid(cell)));
  return names.data;
}

}  // namespace rls_tenant
