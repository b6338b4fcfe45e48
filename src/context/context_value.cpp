// Reading the text of a context setting. Pure functions that never raise, but for the copy: check hooks call them.

#include "context/context_value.hpp"

#include <algorithm>

namespace rls_tenant {

static_assert(jump_safe<ContextValue>);

namespace {

// The worth of a hexadecimal digit, or -1.
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Whether a text has a control character: the C0 set and DEL, and in UTF-8 the C1 set (U+0080 to U+009F).
bool has_control_character(const char *text, size_t length) {
  const bool utf8 = GetDatabaseEncoding() == PG_UTF8;
  for (size_t i = 0; i < length; i++) {
    const unsigned char c = text[i];
    if (c < 0x20 || c == 0x7f) return true;
    if (utf8 && c == 0xc2 && i + 1 < length && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

}  // namespace

const char *context_text_fault(const char *text, size_t length) {
  if (length > max_context_bytes) return "The value has more than 255 bytes.";
  if (!pg_verifymbstr(text, static_cast<int>(length), true))
    return "The value is not valid in the database's encoding.";
  if (has_control_character(text, length)) return "The value has a control character.";
  return nullptr;
}

void parse_context_value(const char *text, size_t length, ContextValue *value) {
  value->is_uuid = parse_uuid(text, &value->uuid);
  value->is_bigint = parse_bigint(text, &value->bigint);
  SET_VARSIZE(value->text, VARHDRSZ + length);
  std::copy_n(text, length, value->text + VARHDRSZ);
  value->text[VARHDRSZ + length] = '\0';
}

bool context_value_fits(const ContextValue &value, IdType type) {
  switch (type) {
    case IdType::uuid:
      return value.is_uuid;
    case IdType::bigint:
      return value.is_bigint;
    case IdType::text:
      return true;
  }
  pg_unreachable();
}

const ContextValue *copy_context_value(const ContextValue *value, MemoryContext memory) {
  const size_t size = context_value_size(value->length());
  return static_cast<const ContextValue *>(memcpy(MemoryContextAlloc(memory, size), value, size));
}

bool same_context_value(const ContextValue *left, const ContextValue *right) {
  if (left == right) return true;
  if (left == nullptr || right == nullptr || left->length() != right->length()) return false;
  return std::equal(left->bytes(), left->bytes() + left->length(), right->bytes());
}

// Accepts what PostgreSQL's uuid accepts: 32 digits, hyphens after any group of four, braces around it all.
bool parse_uuid(const char *text, pg_uuid_t *uuid) {
  const char *p = text;
  const bool braces = *p == '{';
  if (braces) p++;
  for (int i = 0; i < UUID_LEN; i++) {
    const int high = hex_digit(p[0]);
    if (high < 0) return false;
    const int low = hex_digit(p[1]);
    if (low < 0) return false;
    uuid->data[i] = static_cast<unsigned char>(high << 4 | low);
    p += 2;
    if (*p == '-' && i % 2 == 1 && i < UUID_LEN - 1) p++;
  }
  if (braces && *p++ != '}') return false;
  return *p == '\0';
}

// Accepts a sign and decimal digits that fit into 64 bits, and nothing around them.
bool parse_bigint(const char *text, int64 *number) {
  const char *p = text;
  const bool negative = *p == '-';
  if (*p == '-' || *p == '+') p++;
  if (*p == '\0') return false;
  int64 result = 0;  // kept negative: the smallest number has no positive twin
  for (; *p != '\0'; p++) {
    if (*p < '0' || *p > '9') return false;
    if (__builtin_mul_overflow(result, 10, &result) || __builtin_sub_overflow(result, *p - '0', &result)) return false;
  }
  if (!negative && __builtin_sub_overflow(static_cast<int64>(0), result, &result)) return false;
  *number = result;
  return true;
}

void print_uuid(const pg_uuid_t &uuid, char *out) {
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < UUID_LEN; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
    *out++ = digits[uuid.data[i] >> 4];
    *out++ = digits[uuid.data[i] & 15];
  }
  *out = '\0';
}

}  // namespace rls_tenant
