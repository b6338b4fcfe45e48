// is_member(), has_role(), member_role() and member_groups_…() in SQL: they look into the groups that their statement
// was given.

#include "membership/membership_functions.hpp"

#include "context/own_functions.hpp"
#include "membership/lookup.hpp"
#include "membership/parallel.hpp"
#include "membership/source.hpp"

namespace rls_tenant {

namespace {

// What one call in a query remembers from row to row, in fn_extra.
struct CallSite {
  uint64 stamp;              // of `groups`
  const ContextValue *user;  // likewise
  const GroupSet *groups;
  bool constant;  // group and role are the same for every row
  bool known;     // `result` is their result
  bool result;
};

inline CallSite *call_site(FunctionCallInfo fcinfo) { return static_cast<CallSite *>(fcinfo->flinfo->fn_extra); }

[[noreturn]] void raise_type(IdType given, IdType type, const char *source) {
  ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                  errmsg("the groups of membership source \"%s\" are of type %s, not %s", source, id_type_name(type),
                         id_type_name(given)),
                  errdetail("A membership check compares values of the same type only."),
                  errhint("Cast the group to %s, or name the source that it belongs to.", id_type_name(type))));
  pg_unreachable();
}

// Whether an argument is a constant of the query. (A parameter is not: it may be a variable of PL/pgSQL.)
bool is_constant(const FmgrInfo *function, int argument) {
  if (function->fn_expr == nullptr || !IsA(function->fn_expr, FuncExpr)) return false;
  const List *arguments = reinterpret_cast<const FuncExpr *>(function->fn_expr)->args;
  return argument < list_length(arguments) && IsA(list_nth(arguments, argument), Const);
}

inline bool is_current(const CallSite *site) {
  return site->stamp == groups_stamp && groups_stamp != 0 && site->user != nullptr &&
         site->user == context_slots[static_cast<int>(Setting::user)].ready;
}

// The groups for a call that remembers none; nullptr: there is no user, and that does not raise.
__attribute__((noinline)) const GroupSet *look_up_groups(FunctionCallInfo fcinfo, int source_argument, IdType type) {
  if (PG_ARGISNULL(source_argument)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("membership source must not be null"),
                    errdetail("A membership check needs the name of a source."),
                    errhint("Omit the argument to use source \"%s\".", default_source)));
  }
  const text *source = PG_GETARG_TEXT_PP(source_argument);
  const GroupSet *groups = user_groups(VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source));
  if (groups == nullptr) return nullptr;
  if (groups->type != type) raise_type(type, groups->type, text_to_cstring(source));
  CallSite *site = call_site(fcinfo);
  if (site == nullptr) {
    if (!is_constant(fcinfo->flinfo, source_argument)) return groups;
    site = static_cast<CallSite *>(MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(CallSite)));
    fcinfo->flinfo->fn_extra = site;
  }
  *site = {groups_stamp, context_slots[static_cast<int>(Setting::user)].ready, groups, true, false, false};
  for (int i = 0; i < source_argument; i++) site->constant &= is_constant(fcinfo->flinfo, i);
  return groups;
}

// The result of a call, remembered where its arguments cannot change, since PostgreSQL calls for every row.
inline Datum remember(FunctionCallInfo fcinfo, bool result) {
  CallSite *site = call_site(fcinfo);
  if (site != nullptr && site->constant) {
    site->known = true;
    site->result = result;
  }
  return BoolGetDatum(result);
}

// Whether a call's result is remembered.
inline bool is_remembered(FunctionCallInfo fcinfo) {
  const CallSite *site = call_site(fcinfo);
  return site != nullptr && site->known && is_current(site);
}

// The groups for a call.
inline const GroupSet *get_groups(FunctionCallInfo fcinfo, int source_argument, IdType type) {
  const CallSite *site = call_site(fcinfo);
  if (likely(site != nullptr && is_current(site))) return site->groups;
  return look_up_groups(fcinfo, source_argument, type);
}

