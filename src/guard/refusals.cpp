// The last refusals, in the session's memory.

#include "guard/refusals.hpp"

namespace rls_tenant {

namespace {

struct Refusal {
  TimestampTz at;
  char *message;
  char *detail;
};

constexpr int kept_refusals = 10;
constexpr int kept_bytes = 4000;  // of a detail: a migration can break many rules

Refusal refusals[kept_refusals];
uint64 count = 0;

char *keep(const char *text) {
  const int length = pg_mbcliplen(text, static_cast<int>(strlen(text)), kept_bytes);
  char *copy = static_cast<char *>(MemoryContextAlloc(TopMemoryContext, length + 1));
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

}  // namespace

void remember_refusal(const char *message, const char *detail) {
  Refusal *refusal = &refusals[count % kept_refusals];
  char *new_message = keep(message), *new_detail = keep(detail);
  if (count >= kept_refusals) {
    pfree(refusal->message);
    pfree(refusal->detail);
  }
  *refusal = {GetCurrentTimestamp(), new_message, new_detail};
  count++;
}

// The refusals of this session as rows, the latest first.
RT_FUNCTION(rls_tenant_guard_refusals) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  for (uint64 i = count; i > 0 && i + kept_refusals > count; i--) {
    const Refusal *refusal = &refusals[(i - 1) % kept_refusals];
    Datum values[3] = {TimestampTzGetDatum(refusal->at), CStringGetTextDatum(refusal->message),
                       CStringGetTextDatum(refusal->detail)};
    bool nulls[3] = {false, false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

}  // namespace rls_tenant
