// What PostgreSQL calls the types of ids.

#include "context/id_type.hpp"

namespace rls_tenant {

std::optional<IdType> id_type_of(Oid type) {
  switch (type) {
    case UUIDOID:
      return IdType::uuid;
    case INT8OID:
    case INT4OID:
    case INT2OID:
      return IdType::bigint;
    case TEXTOID:
    case VARCHAROID:
      return IdType::text;
    default:
      return std::nullopt;
  }
}

Oid id_type_oid(IdType type) {
  constexpr Oid oids[id_type_count] = {UUIDOID, INT8OID, TEXTOID};
  return oids[static_cast<int>(type)];
}

const char *id_type_name(IdType type) {
  constexpr const char *names[id_type_count] = {"uuid", "bigint", "text"};
  return names[static_cast<int>(type)];
}

}  // namespace rls_tenant
