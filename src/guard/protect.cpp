// protect() and protect_sql(): what a table lacks, said in SQL, and done.

#include "guard/protect.hpp"

#include "postgres/with_settings.hpp"
#include "postgres/condition.hpp"
#include "context/own_functions.hpp"
#include "membership/source.hpp"
#include "policy/public_rows.hpp"
#include "policy/table_faults.hpp"

namespace rls_tenant {

namespace {

constexpr char access_name[] = "tenant_access";
constexpr char generated_virtual = 'v';  // ATTRIBUTE_GENERATED_VIRTUAL, which there is from 18 on

// The table while its statements are gathered.
struct Plan {
  Oid relid;
  const char *relation;     // its quoted name
  AttrNumber tenant;        // the tenant attribute that the table has, InvalidAttrNumber if none
  AttrNumber attribute;     // the one it shall have
  const char *column;       // its quoted name
  const char *membership;   // the source by which users see the rows of several tenants, or nullptr: of the context's
  const char *getter;       // rls_tenant.current_tenant_…()
  const char *condition;    // column = getter, or is_member(column)
  const char *public_read;  // the rows that every tenant may read, with the test of the context; nullptr: none
  bool says_public;         // the caller says which, or that there are none
  List *policies;
  List *statements;
};

void add_for(Plan *plan, Oid relid, const char *sql) {
  Statement *statement = static_cast<Statement *>(palloc(sizeof(Statement)));
  *statement = {relid, sql};
  plan->statements = lappend(plan->statements, statement);
}

void add(Plan *plan, const char *sql) { add_for(plan, plan->relid, sql); }

[[noreturn]] void refuse_relation(Oid relid, const char *detail, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("cannot protect %s", relation_name(relid)),
                  errdetail("%s", detail), errhint("%s", hint)));
  pg_unreachable();
}

// Refuses what cannot be a tenant table.
void check_relation(Oid relid) {
  const char kind = get_rel_relkind(relid);
  if (kind == '\0') {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no relation with OID %u", relid),
                    errdetail("protect() takes the name of a table."), errhint("Name a table that exists.")));
  }
  if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) {
    refuse_relation(relid, "It is not a table, and row-level security works on tables.",
                    "Protect the tables that it reads; give a view security_invoker.");
  }
  if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP) {
    refuse_relation(relid, "It is a temporary table, which no other session sees.", "Protect tables that stay.");
  }
  if (relid < FirstNormalObjectId) {
    refuse_relation(relid, "It is a system catalog.", "Protect tables of your own.");
  }
}

const Policy *policy_named(const Plan *plan, const char *name) {
  const ListCell *cell;
  foreach (cell, plan->policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (strcmp(policy->name, name) == 0) return policy;
  }
  return nullptr;
}

// Finds the tenant column and says its condition.
void find_column(Plan *plan, const char *column) {
  if (column != nullptr) {
    plan->attribute = get_attnum(plan->relid, column);
  } else {
    plan->attribute = plan->tenant;
    column = default_tenant_column();
  }
  if (plan->attribute <= 0) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("%s has no column %s", plan->relation, quote_identifier(column)),
             errdetail("A tenant table needs a column that says whose a row is."),
             errhint("Add it (ALTER TABLE %s ADD COLUMN %s uuid), or name another one: protect(%s, 'column').",
                     plan->relation, quote_identifier(column), quote_literal_cstr(plan->relation))));
  }
  Oid type, collation;
  int32 typmod;
  get_atttypetypmodcoll(plan->relid, plan->attribute, &type, &typmod, &collation);
  plan->column = quote_identifier(get_attname(plan->relid, plan->attribute, false));
  if (get_attgenerated(plan->relid, plan->attribute) == generated_virtual) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("column %s of %s cannot hold a tenant", plan->column, plan->relation),
                    errdetail("It is a virtual generated column, which no index can hold."),
                    errhint("Make it GENERATED ALWAYS AS (...) STORED, or a column of its own.")));
  }
  const std::optional<IdType> id_type = id_type_of(getBaseType(type));
  if (!id_type) {
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("column %s of %s cannot hold a tenant", plan->column, plan->relation),
                    errdetail("Its type is %s.", format_type_be(type)),
                    errhint("Use %s.", id_sql_types)));
  }
  if (OidIsValid(collation) && !get_collation_isdeterministic(collation)) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("column %s of %s cannot hold a tenant", plan->column, plan->relation),
                    errdetail("Its collation is not deterministic: two tenants could be equal."),
                    errhint("Give the column a deterministic collation, such as \"C\".")));
  }
  plan->getter = psprintf("%s.current_tenant_%s()", extension_schema, id_type_name(*id_type));
  if (plan->membership == nullptr) {
    plan->condition = psprintf("%s = %s", plan->column, plan->getter);
    return;
  }
  const Source *source = find_source(plan->membership);
  if (source->group_type != *id_type) {
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("membership source \"%s\" does not suit %s", plan->membership, plan->relation),
                    errdetail("Its groups are of type %s, column %s is of type %s.",
                              id_type_name(source->group_type), plan->column, format_type_be(type)),
                    errhint("Name a source whose groups are tenants.")));
  }
  const char *second =
      strcmp(plan->membership, default_source) == 0 ? "" : psprintf(", %s", quote_literal_cstr(plan->membership));
  plan->condition = psprintf("%s.is_member(%s%s)", extension_schema, plan->column, second);
}

