// What one context setting says: its text, read as uuid and as bigint where it can be.
#pragma once

#include "context/id_type.hpp"

namespace rls_tenant {

// Longest text of a context setting, in bytes; room for two uuids and a name, and small enough to copy at will.
constexpr size_t max_context_bytes = 255;

// Lies in the extra of a setting, and as a copy in the memory of a transaction; its bytes are all of it.
struct ContextValue {
  GucSource source;
  bool is_uuid;
  bool is_bigint;
  pg_uuid_t uuid;
  int64 bigint;
  alignas(int32) char text[VARHDRSZ + max_context_bytes + 1];  // a varlena with a zero after it, cut to its length

  size_t length() const { return VARSIZE_ANY_EXHDR(text); }
  const char *bytes() const { return text + VARHDRSZ; }
};
static_assert(std::is_trivially_copyable_v<ContextValue>);

// The size of a value whose text has that many bytes.
constexpr size_t context_value_size(size_t length) { return offsetof(ContextValue, text) + VARHDRSZ + length + 1; }

// What is wrong with a text as the value of a context setting, whatever its type; nullptr if nothing is.
const char *context_text_fault(const char *text, size_t length);

// Reads a text that has no fault into value, which has room for it.
void parse_context_value(const char *text, size_t length, ContextValue *value);

// Whether a value is one of that type.
bool context_value_fits(const ContextValue &value, IdType type);

// A copy of no more than its size in that memory.
const ContextValue *copy_context_value(const ContextValue *value, MemoryContext memory);

// Whether two values are the same text; nullptr means that there is none.
bool same_context_value(const ContextValue *left, const ContextValue *right);

bool parse_uuid(const char *text, pg_uuid_t *uuid);
bool parse_bigint(const char *text, int64 *number);

// The form in which PostgreSQL prints an uuid, with its zero byte: 37 bytes.
void print_uuid(const pg_uuid_t &uuid, char *out);

}  // namespace rls_tenant
