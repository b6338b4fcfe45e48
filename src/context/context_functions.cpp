// The context in SQL: the functions that read it, set it and show it.

#include "context/context.hpp"

namespace rls_tenant {

namespace {

// The copy that this transaction answers from; a datum that points into it stays good until the transaction ends.
Datum fast_uuid(FunctionCallInfo fcinfo, Setting setting) {
  const pg_uuid_t *ready = context_slots[static_cast<int>(setting)].ready_uuid;
  if (likely(ready != nullptr)) return PointerGetDatum(ready);
  const ContextValue *value = read_context(setting);
  if (value == nullptr) PG_RETURN_NULL();
  if (!value->is_uuid) raise_unfit_context(setting, value->bytes(), "uuid");
  return PointerGetDatum(&value->uuid);
}

Datum fast_bigint(FunctionCallInfo fcinfo, Setting setting) {
  const int64 *ready = context_slots[static_cast<int>(setting)].ready_bigint;
  if (likely(ready != nullptr)) return Int64GetDatum(*ready);
  const ContextValue *value = read_context(setting);
  if (value == nullptr) PG_RETURN_NULL();
  if (!value->is_bigint) raise_unfit_context(setting, value->bytes(), "bigint");
  return Int64GetDatum(value->bigint);
}

Datum fast_text(FunctionCallInfo fcinfo, Setting setting) {
  const ContextValue *value = read_context(setting);
  if (value == nullptr) PG_RETURN_NULL();
  return PointerGetDatum(value->text);
}

// The argument of a context function, as a string, without control characters and not too long.
char *checked_argument(FunctionCallInfo fcinfo, Setting setting) {
  char *id = text_to_cstring(PG_GETARG_TEXT_PP(0));
  const char *fault = context_text_fault(id, strlen(id));
  if (fault != nullptr) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid id of the %s", setting_word(setting)),
                    errdetail("%s", fault), errhint("An id is at most 255 bytes of text without control characters.")));
  }
  return id;
}

// What the planner did not replace: functions of a text that the caller gave.
Datum given_uuid(FunctionCallInfo fcinfo, Setting setting) {
  const char *id = checked_argument(fcinfo, setting);
  pg_uuid_t *uuid = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
  if (!parse_uuid(id, uuid)) raise_unfit_context(setting, id, "uuid");
  return PointerGetDatum(uuid);
}

Datum given_bigint(FunctionCallInfo fcinfo, Setting setting) {
  const char *id = checked_argument(fcinfo, setting);
  int64 number;
  if (!parse_bigint(id, &number)) raise_unfit_context(setting, id, "bigint");
  return Int64GetDatum(number);
}

Datum given_text(FunctionCallInfo fcinfo, Setting setting) {
  const char *id = checked_argument(fcinfo, setting);
  if (*id == '\0') {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("the id of the %s is empty", setting_word(setting)),
             errdetail("Empty means unset."), errhint("Give an id, or NULL for none.")));
  }
  return PointerGetDatum(cstring_to_text(id));
}

// Whether the function was called by the portal's own query, not by a function or procedure within it.
bool called_by_client(FunctionCallInfo fcinfo) {
  const Portal portal = ActivePortal;
  return PortalIsValid(portal) && portal->queryDesc != nullptr && portal->queryDesc->estate != nullptr &&
         fcinfo->flinfo->fn_mcxt == portal->queryDesc->estate->es_query_cxt;
}

// An argument of set_context as text; nullptr if it is NULL.
using ToText = char *(*)(Datum);

char *text_argument(Datum value) { return TextDatumGetCString(value); }

char *uuid_argument(Datum value) {
  char *text = static_cast<char *>(palloc(37));
  print_uuid(*DatumGetUUIDP(value), text);
  return text;
}

char *bigint_argument(Datum value) { return psprintf(INT64_FORMAT, DatumGetInt64(value)); }

