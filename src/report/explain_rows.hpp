// explain_access() for rows that support staff picks: who may do what with them, and what decided it.
#pragma once

#include "report/access_question.hpp"

namespace rls_tenant {

// A row of explain_access(), but for the row of the table that it is about.
struct AccessRow {
  const char *command;
  Allowed allowed;
  const char *policy;
  const char *kind;
  const char *condition;
  const char *reason;
};

// Adds one to the result; row_key: of the table's row, or nullptr.
void put_access(const ReturnSetInfo *result, const char *row_key, const AccessRow &row);

// Reads the rows of the filter as the caller, and says for each what the role may do. To be called where nothing can be
// written.
void explain_rows(const ReturnSetInfo *result, const AccessQuestion &question, const char *filter);

}  // namespace rls_tenant
