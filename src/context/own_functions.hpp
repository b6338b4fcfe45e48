// The OIDs of the extension's own functions in this database, looked up once and again after a change.
#pragma once

#include "context/context.hpp"

namespace rls_tenant {

// The functions of one setting. InvalidOid throughout where the extension is not created.
struct SettingFunctions {
  Oid setting;                // tenant_setting(): the stable text
  Oid getter[id_type_count];  // current_tenant_uuid(text) and so on, which people write
  Oid fast[id_type_count];    // fast_tenant_uuid() and so on, which the planner puts in their place
};

// The name of the schema that holds everything.
constexpr char extension_schema[] = "rls_tenant";

// The membership source that is_member() and the like take by default.
constexpr char default_source[] = "tenant";

void own_functions_init();

// Valid until the next call into PostgreSQL that may accept invalidations.
const SettingFunctions *setting_functions(Setting setting);

// The same as they were known last, without a look at the catalogs: for where an error is on its way.
const SettingFunctions *remembered_setting_functions(Setting setting);
bool was_membership_check(Oid function);

// What a plan reads, by the functions that PostgreSQL noted as its dependencies, and by our marks.
struct PlanReads {
  SettingSet settings;
  bool memberships;
  bool constants;      // it is marked: it holds values
  bool other_context;  // it holds what was read in a context of a function's own
};
PlanReads what_plan_reads(const PlannedStmt *plan);

// Which settings a call of a function with its default argument reads.
SettingSet what_function_reads(Oid function);
// The getter that a function is, if it is one, as people write it or as the planner does.
bool is_getter(Oid function, Setting *setting, IdType *type);
// Likewise that of a call, if it reads the context: the argument is left out, or is our own setting function, which is
// its default. An argument that somebody wrote is theirs.
bool is_context_call(const FuncExpr *call, Setting *setting, IdType *type);

// Whether an expression is a call of with_tenant_isolation(), which policies call that rely on tenant_isolation;
// nullptr is none.
bool is_tenant_isolation_call(const Node *expression);

// The trigger function note_membership_change(), and index_groups_uuid(), …_bigint(), …_text(); InvalidOid: not there.
Oid change_function();
Oid groups_function(IdType type);

// Whether a function is an is_member(), a has_role(), or one of index_groups_uuid() and so on.
bool is_membership_check(Oid function);
bool is_role_check(Oid function);
bool is_group_list(Oid function);

}  // namespace rls_tenant
