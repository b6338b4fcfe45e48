// The rules of a tenant table, each a look into the catalogs. Knows of no trigger and no command.

#include "table_rules.hpp"

#include "condition.hpp"
#include "functions.hpp"

namespace rls_tenant {

namespace {

char *tenant_column;

// The setting's value must be able to name a column.
bool check_tenant_column(char **newval, void **, GucSource) {
  const size_t length = strlen(*newval);
  if (length > 0 && length < NAMEDATALEN) return true;
  GUC_check_errdetail("The name of a column has 1 to %d bytes.", NAMEDATALEN - 1);
  return false;
}

// The list of faults while it grows.
struct Report {
  Oid relid;
  Image image;
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

const char *type_for_new_column() {
  switch (setting_type(Setting::tenant)) {
    case ValueType::bigint:
      return "bigint";
    case ValueType::text:
      return "text";
    default:
      return "uuid";
  }
}

void check_column(Report *report, AttrNumber attribute) {
  if (attribute == InvalidAttrNumber) {
    add(report, "no_tenant_column", psprintf("there is no column %s", quote_identifier(tenant_column)),
        psprintf("ALTER TABLE %s ADD COLUMN %s %s; /* UPDATE the rows that are there */ %s",
                 relation_name(report->relid), quote_identifier(tenant_column), type_for_new_column(),
                 protect_call(report->relid, attribute)));
    return;
  }
  if (is_not_null(report->relid, attribute, report->image)) return;
  const char *column = quote_identifier(attribute_name(report->relid, attribute, report->image));
  add(report, "tenant_nullable", psprintf("column %s allows NULL", column),
      alter(report->relid, psprintf("ALTER COLUMN %s SET NOT NULL", column)));
}

void check_row_security(Report *report, AttrNumber attribute, bool has_policies, bool enabled, bool forced) {
  if (!enabled) {
    if (has_policies) {
      add(report, "rls_off_with_policies", "it has policies, but row-level security is not enabled",
          alter(report->relid, "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"));
    } else if (attribute != InvalidAttrNumber) {
      add(report, "rls_off", "row-level security is not enabled", protect_call(report->relid, attribute));
    }
  } else if (!forced) {
    add(report, "rls_not_forced", "row-level security is not forced, so the owner passes it by",
        alter(report->relid, "FORCE ROW LEVEL SECURITY"));
  }
}

bool has_confining_policy(List *policies, AttrNumber attribute, bool restrictive_only);

// Called for tables without tenant ancestor: what a parent that is no tenant table shows, no policy of the child hides.
void check_parents(Report *report, List *policies, AttrNumber attribute, bool enabled) {
  List *parents = parents_of(report->relid, report->image);
  if (parents == NIL || !enabled || !has_confining_policy(policies, attribute, false)) return;
  const Oid parent = linitial_oid(parents);
  const char *detach =
      relation_image(report->relid, report->image).is_partition
          ? psprintf("ALTER TABLE %s DETACH PARTITION %s;", relation_name(parent), relation_name(report->relid))
          : alter(report->relid, psprintf("NO INHERIT %s", relation_name(parent)));
  add(report, "unlike_parent",
      psprintf("its rows are also read through %s, which is no tenant table", relation_name(parent)), detach);
}

// The commands that a RESTRICTIVE policy confines for every role.
uint32 floor_of(List *policies, AttrNumber attribute, bool to_public) {
  uint32 result = 0;
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (!policy->permissive && policy->to_public == to_public) result |= confined_commands(policy, attribute);
  }
  return result;
}

// What of a policy lets other tenants' rows through, in words; empty where there is nothing to quote.
const char *open_part(const Report *report, const Policy *policy, AttrNumber attribute) {
  const bool by_check = policy->qual == nullptr || confines(policy->qual, attribute);
  const Node *open = open_branch(by_check ? policy->check : policy->qual, attribute);
  Relation relation = open != nullptr ? try_relation_open(report->relid, AccessShareLock) : nullptr;
  if (relation == nullptr) return "";
  const char *text = deparse_condition(relation, const_cast<Node *>(open));
  relation_close(relation, AccessShareLock);
  return psprintf(": %s %s", by_check ? "WITH CHECK" : "USING", text);
}

// is_part: rows are reached through a parent, so the table itself may show nothing.
void check_policies(Report *report, List *policies, AttrNumber attribute, bool enabled, bool is_part) {
  const char *remedy = protect_call(report->relid, attribute);
  if (policies == NIL) {
    if (enabled && !is_part) add(report, "no_policy", "row-level security is enabled, but there is no policy", remedy);
    return;
  }
  const uint32 floor = floor_of(policies, attribute, true);
  const uint32 partial_floor = floor_of(policies, attribute, false);
  bool any_permissive = false;
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (!policy->permissive) continue;
    any_permissive = true;
    const uint32 open = policy->commands & ~floor & ~confined_commands(policy, attribute);
    if (open == 0) continue;
    if ((open & ~partial_floor) == 0) {
      add(report, "floor_not_public",
          psprintf("policy \"%s\" FOR %s leaves rows open to roles that no RESTRICTIVE policy names", policy->name,
                   command_words(open)),
          remedy);
    } else if (is_always_true(policy)) {
      add(report, "always_true",
          psprintf("policy \"%s\" FOR %s is true for every row, and no RESTRICTIVE policy confines them", policy->name,
                   command_words(open)),
          remedy);
    } else {
      add(report, "not_confined",
          psprintf("policy \"%s\" FOR %s does not confine rows to the tenant%s, nor does a RESTRICTIVE policy",
                   policy->name, command_words(open), open_part(report, policy, attribute)),
          remedy);
    }
  }
  if (!any_permissive && !is_part) {
    add(report, "only_restrictive", "it has RESTRICTIVE policies only, so that no row is ever visible", remedy);
  }
}

// Whether a policy speaks of the attribute at all: false confines every attribute and says nothing of any.
bool names(const Policy *policy, AttrNumber attribute) {
  Bitmapset *used = nullptr;
  pull_varattnos(policy->qual, 1, &used);
  pull_varattnos(policy->check, 1, &used);
  return bms_is_member(attribute - FirstLowInvalidHeapAttributeNumber, used);
}

// Whether some policy confines some command to the attribute.
bool has_confining_policy(List *policies, AttrNumber attribute, bool restrictive_only) {
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (restrictive_only && policy->permissive) continue;
    if (names(policy, attribute) && (confines(policy->qual, attribute) || confines(policy->check, attribute)))
      return true;
  }
  return false;
}