// A policy that says the tenant condition and nothing else: what the table's isolation is today, or nullptr.
const Policy *present_isolation(const Plan *plan) {
  const Policy *whole = policy_named(plan, whole_floor.name);
  return whole != nullptr ? whole : policy_named(plan, public_floors[3].name);
}

// The source that the table's isolation asks today, or nullptr.
const char *present_membership(const Plan *plan, const char *column) {
  const Policy *policy = present_isolation(plan);
  const AttrNumber attribute = column != nullptr ? get_attnum(plan->relid, column) : plan->tenant;
  return policy != nullptr && attribute > 0 ? membership_of(policy, attribute) : nullptr;
}

void plan_column(Plan *plan) {
  HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(plan->relid), Int16GetDatum(plan->attribute));
  if (!HeapTupleIsValid(tuple))
    elog(ERROR, "cache lookup failed for attribute %d of relation %u", plan->attribute, plan->relid);
  const Form_pg_attribute form = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple));
  // A user of several tenants says whose a new row is.
  const bool wants_default =
      plan->membership == nullptr && !form->atthasdef && form->attidentity == '\0' && form->attgenerated == '\0';
  ReleaseSysCache(tuple);
  if (!is_not_null(plan->relid, plan->attribute)) {
    add(plan, psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", plan->relation, plan->column));
  }
  if (wants_default) {
    add(plan, psprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", plan->relation, plan->column, plan->getter));
  }
}

// Whether an index is a btree. Others serve some conditions on the tenant column and not others: hash and GiST no
// is_member(), GiST and BRIN no integer that is compared with a bigint.
bool is_btree(Oid index) {
  bool result = false;
  with_syscache(RELOID, ObjectIdGetDatum(index), [&](HeapTuple tuple) {
    result = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relam == BTREE_AM_OID;
  });
  return result;
}

// Whether a valid, whole btree index leads with the tenant column.
bool has_tenant_index(Plan *plan) {
  bool found = false;
  Relation relation = table_open(plan->relid, AccessShareLock);
  List *indexes = RelationGetIndexList(relation);
  const ListCell *cell;
  foreach (cell, indexes) {
    with_syscache(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)), [&](HeapTuple tuple) {
      const Form_pg_index form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
      if (form->indisvalid && heap_attisnull(tuple, Anum_pg_index_indpred, nullptr) &&
          form->indkey.values[0] == plan->attribute && is_btree(form->indexrelid)) {
        found = true;
      }
    });
  }
  table_close(relation, AccessShareLock);
  return found;
}

void drop_policy(Plan *plan, const char *name) {
  if (policy_named(plan, name) != nullptr) add(plan, psprintf("DROP POLICY %s ON %s", name, plan->relation));
}

// A policy of one of our names that protect() did not make may hold back rows for a reason: it is not ours to drop.
void refuse_foreign_policy(const Plan *plan, const Policy *policy) {
  ereport(ERROR,
          (errcode(ERRCODE_DUPLICATE_OBJECT),
           errmsg("policy \"%s\" of %s is not one that protect() makes", policy->name, plan->relation),
           errdetail("It is %s%s.", policy->permissive ? "PERMISSIVE" : "RESTRICTIVE",
                     policy->permissive && strcmp(policy->name, public_name) != 0 ? "" : " and says something else"),
           errhint("Give it another name first: ALTER POLICY %s ON %s RENAME TO ...;", policy->name, plan->relation)));
}

