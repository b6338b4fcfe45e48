// The rules of a tenant table, each a look into the catalogs. Knows of no trigger and no command.

#include "policy/table_faults.hpp"

#include "postgres/condition.hpp"
#include "context/own_functions.hpp"
#include "policy/policy_faults.hpp"
#include "policy/public_rows.hpp"

namespace rls_tenant {

namespace {

// The list of faults while it grows.
struct Report {
  const Tenancy *table;
  Oid relid;
  Snapshot snapshot;
  AttrNumber attribute;  // the tenant's
  List *faults;
};

void add(Report *report, const char *rule, const char *detail, const char *remedy) {
  Fault *fault = static_cast<Fault *>(palloc(sizeof(Fault)));
  *fault = {rule, detail, remedy};
  report->faults = lappend(report->faults, fault);
}

// ALTER TABLE … and what to do with it.
const char *alter(Oid relid, const char *action) {
  return psprintf("ALTER TABLE %s %s;", relation_name(relid), action);
}

const char *type_for_new_column() { return id_type_name(setting_type(Setting::tenant).value_or(IdType::uuid)); }

void check_column(Report *report) {
  const AttrNumber attribute = report->attribute;
  const char *tenant_column = default_tenant_column();
  if (attribute == InvalidAttrNumber) {
    add(report, "no_tenant_column", psprintf("there is no column %s", quote_identifier(tenant_column)),
        psprintf("ALTER TABLE %s ADD COLUMN %s %s; /* UPDATE the rows that are there */ %s",
                 relation_name(report->relid), quote_identifier(tenant_column), type_for_new_column(),
                 protect_call(report->relid, attribute)));
    return;
  }
  if (is_not_null(report->relid, attribute, report->snapshot)) return;
  const char *column = quote_identifier(attribute_name(report->relid, attribute, report->snapshot));
  add(report, "tenant_nullable", psprintf("column %s allows NULL", column),
      alter(report->relid, psprintf("ALTER COLUMN %s SET NOT NULL", column)));
}

void check_row_security(Report *report) {
  if (!report->table->relation.row_security) {
    if (report->table->policies != NIL) {
      add(report, "rls_off_with_policies", "it has policies, but row-level security is not enabled",
          alter(report->relid, "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"));
    } else if (report->attribute != InvalidAttrNumber) {
      add(report, "rls_off", "row-level security is not enabled", protect_call(report->relid, report->attribute));
    }
  } else if (!report->table->relation.forced) {
    add(report, "rls_not_forced", "row-level security is not forced, so the owner passes it by",
        alter(report->relid, "FORCE ROW LEVEL SECURITY"));
  }
}

// Called for tables without tenant ancestor: what a parent that is no tenant table shows, no policy of the child hides.
void check_parents(Report *report) {
  const List *parents = report->table->parents;
  if (parents == NIL || !report->table->is_tenant_table) return;
  const Oid parent = linitial_oid(parents);
  const char *detach =
      report->table->relation.is_partition
          ? psprintf("ALTER TABLE %s DETACH PARTITION %s;", relation_name(parent), relation_name(report->relid))
          : alter(report->relid, psprintf("NO INHERIT %s", relation_name(parent)));
  add(report, "unlike_parent",
      psprintf("its rows are also read through %s, which is no tenant table", relation_name(parent)), detach);
}

// What of a policy lets other tenants' rows through, in words; empty where there is nothing to quote.
const char *open_part(const Report *report, const Policy *policy) {
  const AttrNumber attribute = report->attribute;
  const bool by_check = policy->qual == nullptr || confines(policy->qual, attribute);
  const Node *open = open_branch(by_check ? policy->check : policy->qual, attribute);
  Relation relation = open != nullptr ? try_relation_open(report->relid, AccessShareLock) : nullptr;
  if (relation == nullptr) return "";
  const char *text = deparse_condition(relation, const_cast<Node *>(open));
  relation_close(relation, AccessShareLock);
  return psprintf(": %s %s", by_check ? "WITH CHECK" : "USING", text);
}

// is_part: rows are reached through a parent, so the table itself may show nothing.
void check_policies(Report *report, bool is_part) {
  List *policies = report->table->policies;
  const AttrNumber attribute = report->attribute;
  if (policies == NIL) {
    if (report->table->relation.row_security && !is_part)
      add(report, "no_policy", "row-level security is enabled, but there is no policy",
          protect_call(report->relid, attribute));
    return;
  }
  const uint32 floor = floor_commands(policies, attribute, true);
  const uint32 partial_floor = floor_commands(policies, attribute, false);
  bool any_permissive = false;
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (!policy->permissive) continue;
    any_permissive = true;
    const uint32 open = policy->commands & ~floor & ~confined_commands(policy, attribute);
    if (open == 0) continue;
    const char *remedy = attribute != InvalidAttrNumber
                             ? protect_call(report->relid, attribute)
                             : psprintf("DROP POLICY %s ON %s; /* or confine it */", quote_identifier(policy->name),
                                        relation_name(report->relid));
    if ((open & ~partial_floor) == 0) {
      add(report, "floor_not_public",
          psprintf("policy \"%s\" FOR %s leaves rows open to roles that no RESTRICTIVE policy names", policy->name,
                   command_words(open)),
          remedy);
    } else if (confines(policy->qual, attribute)) {
      add(report, "check_wider",
          psprintf(
              "policy \"%s\" FOR %s lets rows in that it would not show%s, and no RESTRICTIVE policy keeps them out",
              policy->name, command_words(open), open_part(report, policy)),
          remedy);
    } else if (is_always_true(policy)) {
      add(report, "always_true",
          psprintf("policy \"%s\" FOR %s is true for every row, and no RESTRICTIVE policy confines them", policy->name,
                   command_words(open)),
          remedy);
    } else if (matches_missing_context(
                   open_branch(policy->qual != nullptr ? policy->qual : policy->check, attribute))) {
      add(report, "null_matches",
          psprintf("policy \"%s\" FOR %s lets rows through when there is no context%s, and no RESTRICTIVE policy "
                   "confines them",
                   policy->name, command_words(open), open_part(report, policy)),
          remedy);
    } else {
      add(report, "not_confined",
          psprintf("policy \"%s\" FOR %s does not confine rows to the tenant%s, nor does a RESTRICTIVE policy",
                   policy->name, command_words(open), open_part(report, policy)),
          remedy);
    }
  }
  if (!any_permissive && !is_part) {
    add(report, "only_restrictive", "it has RESTRICTIVE policies only, so that no row is ever visible",
        attribute != InvalidAttrNumber
            ? protect_call(report->relid, attribute)
            : psprintf("CREATE POLICY tenant_access ON %s USING (true);", relation_name(report->relid)));
  }
}

}  // namespace

