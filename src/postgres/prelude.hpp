// The one file that includes PostgreSQL's headers, in the order they want, as C.
#pragma once

#include <type_traits>

extern "C" {
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/reloptions.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "parser/parse_clause.h"
#include "parser/parse_collate.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "port/pg_bswap.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "rewrite/rowsecurity.h"
#include "storage/dsm.h"
#include "tcop/deparse_utility.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/ruleutils.h"
#include "utils/selfuncs.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"
#include "utils/varlena.h"
}

#include "postgres/compat.hpp"

// An SQL-callable function: visible although everything else is hidden (PGDLLEXPORT is empty before PG 16).
#define RT_FUNCTION(name)                                                          \
  extern "C" {                                                                     \
  __attribute__((visibility("default"))) const Pg_finfo_record *pg_finfo_##name(); \
  const Pg_finfo_record *pg_finfo_##name() {                                       \
    static const Pg_finfo_record record = {1};                                     \
    return &record;                                                                \
  }                                                                                \
  __attribute__((visibility("default"))) Datum name(PG_FUNCTION_ARGS);             \
  }                                                                                \
  Datum name(PG_FUNCTION_ARGS)

namespace rls_tenant {

// An error jumps over destructors, so nothing that has one may live across a call into PostgreSQL.
template <typename T>
constexpr bool jump_safe = std::is_trivially_destructible_v<T>;

// Runs fn on the cached catalog row, if there is one, and releases it; says whether there was one.
template <typename Fn>
bool with_syscache(int cache, Datum key, Fn fn) {
  static_assert(jump_safe<Fn>);
  HeapTuple tuple = SearchSysCache1(cache, key);
  if (!HeapTupleIsValid(tuple)) return false;
  fn(tuple);
  ReleaseSysCache(tuple);
  return true;
}

}  // namespace rls_tenant
