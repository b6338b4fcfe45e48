// The rules of a tenant table, each a look into the catalogs. Knows of no trigger and no command.

#include "table_rules.hpp"

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

bool is_not_null(Oid relid, AttrNumber attribute) {
  bool result = false;
  HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attribute));
  if (!HeapTupleIsValid(tuple)) return false;
  result = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attnotnull;
  ReleaseSysCache(tuple);
  return result;
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
        psprintf("ALTER TABLE %s ADD COLUMN %s %s; /* UPDATE the rows that are there */ %s", relation_name(report->relid),
                 quote_identifier(tenant_column), type_for_new_column(), protect_call(report->relid, attribute)));
    return;
  }
  if (is_not_null(report->relid, attribute)) return;
  const char *column = quote_identifier(get_attname(report->relid, attribute, false));
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
  List *parents = parents_of(report->relid);
  if (parents == NIL || !enabled || !has_confining_policy(policies, attribute, false)) return;
  const Oid parent = linitial_oid(parents);
  const char *detach = get_rel_relispartition(report->relid)
                           ? psprintf("ALTER TABLE %s DETACH PARTITION %s;", relation_name(parent), relation_name(report->relid))
                           : alter(report->relid, psprintf("NO INHERIT %s", relation_name(parent)));
  add(report, "unlike_parent", psprintf("its rows are also read through %s, which is no tenant table", relation_name(parent)),
      detach);
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
          psprintf("policy \"%s\" FOR %s does not confine rows to the tenant, nor does a RESTRICTIVE policy", policy->name,
                   command_words(open)),
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
    if (names(policy, attribute) && (confines(policy->qual, attribute) || confines(policy->check, attribute))) return true;
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

struct RowSecurity {
  bool found;
  bool enabled;
  bool forced;
};

RowSecurity row_security_of(Oid relid) {
  RowSecurity result = {};
  with_syscache(RELOID, ObjectIdGetDatum(relid), [&](HeapTuple tuple) {
    const Form_pg_class form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    result = {true, form->relrowsecurity, form->relforcerowsecurity};
  });
  return result;
}

}  // namespace

List *parents_of(Oid relid) {
  List *parents = NIL;
  Relation catalog = table_open(InheritsRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  SysScanDesc scan = systable_beginscan(catalog, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
  for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
    parents = lappend_oid(parents, reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple))->inhparent);
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return parents;
}

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
  if (column == nullptr || strcmp(column, tenant_column) == 0) return psprintf("SELECT rls_tenant.protect(%s);", relation);
  return psprintf("SELECT rls_tenant.protect(%s, %s);", relation, quote_literal_cstr(column));
}

AttrNumber tenant_attribute(Oid relid, List *policies) {
  const Oid ancestor = tenant_ancestor(relid);
  if (OidIsValid(ancestor)) {
    const AttrNumber attribute = tenant_attribute(ancestor, relation_policies(ancestor));
    return get_attnum(relid, get_attname(ancestor, attribute, false));
  }
  const AttrNumber named = get_attnum(relid, tenant_column);
  if (named > 0 && has_whole_floor(policies, named)) return named;
  AttrNumber last = 0;
  with_syscache(RELOID, ObjectIdGetDatum(relid),
                [&](HeapTuple tuple) { last = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relnatts; });
  for (AttrNumber attribute = 1; attribute <= last && policies != NIL; attribute++) {
    if (has_whole_floor(policies, attribute)) return attribute;
  }
  if (named > 0) return named;
  for (AttrNumber attribute = 1; attribute <= last && policies != NIL; attribute++) {
    if (has_confining_policy(policies, attribute, true)) return attribute;
  }
  return named > 0 ? named : InvalidAttrNumber;
}

bool is_tenant_table(Oid relid) {
  if (!row_security_of(relid).enabled) return false;
  List *policies = relation_policies(relid);
  return policies != NIL && has_confining_policy(policies, tenant_attribute(relid, policies), false);
}

Oid tenant_ancestor(Oid relid) {
  check_stack_depth();
  const ListCell *cell;
  List *parents = parents_of(relid);
  foreach (cell, parents) {
    const Oid parent = lfirst_oid(cell);
    if (is_tenant_table(parent)) return parent;
    const Oid ancestor = tenant_ancestor(parent);
    if (OidIsValid(ancestor)) return ancestor;
  }
  return InvalidOid;
}

bool is_enabled_and_forced(Oid relid) {
  const RowSecurity security = row_security_of(relid);
  return security.enabled && security.forced;
}

List *table_faults(Oid relid) {
  Report report = {relid, NIL};
  const RowSecurity security = row_security_of(relid);
  const char kind = get_rel_relkind(relid);
  if (!security.found || (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)) return NIL;
  List *policies = relation_policies(relid);
  const AttrNumber attribute = tenant_attribute(relid, policies);
  if (OidIsValid(tenant_ancestor(relid))) {
    if (!security.enabled || !security.forced) {
      add(&report, "child_unprotected", "it is part of a tenant table, but open to those who name it directly",
          alter(relid, "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"));
    }
    check_policies(&report, policies, attribute, security.enabled, true);
    return report.faults;
  }
  if (get_rel_relispartition(relid) && policies == NIL) return NIL;  // its partitioned table answers for it
  check_parents(&report, policies, attribute, security.enabled);
  if (get_rel_relispartition(relid)) return report.faults;
  check_column(&report, attribute);
  check_row_security(&report, attribute, policies != NIL, security.enabled, security.forced);
  if (attribute != InvalidAttrNumber) check_policies(&report, policies, attribute, security.enabled, false);
  return report.faults;
}

void table_rules_init() {
  DefineCustomStringVariable("rls_tenant.tenant_column", "The name of the column that says whose a row is.",
                             "protect() can name another one for a table.", &tenant_column, "tenant_id", PGC_SUSET, 0,
                             check_tenant_column, nullptr, nullptr);
}

// The faults of one table as rows.
RT_FUNCTION(rls_tenant_table_faults) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  List *faults = table_faults(PG_GETARG_OID(0));
  const ListCell *cell;
  foreach (cell, faults) {
    const Fault *fault = static_cast<const Fault *>(lfirst(cell));
    Datum values[3] = {CStringGetTextDatum(fault->rule), CStringGetTextDatum(fault->detail),
                       CStringGetTextDatum(fault->remedy)};
    bool nulls[3] = {false, false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
