// Reading rls_tenant.exemption. By a scan of the table, not by SQL: whoever commits DDL needs no right on it.

#include "policy/exemptions.hpp"

#include "context/own_functions.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

// The columns of the table, in the order of the install script.
enum Column : AttrNumber { column_schema = 1, column_pattern, column_rules, column_baseline = 7 };

struct Exemption {
  const char *schema;
  Datum pattern;  // text, for LIKE
  List *rules;    // of strings; NIL: all
  bool baseline;
};

// A NULL among them is the name of no rule. (A list of nothing else would waive all.)
List *rule_names(Datum array) {
  List *names = array_texts(array);
  ListCell *cell;
  foreach (cell, names) {
    if (lfirst(cell) == nullptr) lfirst(cell) = pstrdup("");
  }
  return names;
}

bool waives(const Exemption *exemption, const char *rule) {
  if (exemption->rules == NIL) return true;
  const ListCell *cell;
  foreach (cell, exemption->rules) {
    if (strcmp(static_cast<const char *>(lfirst(cell)), rule) == 0) return true;
  }
  return false;
}

}  // namespace

struct Exemptions {
  List *list;
};

const Exemptions *load_exemptions() {
  const Oid schema = get_namespace_oid(extension_schema, true);
  const Oid relid = OidIsValid(schema) ? get_relname_relid("exemption", schema) : InvalidOid;
  if (!OidIsValid(relid)) return nullptr;
  Exemptions *result = static_cast<Exemptions *>(palloc0(sizeof(Exemptions)));
  for_all_rows(relid, [&](HeapTuple tuple, TupleDesc row) {
    bool isnull;
    Exemption *exemption = static_cast<Exemption *>(palloc0(sizeof(Exemption)));
    exemption->schema = TextDatumGetCString(heap_getattr(tuple, column_schema, row, &isnull));
    exemption->pattern = CStringGetTextDatum(TextDatumGetCString(heap_getattr(tuple, column_pattern, row, &isnull)));
    const Datum rules = heap_getattr(tuple, column_rules, row, &isnull);
    if (!isnull) exemption->rules = rule_names(rules);
    exemption->baseline = DatumGetBool(heap_getattr(tuple, column_baseline, row, &isnull));
    result->list = lappend(result->list, exemption);
  });
  return result;
}

namespace {

// Whether a pattern is a name, as exempt() was given it or with its wildcards escaped.
bool is_name(Datum pattern, const char *name) {
  const char *next = TextDatumGetCString(pattern);
  if (strcmp(next, name) == 0) return true;
  for (; *next != '\0'; next++, name++) {
    if (*next == '%' || *next == '_') return false;
    if (*next == '\\' && next[1] != '\0') next++;
    if (*next != *name) return false;
  }
  return *name == '\0';
}

bool covers(const Exemption *exemption, const char *name, Exempt how) {
  if (how == Exempt::by_name) return is_name(exemption->pattern, name);
  if (how == Exempt::for_good && exemption->baseline) return false;
  return DatumGetBool(
      DirectFunctionCall2Coll(textlike, C_COLLATION_OID, CStringGetTextDatum(name), exemption->pattern));
}

}  // namespace

bool is_exempt(const Exemptions *exemptions, const char *schema, const char *name, const char *rule, Exempt how) {
  if (schema == nullptr || name == nullptr) return false;
  const ListCell *cell;
  foreach (cell, exemptions->list) {
    const Exemption *exemption = static_cast<const Exemption *>(lfirst(cell));
    if (strcmp(exemption->schema, schema) == 0 && waives(exemption, rule) && covers(exemption, name, how)) return true;
  }
  return false;
}

bool is_exempt(const Exemptions *exemptions, Oid relid, const char *rule, Exempt how) {
  if (exemptions->list == NIL || get_rel_relkind(relid) == '\0') return false;
  return is_exempt(exemptions, schema_name_of(relid), unqualified_name(relid), rule, how);
}

}  // namespace rls_tenant
