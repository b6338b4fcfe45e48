// is_member() and its kin in SQL: a look into the answer that the statement was told.

#include "membership/membership_functions.hpp"

#include "context/own_functions.hpp"
#include "membership/lookup.hpp"
#include "membership/parallel.hpp"
#include "membership/source.hpp"

namespace rls_tenant {

namespace {

// What one place of a query remembers between calls, in fn_extra.
struct Site {
  uint64 stamp;              // of `answer`
  const ContextValue *user;  // likewise
  const Answer *answer;
  bool constant;  // group and role are the same at every call
  bool known;     // `result` is what they come to
  bool result;
};

[[noreturn]] void raise_type(IdType given, IdType type, const char *source) {
  ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                  errmsg("the groups of membership source \"%s\" are of type %s, not %s", source, id_type_name(type),
                         id_type_name(given)),
                  errdetail("Two types have no equality that could be trusted."),
                  errhint("Cast the group to %s, or name the source that it belongs to.", id_type_name(type))));
  pg_unreachable();
}

// Whether an argument is a constant of the query. (A parameter is not: it may be a variable of PL/pgSQL.)
bool is_constant(const FmgrInfo *function, int argument) {
  if (function->fn_expr == nullptr || !IsA(function->fn_expr, FuncExpr)) return false;
  const List *arguments = reinterpret_cast<const FuncExpr *>(function->fn_expr)->args;
  return argument < list_length(arguments) && IsA(list_nth(arguments, argument), Const);
}

inline bool is_current(const Site *site) {
  return site->stamp == answer_stamp && answer_stamp != 0 &&
         site->user == context_slots[static_cast<int>(Setting::user)].ready;
}

// What a call finds out where it remembers nothing; nullptr: there is no user, and that does not raise.
__attribute__((noinline)) const Answer *find_answer(FunctionCallInfo fcinfo, int source_argument, IdType type) {
  if (PG_ARGISNULL(source_argument)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the membership source is NULL"),
                    errdetail("A check of membership names a source."),
                    errhint("Leave the argument out for the source \"%s\".", default_source)));
  }
  const text *source = PG_GETARG_TEXT_PP(source_argument);
  const Answer *answer = answer_of_source(VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source));
  if (answer == nullptr) return nullptr;
  if (answer->type != type) raise_type(type, answer->type, text_to_cstring(source));
  Site *site = static_cast<Site *>(fcinfo->flinfo->fn_extra);
  if (site == nullptr) {
    if (!is_constant(fcinfo->flinfo, source_argument)) return answer;
    site = static_cast<Site *>(MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(Site)));
    fcinfo->flinfo->fn_extra = site;
  }
  *site = {answer_stamp, context_slots[static_cast<int>(Setting::user)].ready, answer, true, false, false};
  for (int i = 0; i < source_argument; i++) site->constant &= is_constant(fcinfo->flinfo, i);
  return answer;
}

// The result of a call, remembered where its arguments cannot change: PostgreSQL would call for every row.
inline Datum remember(FunctionCallInfo fcinfo, bool result) {
  Site *site = static_cast<Site *>(fcinfo->flinfo->fn_extra);
  if (site != nullptr && site->constant) {
    site->known = true;
    site->result = result;
  }
  return BoolGetDatum(result);
}

// Whether a call's result is remembered.
inline bool is_remembered(FunctionCallInfo fcinfo) {
  const Site *site = static_cast<const Site *>(fcinfo->flinfo->fn_extra);
  return site != nullptr && site->known && is_current(site);
}

// The answer for a call.
inline const Answer *get_answer(FunctionCallInfo fcinfo, int source_argument, IdType type) {
  const Site *site = static_cast<const Site *>(fcinfo->flinfo->fn_extra);
  if (likely(site != nullptr && is_current(site))) return site->answer;
  return find_answer(fcinfo, source_argument, type);
}

// The kinds of argument: which type of group it is, and how to find it.
struct UuidArgument {
  static constexpr IdType type = IdType::uuid;
  static int find(const Answer *answer, Datum group) { return find_group(answer, uuid_key(DatumGetUUIDP(group))); }
};

struct BigintArgument {
  static constexpr IdType type = IdType::bigint;
  static int find(const Answer *answer, Datum group) { return find_group(answer, DatumGetInt64(group)); }
};

struct IntegerArgument {
  static constexpr IdType type = IdType::bigint;
  static int find(const Answer *answer, Datum group) { return find_group(answer, int64{DatumGetInt32(group)}); }
};

struct SmallintArgument {
  static constexpr IdType type = IdType::bigint;
  static int find(const Answer *answer, Datum group) { return find_group(answer, int64{DatumGetInt16(group)}); }
};