// Whether a RESTRICTIVE policy says nothing but that one column is the tenant's (or, FOR SELECT, that or that the row
// is public), so that it can be said anew.
bool is_plain_floor(const Plan *plan, const Policy *policy, const Floor &floor) {
  const Node *says = policy->qual != nullptr ? policy->qual : policy->check;
  if (policy->permissive || says == nullptr || IsA(says, Const)) return false;
  if (policy->check != nullptr && !equal(policy->check, says)) return false;
  if (policy->commands != floor.commands && floor.commands != all_commands) return false;
  AttrNumber last = 0;
  with_syscache(RELOID, ObjectIdGetDatum(plan->relid),
                [&](HeapTuple tuple) { last = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relnatts; });
  const bool of_public = floor.commands == command_select;
  for (AttrNumber attribute = 1; attribute <= last; attribute++) {
    if (of_public && public_rows_of_floor(policy, attribute) != nullptr) return true;
    if (!of_public && !IsA(says, BoolExpr) && confines(says, attribute)) return true;
  }
  return false;
}

// Whether a confining policy asks for the context's tenant or for memberships as is wanted.
bool is_of_form(const Plan *plan, const Policy *policy) {
  const char *membership = membership_of(policy, plan->attribute);
  if (plan->membership == nullptr || membership == nullptr) return plan->membership == membership;
  return strcmp(plan->membership, membership) == 0;
}

// Whether tenant_access repeats the tenant condition, so that each policy isolates by itself: Citus drops RESTRICTIVE
// ones. Elsewhere a second is_member() would be asked for every row, and the planner would take it for a second
// condition.
bool repeats_condition(const Plan *plan) {
  return plan->membership == nullptr || OidIsValid(get_extension_oid("citus", true));
}

// What tenant_access says beside the access: the tenant condition, or that it relies on tenant_isolation.
const char *access_condition(const Plan *plan) {
  return repeats_condition(plan) ? plan->condition : psprintf("%s.with_tenant_isolation()", extension_schema);
}

// Whether an expression of tenant_access says that.
bool has_access_condition(const Plan *plan, Node *expression) {
  return repeats_condition(plan) ? says_condition(expression, plan->attribute, plan->membership)
                                 : relies_on_tenant_isolation(expression);
}

// Reads the access that a caller asks for.
Node *parse_access(Relation relation, const char *access) {
  return parse_condition(relation, access, "access",
                         "Write it as in CREATE POLICY … USING (…), for example 'owner_id = "
                         "rls_tenant.current_user_uuid()'.");
}

// Whether an expression is what a text of ours says, every name of which is qualified.
bool reads_as(Node *expression, Relation relation, const char *text) {
  bool result = false;
  with_settings({{"search_path", "pg_catalog"}}, [&] { result = equal(expression, parse_access(relation, text)); });
  return result;
}

// The test that there is a context, so that who has none is told so by public rows, too.
const char *with_context_test(const Plan *plan, const char *rows) {
  const char *reader =
      plan->membership == nullptr ? plan->getter : psprintf("%s.current_user_text()", extension_schema);
  return psprintf("(%s) AND (%s IS NOT NULL)", rows, reader);
}

// The rows that the caller wants to be public, or those that are; an error if the condition cannot say it.
void find_public_rows(Plan *plan, Relation relation, const char *condition) {
  plan->says_public = condition != nullptr;
  Node *rows = public_condition(plan->policies, plan->tenant);
  if (plan->says_public) {
    const char *hint =
        "Write a condition on the row's own columns, such as 'is_published' or 'published_at <= now()'. Who of a "
        "tenant sees what belongs into access.";
    rows = *condition != '\0' ? parse_condition(relation, condition, "public_read", hint) : nullptr;
    const char *problem = rows != nullptr ? public_condition_problem(rows) : nullptr;
    if (problem != nullptr) {
      ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                      errmsg("public_read cannot say which rows of %s are public", plan->relation),
                      errdetail("%s", problem), errhint("%s", hint)));
    }
  }
  if (rows != nullptr) plan->public_read = with_context_test(plan, deparse_condition(relation, rows));
}

