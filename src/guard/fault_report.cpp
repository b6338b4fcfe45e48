// One message about all faults of a transaction, with the statements that mend them.

#include "guard/fault_report.hpp"

#include "guard/ddl_notes.hpp"
#include "guard/refusals.hpp"
#include "postgres/catalog.hpp"
#include "policy/fault.hpp"

namespace rls_tenant {

namespace {

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

int compare_names(const ListCell *left, const ListCell *right) {
  return strcmp(static_cast<const FaultyRelation *>(lfirst(left))->name,
                static_cast<const FaultyRelation *>(lfirst(right))->name);
}

// What is wrong with one relation.
void append_faults(StringInfo text, const FaultyRelation *relation) {
  const ListCell *cell;
  foreach (cell, relation->faults) {
    const Fault *fault = static_cast<const Fault *>(lfirst(cell));
    appendStringInfo(text, "%s%s: %s: %s\n    %s", text->len > 0 ? "\n" : "", relation->name, fault->rule,
                     fault->detail, fault->remedy);
  }
  if (relation->problem != nullptr)
    appendStringInfo(text, "\n%s: cannot be protected: %s", relation->name, relation->problem);
}

}  // namespace

void report_faults(List *relations) {
  list_sort(relations, compare_names);
  StringInfoData detail;
  initStringInfo(&detail);
  const ListCell *cell;
  foreach (cell, relations) append_faults(&detail, static_cast<const FaultyRelation *>(lfirst(cell)));
  const FaultyRelation *first = static_cast<const FaultyRelation *>(linitial(relations));
  const char *message = list_length(relations) == 1
                            ? psprintf("%s %s does not keep tenants apart", kind_word(first->relid), first->name)
                            : psprintf("%d relations do not keep tenants apart", list_length(relations));
  const char *exempt =
      psprintf("SELECT rls_tenant.exempt(%s, %s, 'reason');", quote_literal_cstr(schema_name_of(first->relid)),
               pattern_literal(unqualified_name(first->relid)));
  remember_refusal(message, detail.data);
  ereport(
      guard_mode() == mode_warn ? WARNING : ERROR,
      (errcode(ERRCODE_INVALID_TABLE_DEFINITION), errmsg_internal("%s", message), errdetail_internal("%s", detail.data),
       errhint("Run these statements in the same transaction, before COMMIT; without BEGIN each statement is a "
               "transaction of its own. What belongs to no tenant: %s",
               exempt)));
}

}  // namespace rls_tenant