// The types of argument: as which type of id each is compared, and how it is found.
struct UuidArgument {
  static constexpr IdType type = IdType::uuid;
  static int find(const GroupSet *groups, Datum group) { return find_group(groups, uuid_key(DatumGetUUIDP(group))); }
};

struct BigintArgument {
  static constexpr IdType type = IdType::bigint;
  static int find(const GroupSet *groups, Datum group) { return find_group(groups, DatumGetInt64(group)); }
};

struct IntegerArgument {
  static constexpr IdType type = IdType::bigint;
  static int find(const GroupSet *groups, Datum group) { return find_group(groups, int64{DatumGetInt32(group)}); }
};

struct SmallintArgument {
  static constexpr IdType type = IdType::bigint;
  static int find(const GroupSet *groups, Datum group) { return find_group(groups, int64{DatumGetInt16(group)}); }
};

struct TextArgument {
  static constexpr IdType type = IdType::text;
  static int find(const GroupSet *groups, Datum group) {
    text *value = DatumGetTextPP(group);
    const int found = find_group(groups, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
    if (value != reinterpret_cast<text *>(DatumGetPointer(group))) pfree(value);
    return found;
  }
};

// is_member(group_id, source)
template <typename Argument>
Datum is_member(FunctionCallInfo fcinfo) {
  if (is_remembered(fcinfo)) PG_RETURN_BOOL(call_site(fcinfo)->result);
  const GroupSet *groups = get_groups(fcinfo, 1, Argument::type);
  if (groups == nullptr) PG_RETURN_NULL();
  return remember(fcinfo, !PG_ARGISNULL(0) && Argument::find(groups, PG_GETARG_DATUM(0)) >= 0);
}

// has_role(group_id, role, source)
template <typename Argument>
Datum has_role(FunctionCallInfo fcinfo) {
  if (is_remembered(fcinfo)) PG_RETURN_BOOL(call_site(fcinfo)->result);
  const GroupSet *groups = get_groups(fcinfo, 2, Argument::type);
  if (groups == nullptr) PG_RETURN_NULL();
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) PG_RETURN_BOOL(false);
  const int group = Argument::find(groups, PG_GETARG_DATUM(0));
  const text *role = PG_GETARG_TEXT_PP(1);
  return remember(fcinfo, group >= 0 && has_role(groups, group, VARDATA_ANY(role), VARSIZE_ANY_EXHDR(role)));
}

// member_role(group_id, source)
template <typename Argument>
Datum member_role(FunctionCallInfo fcinfo) {
  const GroupSet *groups = get_groups(fcinfo, 1, Argument::type);
  if (groups == nullptr || PG_ARGISNULL(0)) PG_RETURN_NULL();
  const int group = Argument::find(groups, PG_GETARG_DATUM(0));
  if (group < 0) PG_RETURN_NULL();
  const Roles roles = roles_in(groups, group);
  if (roles.count == 0) PG_RETURN_NULL();
  if (roles.count > 1) {
    ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION), errmsg("the user has %u roles in this group", roles.count),
                    errdetail("member_role() returns one role."),
                    errhint("Use rls_tenant.has_role() to check for one of them.")));
  }
  PG_RETURN_TEXT_P(
      cstring_to_text_with_len(groups->at<char>(roles.names->offset), static_cast<int>(roles.names->length)));
}

// What is being planned now: whether anything, and within which statement.
struct Planning {
  bool going_on;
  const StatementScope *statement;
};
Planning planning = {};

// Whether the planner itself is calling, not a statement that a function runs which it calls.
bool is_estimate() { return planning.going_on && planning.statement == current_statement(); }

// How many groups the planner is given at most to look up in statistics: to look up all could take milliseconds.
constexpr uint32 groups_for_estimate = 1000;

// member_groups_…(source, role), and index_groups_…(), which gives the planner some of them only.
Datum member_groups(FunctionCallInfo fcinfo, IdType type, uint32 limit) {
  const GroupSet *groups = get_groups(fcinfo, 0, type);
  if (groups == nullptr) PG_RETURN_NULL();
  if (PG_ARGISNULL(1)) PG_RETURN_ARRAYTYPE_P(groups_array(groups, limit));
  const text *role = PG_GETARG_TEXT_PP(1);
  PG_RETURN_ARRAYTYPE_P(groups_array_of_role(groups, VARDATA_ANY(role), VARSIZE_ANY_EXHDR(role)));
}