// Whether a policy of a floor's name holds as it shall.
bool is_as_wanted(const Plan *plan, Relation relation, const Policy *policy, const Floor &floor,
                  const char *condition) {
  if (policy->permissive || !policy->to_public || policy->commands != floor.commands) return false;
  if (floor.commands == command_select) return reads_as(policy->qual, relation, condition);
  return confined_commands(policy, plan->attribute) == floor.commands && is_of_form(plan, policy);
}

// Gives a policy that is to go another name, which is free.
const char *set_aside(Plan *plan, const char *name) {
  const char *other = psprintf("%s_before", name);
  while (policy_named(plan, other) != nullptr) other = psprintf("%s_", other);
  add(plan, psprintf("ALTER POLICY %s ON %s RENAME TO %s", name, plan->relation, quote_identifier(other)));
  return other;
}

// A RESTRICTIVE policy, made or said anew. It is altered in its place, or goes after the new one is there, so that it
// holds in between.
void plan_floor(Plan *plan, Relation relation, const Floor &floor) {
  const bool of_public = floor.commands == command_select;
  const char *condition = of_public ? psprintf("(%s) OR (%s)", plan->public_read, plan->condition) : plan->condition;
  const Policy *policy = policy_named(plan, floor.name);
  if (policy != nullptr && is_as_wanted(plan, relation, policy, floor, condition)) return;
  if (policy != nullptr && !is_plain_floor(plan, policy, floor)) refuse_foreign_policy(plan, policy);
  StringInfoData statement;
  initStringInfo(&statement);
  const char *narrower = nullptr;
  if (policy != nullptr && policy->commands == floor.commands) {
    appendStringInfo(&statement, "ALTER POLICY %s ON %s%s", floor.name, plan->relation,
                     policy->to_public ? "" : " TO PUBLIC");
  } else {
    if (policy != nullptr) narrower = set_aside(plan, floor.name);
    appendStringInfo(&statement, "CREATE POLICY %s ON %s AS RESTRICTIVE", floor.name, plan->relation);
    if (floor.commands != all_commands) appendStringInfo(&statement, " FOR %s", command_words(floor.commands));
    policy = nullptr;
  }
  if (floor.commands != command_insert) appendStringInfo(&statement, " USING (%s)", condition);
  if (floor.commands == command_insert || (policy != nullptr && policy->check != nullptr))
    appendStringInfo(&statement, " WITH CHECK (%s)", condition);
  add(plan, statement.data);
  if (narrower != nullptr) add(plan, psprintf("DROP POLICY %s ON %s", quote_identifier(narrower), plan->relation));
}

// Takes a RESTRICTIVE policy of the form that the table leaves.
void drop_floor(Plan *plan, const Floor &floor) {
  const Policy *policy = policy_named(plan, floor.name);
  if (policy != nullptr && !is_plain_floor(plan, policy, floor)) refuse_foreign_policy(plan, policy);
  drop_policy(plan, floor.name);
}

// The RESTRICTIVE policies. Those of the one form are there before those of the other go, so that there is no moment in
// which the table is open; and public rows are admitted last, or no longer first of all.
void plan_isolation(Plan *plan, Relation relation) {
  if (plan->public_read == nullptr) {
    plan_floor(plan, relation, whole_floor);
    if (!plan->says_public) return;
    for (const Floor &floor : public_floors) drop_floor(plan, floor);
  } else {
    for (const Floor &floor : public_floors) plan_floor(plan, relation, floor);
    drop_floor(plan, whole_floor);
  }
}

// Whether tenant_public is such as protect() makes: the rows that it admits, and the setting that it asks for.
Node *rows_of_access(const Policy *policy, Setting *setting) {
  const bool is_ours = policy->permissive && policy->commands == command_select;
  return is_ours ? public_rows_of(policy->qual, setting) : nullptr;
}

// tenant_public goes.
void drop_public_access(Plan *plan) {
  const Policy *policy = policy_named(plan, public_name);
  Setting setting;
  if (policy != nullptr && rows_of_access(policy, &setting) == nullptr) refuse_foreign_policy(plan, policy);
  drop_policy(plan, public_name);
}

