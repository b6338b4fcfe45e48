// Running statements as the owners of what they change.

#include "postgres/statements.hpp"

#include "postgres/as_owner.hpp"
#include "postgres/with_settings.hpp"

namespace rls_tenant {

void run_statements(List *statements) {
  with_settings({{"search_path", "pg_catalog, pg_temp"}}, [&] {
    SPI_connect();
    const ListCell *cell;
    foreach (cell, statements) {
      const Statement *statement = static_cast<const Statement *>(lfirst(cell));
      as_owner(statement->relid, 0, [&] { SPI_execute(statement->sql, false, 0); });
    }
    SPI_finish();
  });
}

}  // namespace rls_tenant
