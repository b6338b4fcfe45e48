// The types of ids: of tenants, accounts, users and groups. Whole numbers of any width are compared as bigint, text and
// varchar as text.
#pragma once

#include <optional>

#include "postgres/prelude.hpp"

namespace rls_tenant {

enum class IdType : uint32 { uuid, bigint, text };
constexpr int id_type_count = 3;
constexpr IdType all_id_types[id_type_count] = {IdType::uuid, IdType::bigint, IdType::text};

// The SQL types that can be ids, for messages.
constexpr char id_sql_types[] = "uuid, bigint, integer, smallint, text or varchar";

// As which an SQL type (a domain's base type) is compared; nothing where it cannot be an id.
std::optional<IdType> id_type_of(Oid type);

Oid id_type_oid(IdType type);
// Its name in SQL, which is also the last word of our functions of that type.
const char *id_type_name(IdType type);

}  // namespace rls_tenant