// tenant_public, which admits the public rows. Where the caller does not say which, it stays as narrow as it is, and
// only asks for the context that the form goes by.
void plan_public_access(Plan *plan, Relation relation) {
  const Policy *policy = policy_named(plan, public_name);
  if (policy == nullptr) {
    if (plan->says_public)
      add(plan,
          psprintf("CREATE POLICY %s ON %s FOR SELECT USING (%s)", public_name, plan->relation, plan->public_read));
    return;
  }
  Setting setting;
  Node *rows = rows_of_access(policy, &setting);
  if (rows == nullptr) {
    if (plan->says_public) refuse_foreign_policy(plan, policy);
    return;
  }
  const char *condition =
      plan->says_public ? plan->public_read : with_context_test(plan, deparse_condition(relation, rows));
  const bool widens = plan->says_public && !policy->to_public;
  if (!widens && reads_as(policy->qual, relation, condition)) return;
  add(plan, psprintf("ALTER POLICY %s ON %s%s USING (%s)", public_name, plan->relation, widens ? " TO PUBLIC" : "",
                     condition));
}

// The condition of tenant_access, and what else an expression says.
const char *with_condition(const Plan *plan, Relation relation, Node *expression) {
  if (is_true(expression)) return access_condition(plan);
  return psprintf("(%s) AND (%s)", access_condition(plan), deparse_condition(relation, expression));
}

// The floor's statements, and tenant_access as the caller asked for it: the tenant condition and theirs. It is altered
// in its place, since without it the guard would refuse what one statement leaves for the next. In between nobody shall
// see by the one floor what the other access holds back: so whichever access holds by itself stands beside the floor
// that changes.
void plan_given_access(Plan *plan, Relation relation, const char *access, List *floor) {
  Node *wanted = parse_access(relation, access);
  const char *condition = with_condition(plan, relation, wanted);
  const Policy *policy = policy_named(plan, access_name);
  if (policy != nullptr && !policy->permissive) refuse_foreign_policy(plan, policy);
  const bool whole = policy != nullptr && policy->commands == all_commands;
  const bool checks_alike = whole && (policy->check == nullptr || reads_as(policy->check, relation, condition));
  if (checks_alike && policy->to_public && reads_as(policy->qual, relation, condition)) {
    plan->statements = list_concat(plan->statements, floor);
    return;
  }
  const bool new_holds = repeats_condition(plan);
  const bool old_holds = whole && confined_commands(policy, plan->attribute) == all_commands;
  if (!whole || (floor != NIL && !new_holds && !old_holds)) {
    drop_policy(plan, access_name);
    plan->statements = list_concat(plan->statements, floor);
    add(plan, psprintf("CREATE POLICY %s ON %s USING (%s)", access_name, plan->relation, condition));
    return;
  }
  const char *alter = psprintf("ALTER POLICY %s ON %s%s USING (%s)%s", access_name, plan->relation,
                               policy->to_public ? "" : " TO PUBLIC", condition,
                               checks_alike ? "" : psprintf(" WITH CHECK (%s)", condition));
  if (new_holds) add(plan, alter);
  plan->statements = list_concat(plan->statements, floor);
  if (!new_holds) add(plan, alter);
}

// Whether the table changes from the form of one tenant to that of memberships, or back.
bool changes_form(const Plan *plan) {
  const Policy *policy = present_isolation(plan);
  if (policy == nullptr) return false;
  return (plan->membership == nullptr) != (membership_of(policy, plan->attribute) == nullptr);
}

// An expression of tenant_access as it is to be, without what the form said that the table leaves; nullptr: as it is.
const char *present_expression(const Plan *plan, Relation relation, Node *expression) {
  if (expression == nullptr) return nullptr;
  Node *own = changes_form(plan) ? without_form(expression, plan->attribute) : expression;
  if (!has_access_condition(plan, own)) return with_condition(plan, relation, own);
  return own == expression ? nullptr : deparse_condition(relation, own);
}

// tenant_access where the caller says nothing: what there is stays, with the tenant condition added where it lacks.
void plan_present_access(Plan *plan, Relation relation) {
  const Policy *policy = policy_named(plan, access_name);
  if (policy == nullptr) {
    const ListCell *cell;
    foreach (cell, plan->policies) {
      const Policy *other = static_cast<const Policy *>(lfirst(cell));
      if (other->permissive) return;  // the table says by itself who sees what; one more policy would only widen it
    }
    add(plan, psprintf("CREATE POLICY %s ON %s USING (%s)", access_name, plan->relation, access_condition(plan)));
    return;
  }
  if (!policy->permissive) refuse_foreign_policy(plan, policy);
  const char *qual = present_expression(plan, relation, policy->qual);
  const char *check = present_expression(plan, relation, policy->check);
  if (qual == nullptr && check == nullptr) return;
  StringInfoData statement;
  initStringInfo(&statement);
  appendStringInfo(&statement, "ALTER POLICY %s ON %s", access_name, plan->relation);
  if (qual != nullptr) appendStringInfo(&statement, " USING (%s)", qual);
  if (check != nullptr) appendStringInfo(&statement, " WITH CHECK (%s)", check);
  add(plan, statement.data);
}