const char *protect_call(Oid relid, AttrNumber attribute, const char *more) {
  const char *relation = quote_literal_cstr(relation_name(relid));
  const char *column = attribute != InvalidAttrNumber ? get_attname(relid, attribute, true) : nullptr;
  if (column == nullptr || strcmp(column, default_tenant_column()) == 0)
    return psprintf("SELECT rls_tenant.protect(%s%s);", relation, more);
  return psprintf("SELECT rls_tenant.protect(%s, %s%s);", relation, quote_literal_cstr(column), more);
}

List *table_faults(const Tenancy &table) {
  Report report = {&table, table.relid, table.snapshot, table.attribute, NIL};
  const RelationRow &relation = table.relation;
  if (!relation.found || (relation.kind != RELKIND_RELATION && relation.kind != RELKIND_PARTITIONED_TABLE)) return NIL;
  if (table.should_be && relation.is_partition) return NIL;  // its partitioned table answers for it
  if (OidIsValid(table.ancestor)) {
    if (!relation.row_security || !relation.forced) {
      add(&report, "child_unprotected", "it is part of a tenant table, but open to those who name it directly",
          alter(table.relid, "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"));
    }
    check_policies(&report, true);
    return report.faults;
  }
  if (relation.is_partition && table.policies == NIL) return NIL;  // its partitioned table answers for it
  check_parents(&report);
  if (relation.is_partition) return report.faults;
  // A table without tenant column can belong to tenants through another.
  const bool says_whose = table.attribute != InvalidAttrNumber || has_confining_policy(table);
  if (table.attribute != InvalidAttrNumber || !says_whose) check_column(&report);
  check_row_security(&report);
  if (says_whose) check_policies(&report, false);
  return report.faults;
}

}  // namespace rls_tenant