// Whether the user has the role in a group of the argument's type.
template <typename Argument>
bool user_has_role(Datum group, const char *role, const char *source) {
  const GroupSet *groups = user_groups_before_statement(source, strlen(source));
  if (groups == nullptr) return false;
  if (groups->type != Argument::type) raise_type(Argument::type, groups->type, source);
  const int number = Argument::find(groups, group);
  return number >= 0 && has_role(groups, number, role, static_cast<uint32>(strlen(role)));
}

}  // namespace

bool user_has_role(Datum group, Oid type, const char *role, const char *source) {
  switch (type) {
    case UUIDOID:
      return user_has_role<UuidArgument>(group, role, source);
    case INT8OID:
      return user_has_role<BigintArgument>(group, role, source);
    case INT4OID:
      return user_has_role<IntegerArgument>(group, role, source);
    case INT2OID:
      return user_has_role<SmallintArgument>(group, role, source);
    case TEXTOID:
    case VARCHAROID:
      return user_has_role<TextArgument>(group, role, source);
    default:
      ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                      errmsg("membership source \"%s\" has no groups of type %s", source, format_type_be(type)),
                      errdetail("A group must be %s.", id_sql_types),
                      errhint("Use one of these types for the tenant column.")));
  }
  pg_unreachable();
}

PlannedStmt *plan_with_estimates(planner_hook_type planner, Query *query, const char *text, int options,
                                 ParamListInfo parameters) {
  const Planning outer = planning;
  PlannedStmt *volatile plan = nullptr;
  planning = {true, current_statement()};
  PG_TRY();
  { plan = planner(query, text, options, parameters); }
  PG_FINALLY();
  { planning = outer; }
  PG_END_TRY();
  return plan;
}

void membership_init() {
  group_cache_init();
  source_init();
  lookup_init();
  parallel_init();
  planner_support_init();
}

#define MEMBERSHIP_FUNCTIONS(word, Argument)                                       \
  RT_FUNCTION(rls_tenant_is_member_##word) { return is_member<Argument>(fcinfo); } \
  RT_FUNCTION(rls_tenant_has_role_##word) { return has_role<Argument>(fcinfo); }   \
  RT_FUNCTION(rls_tenant_member_role_##word) { return member_role<Argument>(fcinfo); }

MEMBERSHIP_FUNCTIONS(uuid, UuidArgument)
MEMBERSHIP_FUNCTIONS(bigint, BigintArgument)
MEMBERSHIP_FUNCTIONS(integer, IntegerArgument)
MEMBERSHIP_FUNCTIONS(smallint, SmallintArgument)
MEMBERSHIP_FUNCTIONS(text, TextArgument)

#define GROUP_FUNCTIONS(word)                                                                     \
  RT_FUNCTION(rls_tenant_member_groups_##word) { return member_groups(fcinfo, IdType::word, 0); } \
  RT_FUNCTION(rls_tenant_index_groups_##word) {                                                   \
    return member_groups(fcinfo, IdType::word, is_estimate() ? groups_for_estimate : 0);          \
  }

GROUP_FUNCTIONS(uuid)
GROUP_FUNCTIONS(bigint)
GROUP_FUNCTIONS(text)

// membership_cache(): what this session has cached.
RT_FUNCTION(rls_tenant_membership_cache) {
  TupleDesc row;
  if (get_call_result_type(fcinfo, nullptr, &row) != TYPEFUNC_COMPOSITE) elog(ERROR, "return type must be a row type");
  const CacheFigures figures = cache_figures();
  Datum values[4] = {Int64GetDatum(figures.users), Int64GetDatum(figures.bytes), Int64GetDatum(figures.evictions),
                     Int64GetDatum(static_cast<int64>(membership_queries()))};
  bool nulls[4] = {};
  return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls));
}

}  // namespace rls_tenant
