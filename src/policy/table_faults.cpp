// The rules of a tenant table, each a look into the catalogs. Knows of no trigger and no command.

#include "policy/table_faults.hpp"

#include "context/context.hpp"
#include "policy/confinement.hpp"
#include "policy/expression.hpp"
#include "policy/fault.hpp"
#include "policy/public_rows.hpp"
#include "postgres/condition.hpp"

namespace rls_tenant {

namespace {

// ALTER TABLE … and what to do with it.
const char *alter(Oid relid, const char *action) {
  return psprintf("ALTER TABLE %s %s;", relation_name(relid), action);
}

const char *enable_and_force(Oid relid) { return alter(relid, "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"); }

const char *type_for_new_column() { return id_type_name(setting_type(Setting::tenant).value_or(IdType::uuid)); }

void check_column(List **faults, const Tenancy &table) {
  if (table.attribute == InvalidAttrNumber) {
    const char *column = quote_identifier(default_tenant_column());
    add_fault(
        faults, RT_RULE(no_tenant_column), psprintf("there is no column %s", column),
        psprintf("ALTER TABLE %s ADD COLUMN %s %s; /* UPDATE the rows that are there */ %s", relation_name(table.relid),
                 column, type_for_new_column(), protect_call(table.relid, table.attribute)));
    return;
  }
  const Snapshot snapshot = table.reader->snapshot;
  if (is_not_null(table.relid, table.attribute, snapshot)) return;
  const char *column = quote_identifier(attribute_name(table.relid, table.attribute, snapshot));
  add_fault(faults, RT_RULE(tenant_nullable), psprintf("column %s allows NULL", column),
            alter(table.relid, psprintf("ALTER COLUMN %s SET NOT NULL", column)));
}

void check_row_security(List **faults, const Tenancy &table) {
  if (!table.relation.row_security) {
    if (table.policies != NIL) {
      add_fault(faults, RT_RULE(rls_off_with_policies), "it has policies, but row-level security is not enabled",
                enable_and_force(table.relid));
    } else if (table.attribute != InvalidAttrNumber) {
      add_fault(faults, RT_RULE(rls_off), "row-level security is not enabled",
                protect_call(table.relid, table.attribute));
    }
  } else if (!table.relation.forced) {
    add_fault(faults, RT_RULE(rls_not_forced), "row-level security is not forced, so it does not apply to the owner",
              alter(table.relid, "FORCE ROW LEVEL SECURITY"));
  }
}

// The statement that ends a relation's descent from a parent.
const char *detach(const Tenancy &child, Oid parent) {
  return child.relation.is_partition
             ? psprintf("ALTER TABLE %s DETACH PARTITION %s;", relation_name(parent), relation_name(child.relid))
             : alter(child.relid, psprintf("NO INHERIT %s", relation_name(parent)));
}

// What an ancestor that is not a tenant table shows, no policy of the table hides: be it one of several, or further up.
void check_ancestors(List **faults, const Tenancy &table, const Tenancy &descendant) {
  check_stack_depth();
  const ListCell *cell;
  foreach (cell, descendant.parents) {
    const Tenancy &parent = tenancy_of(table.reader, lfirst_oid(cell));
    if (keeps_tenants(parent) && !parent.should_be) {
      check_ancestors(faults, table, parent);
      continue;
    }
    add_fault(faults, RT_RULE(unlike_parent),
              psprintf("its rows are also read through %s, which is not a tenant table", relation_name(parent.relid)),
              detach(descendant, parent.relid));
  }
}

// What of a policy lets other tenants' rows through.
struct OpenPart {
  const char *clause;
  const Node *expression;  // nullptr: there is nothing to quote
  const char *text;        // in words; empty where there is nothing to quote, and for what was before
};

OpenPart open_part(const Tenancy &table, const Policy *policy) {
  const bool by_check = policy->qual == nullptr || confines(policy->qual, table.attribute);
  const char *clause = by_check ? "WITH CHECK" : "USING";
  const Node *open = open_branch(by_check ? policy->check : policy->qual, table.attribute);
  const char *text = nullptr;
  if (table.reader->snapshot == nullptr) text = deparse_condition(table.relid, const_cast<Node *>(open));
  return {clause, open, text != nullptr ? psprintf(": %s %s", clause, text) : ""};
}

// A permissive policy that lets rows of other tenants through for some commands: which rule it breaks, and how. named:
// commands for which RESTRICTIVE policies confine some roles, but not all.
void add_open_policy(List **faults, const Tenancy &table, const Policy *policy, uint32 open, uint32 named) {
  const char *words = psprintf("policy \"%s\" FOR %s", policy->name, command_words(open));
  const OpenPart part = open_part(table, policy);
  const char *rule, *detail;
  if ((open & ~named) == 0) {
    rule = RT_RULE(floor_not_public);
    detail = psprintf("%s leaves rows open to roles that no RESTRICTIVE policy names", words);
  } else if (confines(policy->qual, table.attribute)) {
    rule = RT_RULE(check_wider);
    detail = psprintf("%s lets rows in that it would not show%s, and no RESTRICTIVE policy keeps them out", words,
                      part.text);
  } else if (is_always_true(policy)) {
    rule = RT_RULE(always_true);
    detail = psprintf("%s is true for every row, and no RESTRICTIVE policy confines them", words);
  } else if (matches_missing_context(
                 open_branch(policy->qual != nullptr ? policy->qual : policy->check, table.attribute))) {
    rule = RT_RULE(null_matches);
    detail = psprintf("%s lets rows through when there is no context%s, and no RESTRICTIVE policy confines them", words,
                      part.text);
  } else {
    rule = RT_RULE(not_confined);
    detail = psprintf("%s does not confine rows to the tenant%s, nor does a RESTRICTIVE policy", words, part.text);
  }
  const char *remedy = table.attribute != InvalidAttrNumber
                           ? protect_call(table.relid, table.attribute)
                           : psprintf("DROP POLICY %s ON %s; /* or confine it */", quote_identifier(policy->name),
                                      relation_name(table.relid));
  const bool quotes = strcmp(rule, RT_RULE(floor_not_public)) != 0 && strcmp(rule, RT_RULE(always_true)) != 0;
  add_fault_of(faults,
               {rule, detail, remedy, psprintf("%s %s", words, part.clause), quotes ? part.expression : nullptr});
}

// Of a partition or child of a tenant table: rows are reached through the parent, so it may show nothing itself.
void check_policies(List **faults, const Tenancy &table) {
  const AttrNumber attribute = table.attribute;
  const bool must_show = !OidIsValid(table.ancestor);
  if (table.policies == NIL) {
    if (table.relation.row_security && must_show)
      add_fault(faults, RT_RULE(no_policy), "row-level security is enabled, but there is no policy",
                protect_call(table.relid, attribute));
    return;
  }
  const uint32 floor = floor_commands(table.policies, attribute, true);
  const uint32 named = floor_commands(table.policies, attribute, false);
  bool any_permissive = false;
  const ListCell *cell;
  foreach (cell, table.policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (!policy->permissive) continue;
    any_permissive = true;
    const uint32 open = policy->commands & ~floor & ~confined_commands(policy, attribute);
    if (open != 0) add_open_policy(faults, table, policy, open, named);
  }
  if (!any_permissive && must_show) {
    add_fault(faults, RT_RULE(only_restrictive), "it has RESTRICTIVE policies only, so that no row is ever visible",
              attribute != InvalidAttrNumber
                  ? protect_call(table.relid, attribute)
                  : psprintf("CREATE POLICY tenant_access ON %s USING (true);", relation_name(table.relid)));
  }
}

}  // namespace

const char *protect_call(Oid relid, AttrNumber attribute, const char *more) {
  const char *relation = quote_literal_cstr(relation_name(relid));
  const char *column = attribute != InvalidAttrNumber ? find_attribute_name(relid, attribute) : nullptr;
  if (column == nullptr || strcmp(column, default_tenant_column()) == 0)
    return psprintf("SELECT rls_tenant.protect(%s%s);", relation, more);
  return psprintf("SELECT rls_tenant.protect(%s, %s%s);", relation, quote_literal_cstr(column), more);
}

List *table_faults(const Tenancy &table) {
  List *faults = NIL;
  const RelationRow &relation = table.relation;
  if (!relation.found || (relation.kind != RELKIND_RELATION && relation.kind != RELKIND_PARTITIONED_TABLE)) return NIL;
  if (table.should_be && relation.is_partition) return NIL;  // its partitioned table answers for it
  if (OidIsValid(table.ancestor)) {
    if (!relation.row_security || !relation.forced) {
      add_fault(&faults, RT_RULE(child_unprotected),
                psprintf("it is a %s of a tenant table, but open to those who name it directly",
                         relation.is_partition ? "partition" : "child"),
                enable_and_force(table.relid));
    }
    check_ancestors(&faults, table, table);
    check_policies(&faults, table);
    return faults;
  }
  if (relation.is_partition && table.policies == NIL) return NIL;  // its partitioned table answers for it
  if (table.is_tenant_table) check_ancestors(&faults, table, table);
  if (relation.is_partition) return faults;
  // A table without tenant column can belong to tenants through another.
  const bool says_whose = table.attribute != InvalidAttrNumber || has_confining_policy(table);
  if (table.attribute != InvalidAttrNumber || !says_whose) check_column(&faults, table);
  check_row_security(&faults, table);
  if (says_whose) check_policies(&faults, table);
  return faults;
}

}  // namespace rls_tenant