struct TextArgument {
  static constexpr IdType type = IdType::text;
  static int find(const Answer *answer, Datum group) {
    text *value = DatumGetTextPP(group);
    const int found = find_group(answer, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
    if (value != reinterpret_cast<text *>(DatumGetPointer(group))) pfree(value);
    return found;
  }
};

// is_member(group_id, source)
template <typename Argument>
Datum is_member(FunctionCallInfo fcinfo) {
  if (is_remembered(fcinfo)) PG_RETURN_BOOL(static_cast<const Site *>(fcinfo->flinfo->fn_extra)->result);
  const Answer *answer = get_answer(fcinfo, 1, Argument::type);
  if (answer == nullptr) PG_RETURN_NULL();
  return remember(fcinfo, !PG_ARGISNULL(0) && Argument::find(answer, PG_GETARG_DATUM(0)) >= 0);
}

// has_role(group_id, role, source)
template <typename Argument>
Datum has_role(FunctionCallInfo fcinfo) {
  if (is_remembered(fcinfo)) PG_RETURN_BOOL(static_cast<const Site *>(fcinfo->flinfo->fn_extra)->result);
  const Answer *answer = get_answer(fcinfo, 2, Argument::type);
  if (answer == nullptr) PG_RETURN_NULL();
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) PG_RETURN_BOOL(false);
  const int group = Argument::find(answer, PG_GETARG_DATUM(0));
  const text *role = PG_GETARG_TEXT_PP(1);
  return remember(fcinfo, group >= 0 && has_role(answer, group, VARDATA_ANY(role), VARSIZE_ANY_EXHDR(role)));
}

// member_role(group_id, source)
template <typename Argument>
Datum member_role(FunctionCallInfo fcinfo) {
  const Answer *answer = get_answer(fcinfo, 1, Argument::type);
  if (answer == nullptr || PG_ARGISNULL(0)) PG_RETURN_NULL();
  const int group = Argument::find(answer, PG_GETARG_DATUM(0));
  if (group < 0) PG_RETURN_NULL();
  const uint32 *first = answer->at<uint32>(answer->first_roles) + group;
  if (first[0] == first[1]) PG_RETURN_NULL();
  if (first[1] - first[0] > 1) {
    ereport(ERROR,
            (errcode(ERRCODE_CARDINALITY_VIOLATION), errmsg("the user has %u roles in this group", first[1] - first[0]),
             errdetail("member_role() gives one role."), errhint("Ask for a role by rls_tenant.has_role().")));
  }
  const TextKey role = answer->at<TextKey>(answer->roles)[first[0]];
  PG_RETURN_TEXT_P(cstring_to_text_with_len(answer->at<char>(role.offset), static_cast<int>(role.length)));
}

// How many groups the planner is given to look up in statistics, where it would take milliseconds to look up all.
constexpr uint32 groups_for_estimate = 1000;

// member_groups_…(source, role), and index_groups_…, of which the planner is given some only.
Datum member_groups(FunctionCallInfo fcinfo, IdType type, uint32 limit) {
  const Answer *answer = get_answer(fcinfo, 0, type);
  if (answer == nullptr) PG_RETURN_NULL();
  if (PG_ARGISNULL(1)) PG_RETURN_ARRAYTYPE_P(groups_array(answer, limit));
  const text *role = PG_GETARG_TEXT_PP(1);
  PG_RETURN_ARRAYTYPE_P(groups_array_of_role(answer, VARDATA_ANY(role), VARSIZE_ANY_EXHDR(role)));
}

// Whether the user has the role in a group of the argument's type.
template <typename Argument>
bool user_has_role(Datum group, const char *role, const char *source) {
  const Answer *answer = answer_before_statement(source, strlen(source));
  if (answer == nullptr) return false;
  if (answer->type != Argument::type) raise_type(Argument::type, answer->type, source);
  const int number = Argument::find(answer, group);
  return number >= 0 && has_role(answer, number, role, static_cast<uint32>(strlen(role)));
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
                      errdetail("A group is %s.", id_sql_types),
                      errhint("Give the tenant column one of these types.")));
  }
  pg_unreachable();
}

void membership_init() {
  membership_cache_init();
  membership_source_init();
  membership_answers_init();
  membership_parallel_init();
  membership_support_init();
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

// What this session keeps.
RT_FUNCTION(rls_tenant_membership_cache) {
  TupleDesc row;
  if (get_call_result_type(fcinfo, nullptr, &row) != TYPEFUNC_COMPOSITE) elog(ERROR, "return type must be a row type");
  const CacheFigures figures = cache_figures();
  Datum values[4] = {Int64GetDatum(figures.users), Int64GetDatum(figures.bytes), Int64GetDatum(figures.evictions),
                     Int64GetDatum(static_cast<int64>(membership_fills()))};
  bool nulls[4] = {};
  return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls));
}

}  // namespace rls_tenant
