// Constants of the types that ids have.

#include "context/context_const.hpp"

namespace rls_tenant {

Const *context_const(const ContextValue *value, IdType type, Oid collation) {
  if (!context_value_fits(*value, type)) return nullptr;
  switch (type) {
    case IdType::uuid: {
      pg_uuid_t *copy = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
      *copy = value->uuid;
      return makeConst(UUIDOID, -1, InvalidOid, UUID_LEN, UUIDPGetDatum(copy), false, false);
    }
    case IdType::bigint:
      return makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value->bigint), false, FLOAT8PASSBYVAL);
    case IdType::text:
      break;
  }
  return makeConst(TEXTOID, -1, collation, -1,
                   PointerGetDatum(cstring_to_text_with_len(value->bytes(), static_cast<int>(value->length()))), false,
                   false);
}

}  // namespace rls_tenant