// Sets the three to the end of the transaction; account and user go back to their default where NULL is given.
Datum set_context(FunctionCallInfo fcinfo, ToText to_text) {
  if (PG_ARGISNULL(0)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the tenant to set is NULL"),
                    errdetail("set_context() needs a tenant."),
                    errhint("Use rls_tenant.clear_context() to have no context.")));
  }
  const char *texts[setting_count] = {};
  for (int i = 0; i < setting_count; i++) {
    if (!PG_ARGISNULL(i)) texts[i] = to_text(PG_GETARG_DATUM(i));
  }
  if (*texts[0] == '\0') {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the tenant to set is empty"),
                    errdetail("set_context() needs a tenant."),
                    errhint("Use rls_tenant.clear_context() to have no context.")));
  }
  if (called_by_client(fcinfo)) WarnNoTransactionBlock(true, "rls_tenant.set_context()");
  set_context_values(texts);
  PG_RETURN_VOID();
}

}  // namespace

const char *source_word(GucSource source) {
  switch (source) {
    case PGC_S_FILE:
      return "configuration file";
    case PGC_S_ARGV:
    case PGC_S_ENV_VAR:
      return "server start";
    case PGC_S_GLOBAL:
      return "all roles";
    case PGC_S_DATABASE:
      return "database";
    case PGC_S_USER:
      return "role";
    case PGC_S_DATABASE_USER:
      return "role in database";
    default:
      return "transaction";
  }
}

#define CONTEXT_FUNCTIONS(word)                                                                   \
  RT_FUNCTION(rls_tenant_fast_##word##_uuid) { return fast_uuid(fcinfo, Setting::word); }         \
  RT_FUNCTION(rls_tenant_fast_##word##_bigint) { return fast_bigint(fcinfo, Setting::word); }     \
  RT_FUNCTION(rls_tenant_fast_##word##_text) { return fast_text(fcinfo, Setting::word); }         \
  RT_FUNCTION(rls_tenant_##word##_setting) { return fast_text(fcinfo, Setting::word); }           \
  RT_FUNCTION(rls_tenant_current_##word##_uuid) { return given_uuid(fcinfo, Setting::word); }     \
  RT_FUNCTION(rls_tenant_current_##word##_bigint) { return given_bigint(fcinfo, Setting::word); } \
  RT_FUNCTION(rls_tenant_current_##word##_text) { return given_text(fcinfo, Setting::word); }

CONTEXT_FUNCTIONS(tenant)
CONTEXT_FUNCTIONS(account)
CONTEXT_FUNCTIONS(user)

RT_FUNCTION(rls_tenant_set_context_text) { return set_context(fcinfo, text_argument); }
RT_FUNCTION(rls_tenant_set_context_uuid) { return set_context(fcinfo, uuid_argument); }
RT_FUNCTION(rls_tenant_set_context_bigint) { return set_context(fcinfo, bigint_argument); }

RT_FUNCTION(rls_tenant_clear_context) {
  clear_context_values();
  PG_RETURN_VOID();
}

// One row: each value and its source. It does not read in the sense of the latch.
RT_FUNCTION(rls_tenant_current_context) {
  TupleDesc row;
  if (get_call_result_type(fcinfo, nullptr, &row) != TYPEFUNC_COMPOSITE) elog(ERROR, "return type must be a row type");
  Datum values[2 * setting_count];
  bool nulls[2 * setting_count];
  for (Setting setting : all_settings) {
    const int i = 2 * static_cast<int>(setting);
    const ContextValue *value = present_context(setting);
    nulls[i] = nulls[i + 1] = value == nullptr;
    if (value == nullptr) continue;
    values[i] = PointerGetDatum(cstring_to_text_with_len(value->bytes(), static_cast<int>(value->length())));
    values[i + 1] = CStringGetTextDatum(source_word(value->source));
  }
  return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls));
}

}  // namespace rls_tenant
