// The list of rules as rows and as an array.

#include "policy/rules.hpp"

namespace rls_tenant {

namespace {

const char *severity_word(Severity severity) {
  switch (severity) {
    case Severity::leak:
      return "leak";
    case Severity::risk:
      return "risk";
    case Severity::speed:
      return "speed";
    case Severity::note:
      return "note";
  }
  pg_unreachable();
}

}  // namespace

// audit_rules(): all rules, with severity and meaning.
RT_FUNCTION(rls_tenant_audit_rules) {
  InitMaterializedSRF(fcinfo, 0);
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  for (const Rule &rule : rules) {
    Datum values[] = {CStringGetTextDatum(rule.name), CStringGetTextDatum(severity_word(rule.severity)),
                      CStringGetTextDatum(rule.meaning)};
    bool nulls[] = {false, false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

// table_rules(): the names of the rules that the guard knows.
RT_FUNCTION(rls_tenant_table_rules) {
  Datum names[lengthof(rules)];
  int count = 0;
  for (const Rule &rule : rules) {
    if (rule.guarded) names[count++] = CStringGetTextDatum(rule.name);
  }
  return PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}

}  // namespace rls_tenant
