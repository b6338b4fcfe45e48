// Which rules a relation is judged by: a table's own, and what can lead past the policies of tenant tables.

#include "policy/relation_faults.hpp"

#include "policy/fault.hpp"
#include "policy/foreign_key_faults.hpp"
#include "policy/table_faults.hpp"
#include "policy/view_faults.hpp"

namespace rls_tenant {

namespace {

// What a rewrite rule makes of a statement runs with the rights of the table's owner.
void check_rules(List **faults, const Tenancy &table) {
  if (!table.relation.has_rules) return;
  for_catalog_rows(RewriteRelationId, RewriteRelRulenameIndexId, Anum_pg_rewrite_ev_class, table.relid,
                   table.reader->snapshot, [&](HeapTuple tuple, TupleDesc) {
                     const char *name =
                         quote_identifier(NameStr(reinterpret_cast<Form_pg_rewrite>(GETSTRUCT(tuple))->rulename));
                     add_fault(faults, RT_RULE(rule_rewrite),
                               psprintf("rule %s rewrites statements, with the rights of the table's owner", name),
                               psprintf("DROP RULE %s ON %s; /* use a trigger */", name, relation_name(table.relid)));
                   });
}

}  // namespace

List *relation_faults(const Tenancy &tenancy) {
  CHECK_FOR_INTERRUPTS();
  switch (tenancy.relation.kind) {
    case RELKIND_RELATION:
    case RELKIND_PARTITIONED_TABLE: {
      List *faults = table_faults(tenancy);
      if (!keeps_tenants(tenancy)) {
        if (tenancy.relation.has_rules) check_rule_owner(&faults, tenancy);
        return faults;
      }
      check_foreign_keys(&faults, tenancy);
      check_rules(&faults, tenancy);
      return faults;
    }
    case RELKIND_VIEW:
    case RELKIND_MATVIEW:
      return view_faults(tenancy);
    default:
      return NIL;
  }
}

}  // namespace rls_tenant