void plan_row_security(Plan *plan) {
  List *relations = find_all_inheritors(plan->relid, NoLock, nullptr);
  const ListCell *cell;
  foreach (cell, relations) {
    const Oid relid = lfirst_oid(cell);
    const char kind = get_rel_relkind(relid);
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) continue;  // a foreign partition cannot
    if (is_enabled_and_forced(relid)) continue;
    add_for(plan, relid,
            psprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", relation_name(relid)));
  }
}

// An argument that may be NULL, as a string.
const char *optional_text(FunctionCallInfo fcinfo, int argument) {
  return PG_ARGISNULL(argument) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

List *statements_for_call(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the relation to protect is NULL"),
                    errdetail("protect() takes the name of a table."), errhint("Name a table that exists.")));
  }
  const char *column = PG_ARGISNULL(1) ? nullptr : NameStr(*PG_GETARG_NAME(1));
  const auto later = [&](int argument) { return PG_NARGS() > argument ? optional_text(fcinfo, argument) : nullptr; };
  // The functions of earlier versions have neither membership nor public_read.
  return protect_statements(PG_GETARG_OID(0), column, optional_text(fcinfo, 2), later(3), later(4));
}

}  // namespace

List *protect_statements(Oid relid, const char *column, const char *access, const char *membership,
                         const char *public_read) {
  check_relation(relid);
  const Tenancy tenancy = tenancy_of(relid);
  if (tenancy.relation.is_partition && !OidIsValid(tenancy.ancestor)) {
    refuse_relation(relid, "It is a partition of a table that is not protected.",
                    "Protect the partitioned table: that protects its partitions, too.");
  }
  Plan plan = {};
  plan.relid = relid;
  plan.relation = relation_name(relid);
  plan.policies = tenancy.policies;
  plan.tenant = tenancy.attribute;
  plan.membership = membership != nullptr ? membership : present_membership(&plan, column);
  if (plan.membership != nullptr && *plan.membership == '\0') plan.membership = nullptr;
  find_column(&plan, column);
  plan_column(&plan);
  if (!has_tenant_index(&plan)) add(&plan, psprintf("CREATE INDEX ON %s (%s)", plan.relation, plan.column));
  Relation relation = table_open(relid, AccessShareLock);
  find_public_rows(&plan, relation, public_read);
  if (plan.says_public && plan.public_read == nullptr) drop_public_access(&plan);
  List *before = plan.statements;
  plan.statements = NIL;
  plan_isolation(&plan, relation);
  List *floor = plan.statements;
  plan.statements = before;
  if (access != nullptr) {
    plan_given_access(&plan, relation, access, floor);
  } else {
    plan.statements = list_concat(plan.statements, floor);
    plan_present_access(&plan, relation);
  }
  if (plan.public_read != nullptr) plan_public_access(&plan, relation);
  table_close(relation, NoLock);
  plan_row_security(&plan);
  return plan.statements;
}

// Refuses who could not run the statements themselves: they run as the owner.
void check_owner(List *statements) {
  const ListCell *cell;
  foreach (cell, statements) {
    const Oid relid = static_cast<const Statement *>(lfirst(cell))->relid;
    if (!compat::owns_relation(relid, GetUserId())) {
      ereport(ERROR,
              (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table %s", relation_name(relid)),
               errdetail("protect() does what its caller may do."),
               errhint("Call it as the owner, or as a member of that role.")));
    }
  }
}

RT_FUNCTION(rls_tenant_protect) {
  List *statements = statements_for_call(fcinfo);
  check_owner(statements);
  run_statements(statements);
  PG_RETURN_VOID();
}

RT_FUNCTION(rls_tenant_protect_sql) {
  InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  List *statements = statements_for_call(fcinfo);
  const ListCell *cell;
  foreach (cell, statements) {
    Datum value = CStringGetTextDatum(psprintf("%s;", static_cast<const Statement *>(lfirst(cell))->sql));
    bool isnull = false;
    tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
  }
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