// Whether a RESTRICTIVE policy for all roles and commands says that the attribute is the tenant's.
bool has_whole_floor(List *policies, AttrNumber attribute) {
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (!policy->permissive && policy->to_public && names(policy, attribute) &&
        confined_commands(policy, attribute) == all_commands) {
      return true;
    }
  }
  return false;
}

// The ancestor, where those that were seen lead to none: parents can share theirs.
Oid unseen_tenant_ancestor(Oid relid, Image image, List **seen) {
  check_stack_depth();
  CHECK_FOR_INTERRUPTS();
  const ListCell *cell;
  List *parents = parents_of(relid, image);
  foreach (cell, parents) {
    const Oid parent = lfirst_oid(cell);
    if (list_member_oid(*seen, parent)) continue;
    *seen = lappend_oid(*seen, parent);
    if (is_tenant_table(parent, image)) return parent;
    const Oid ancestor = unseen_tenant_ancestor(parent, image, seen);
    if (OidIsValid(ancestor)) return ancestor;
  }
  return InvalidOid;
}

}  // namespace

const char *default_tenant_column() { return tenant_column; }

const char *relation_name(Oid relid) {
  const char *name = get_rel_name(relid);
  if (name == nullptr) return psprintf("%u", relid);  // dropped meanwhile
  const Oid schema = get_rel_namespace(relid);
  return quote_qualified_identifier(isAnyTempNamespace(schema) ? "pg_temp" : get_namespace_name(schema), name);
}

const char *protect_call(Oid relid, AttrNumber attribute) {
  const char *relation = quote_literal_cstr(relation_name(relid));
  const char *column = attribute != InvalidAttrNumber ? get_attname(relid, attribute, true) : nullptr;
  if (column == nullptr || strcmp(column, tenant_column) == 0)
    return psprintf("SELECT rls_tenant.protect(%s);", relation);
  return psprintf("SELECT rls_tenant.protect(%s, %s);", relation, quote_literal_cstr(column));
}

AttrNumber tenant_attribute(Oid relid, List *policies, Image image) {
  const Oid ancestor = tenant_ancestor(relid, image);
  if (OidIsValid(ancestor)) {
    const AttrNumber attribute = tenant_attribute(ancestor, relation_policies(ancestor, image), image);
    const char *name = attribute_name(ancestor, attribute, image);
    return name != nullptr ? attribute_named(relid, name, image) : InvalidAttrNumber;
  }
  const AttrNumber named = attribute_named(relid, tenant_column, image);
  if (named > 0 && has_whole_floor(policies, named)) return named;
  const AttrNumber last = relation_image(relid, image).attributes;
  for (AttrNumber attribute = 1; attribute <= last && policies != NIL; attribute++) {
    if (has_whole_floor(policies, attribute)) return attribute;
  }
  if (named > 0) return named;
  for (AttrNumber attribute = 1; attribute <= last && policies != NIL; attribute++) {
    if (has_confining_policy(policies, attribute, true)) return attribute;
  }
  return InvalidAttrNumber;
}

bool is_tenant_table(Oid relid, Image image) {
  if (!relation_image(relid, image).row_security) return false;
  List *policies = relation_policies(relid, image);
  return policies != NIL && has_confining_policy(policies, tenant_attribute(relid, policies, image), false);
}

Oid tenant_ancestor(Oid relid, Image image) {
  List *seen = NIL;
  return unseen_tenant_ancestor(relid, image, &seen);
}

bool is_enabled_and_forced(Oid relid) {
  const RelationImage relation = relation_image(relid);
  return relation.row_security && relation.forced;
}

List *table_faults(Oid relid, Image image) {
  Report report = {relid, image, NIL};
  const RelationImage relation = relation_image(relid, image);
  if (!relation.found || (relation.kind != RELKIND_RELATION && relation.kind != RELKIND_PARTITIONED_TABLE)) return NIL;
  List *policies = relation_policies(relid, image);
  const AttrNumber attribute = tenant_attribute(relid, policies, image);
  if (OidIsValid(tenant_ancestor(relid, image))) {
    if (!relation.row_security || !relation.forced) {
      add(&report, "child_unprotected", "it is part of a tenant table, but open to those who name it directly",
          alter(relid, "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"));
    }
    check_policies(&report, policies, attribute, relation.row_security, true);
    return report.faults;
  }
  if (relation.is_partition && policies == NIL) return NIL;  // its partitioned table answers for it
  check_parents(&report, policies, attribute, relation.row_security);
  if (relation.is_partition) return report.faults;
  check_column(&report, attribute);
  check_row_security(&report, attribute, policies != NIL, relation.row_security, relation.forced);
  if (attribute != InvalidAttrNumber) check_policies(&report, policies, attribute, relation.row_security, false);
  return report.faults;
}

void table_rules_init() {
  DefineCustomStringVariable("rls_tenant.tenant_column", "The name of the column that says whose a row is.",
                             "protect() can name another one for a table.", &tenant_column, "tenant_id", PGC_SUSET, 0,
                             check_tenant_column, nullptr, nullptr);
}

}  // namespace rls_tenant
