// Reading sources, and noticing when what was read may no longer hold: relcache invalidations come from DDL, and for
// DML from the triggers on the tables.

#include "membership/source.hpp"

#include <algorithm>

#include "context/own_functions.hpp"
#include "context/plan_marks.hpp"
#include "membership/group_cache.hpp"
#include "membership/source_relations.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"
#include "postgres/condition.hpp"
#include "postgres/transaction_end.hpp"
#include "postgres/with_settings.hpp"

namespace rls_tenant {

namespace {

// The columns of the table, in the order of the install script.
enum Column : AttrNumber {
  column_name = 1,
  column_relation,
  column_user,
  column_group,
  column_role,
  column_active,
};

Source *sources = nullptr;  // those that have been read
uint64 last_id = 0;
uint64 invalidations = 0;  // every one, so that a reading notices those that came meanwhile
bool own_change = false;
bool busy = false;  // a source is being read or queried
void (*own_change_watcher)() = nullptr;

bool watches(const Source *source, Oid relid) {
  return std::binary_search(source->watched, source->watched + source->watched_count, relid);
}

void invalidate(Source *source) {
  source->valid = false;
  if (own_change) own_change_watcher();  // what others do counts from the next statement on
}

// A relation has changed; InvalidOid: perhaps any.
void on_relation_change(Datum, Oid relid) {
  invalidations++;
  for (Source *source = sources; source != nullptr; source = source->next) {
    if (!OidIsValid(relid) || watches(source, relid)) invalidate(source);
  }
}

// A function that `active` or a view calls, the label of a role, a schema's name: rare, so that all sources go.
void on_definition_change(Datum, int cache, uint32 hash) {
  if (cache == PROCOID && drops_marked_plans(hash)) return;  // no function: the context has changed
  invalidations++;
  for (Source *source = sources; source != nullptr; source = source->next) invalidate(source);
}

// Raised where a source cannot be used.
[[noreturn]] void raise_broken(const SourceRow *row, const char *detail) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("membership source \"%s\" cannot be used", row->name), errdetail("%s", detail),
                  errhint("Correct the relation, or name another one: rls_tenant.drop_membership(), then "
                          "rls_tenant.add_membership().")));
  pg_unreachable();
}

// A column of the source: its type (a domain's base type), where it has one that can be compared byte for byte.
Oid column_type(const SourceRow *row, const char *column, const char *role) {
  const AttrNumber attribute = get_attnum(row->relid, column);
  if (attribute <= 0) {
    raise_broken(row, psprintf("Column %s of %s does not exist.", quote_identifier(column), relation_name(row->relid)));
  }
  Oid type, collation;
  int32 typmod;
  get_atttypetypmodcoll(row->relid, attribute, &type, &typmod, &collation);
  if (OidIsValid(collation) && !get_collation_isdeterministic(collation)) {
    raise_broken(row,
                 psprintf("The collation of column %s of %s is nondeterministic, so that different %ss could be equal.",
                          quote_identifier(column), relation_name(row->relid), role));
  }
  return getBaseType(type);
}

// As which type a user or group is compared: by its column.
IdType key_type(const SourceRow *row, const char *column, const char *role) {
  const Oid type = column_type(row, column, role);
  const std::optional<IdType> result = id_type_of(type);
  if (!result) {
    raise_broken(row, psprintf("Column %s of %s is of type %s, but a %s must be %s.", quote_identifier(column),
                               relation_name(row->relid), format_type_be(type), role, id_sql_types));
  }
  return *result;
}

// A role is a text, a number or a label.
void check_role_column(const SourceRow *row) {
  const Oid type = column_type(row, row->role_column, "role");
  switch (type) {
    case TEXTOID:
    case VARCHAROID:
    case NAMEOID:
    case INT8OID:
    case INT4OID:
    case INT2OID:
      return;
    default:
      if (type_is_enum(type)) return;
      raise_broken(
          row, psprintf("Column %s of %s is of type %s, but a role must be text, varchar, name, an enum or an integer.",
                        quote_identifier(row->role_column), relation_name(row->relid), format_type_be(type)));
  }
}

// What a row amounts to.
struct Inspection {
  IdType user_type;
  IdType group_type;
  SourceRelations relations;
  const char *query;
};

// Locks the relation, so that it keeps its name until the transaction ends.
Inspection inspect(const SourceRow *row) {
  Relation relation = try_relation_open(row->relid, AccessShareLock);
  if (relation == nullptr) raise_broken(row, "Its relation has been dropped.");
  Inspection result = {};
  add_relation(&result.relations, row->relid);
  result.user_type = key_type(row, row->user_column, "user");
  result.group_type = key_type(row, row->group_column, "group");
  if (row->role_column != nullptr) check_role_column(row);
  StringInfoData query;
  initStringInfo(&query);
  appendStringInfo(&query, "SELECT %s::pg_catalog.%s, ", quote_identifier(row->group_column),
                   result.group_type == IdType::bigint ? "int8" : id_type_name(result.group_type));
  appendStringInfo(&query, row->role_column != nullptr ? "%s::pg_catalog.text" : "NULL::pg_catalog.text",
                   row->role_column != nullptr ? quote_identifier(row->role_column) : "");
  appendStringInfo(&query, " FROM %s WHERE %s = $1", relation_name(row->relid), quote_identifier(row->user_column));
  if (row->active != nullptr) {
    Node *condition = parse_active(relation, row->active);
    add_condition(&result.relations, condition);
    appendStringInfo(&query, " AND (%s)", deparse_condition(relation, condition));
  }
  result.query = query.data;
  relation_close(relation, NoLock);
  return result;
}

// Names the source, whatever an error is about.
void name_source(void *argument) {
  errcontext("membership source \"%s\"", static_cast<const SourceRow *>(argument)->name);
}

// As the relation's owner: the caller may have no right to the schemas of what `active` names.
Inspection inspect_as_owner(const SourceRow *row) {
  if (get_rel_relkind(row->relid) == '\0') raise_broken(row, "Its relation has been dropped.");
  ErrorContextCallback callback = {error_context_stack, name_source, const_cast<SourceRow *>(row)};
  error_context_stack = &callback;
  Inspection result;
  with_settings({{"search_path", "pg_catalog, pg_temp"}},
                [&] { as_owner(row->relid, 0, [&] { result = inspect(row); }); });
  error_context_stack = callback.previous;
  return result;
}

// Why groups cannot be cached, or nullptr. Citus changes the shards of a table, which do not have its triggers.
const char *not_cached_because(const SourceRelations *relations) {
  if (OidIsValid(get_extension_oid("citus", true))) return "Citus may change its tables where no trigger fires";
  const ListCell *cell;
  foreach (cell, relations->tables) {
    const Oid relid = lfirst_oid(cell);
    if (!has_change_trigger(relid)) {
      return psprintf("table %s has no trigger %s that always fires", relation_name(relid), change_trigger);
    }
  }
  return nullptr;
}

SourceRow *row_of(HeapTuple tuple, TupleDesc description) {
  SourceRow *row = static_cast<SourceRow *>(palloc0(sizeof(SourceRow)));
  bool isnull;
  const auto string = [&](AttrNumber column) -> const char * {
    const Datum value = heap_getattr(tuple, column, description, &isnull);
    return isnull ? nullptr : TextDatumGetCString(value);
  };
  const auto name = [&](AttrNumber column) -> const char * {
    const Datum value = heap_getattr(tuple, column, description, &isnull);
    return isnull ? nullptr : pstrdup(NameStr(*DatumGetName(value)));
  };
  row->name = string(column_name);
  row->relid = DatumGetObjectId(heap_getattr(tuple, column_relation, description, &isnull));
  row->user_column = name(column_user);
  row->group_column = name(column_group);
  row->role_column = name(column_role);
  row->active = string(column_active);
  return row;
}

// The link to the source of that name among those that were read.
Source **link_of(const char *name) {
  Source **link = &sources;
  while (*link != nullptr && strcmp((*link)->name, name) != 0) link = &(*link)->next;
  return link;
}

void forget(Source **link) {
  Source *source = *link;
  *link = source->next;
  drop_cached_of_source(source->id);
  if (source->plan != nullptr) SPI_freeplan(source->plan);
  MemoryContextDelete(source->memory);
}

// Reads a source, into memory of its own that hangs on the current one until it is complete.
Source *read_source(const SourceRow *row) {
  const Inspection inspection = inspect_as_owner(row);
  MemoryContext memory =
      AllocSetContextCreate(CurrentMemoryContext, "rls_tenant membership source", ALLOCSET_SMALL_SIZES);
  Source *source = static_cast<Source *>(MemoryContextAllocZero(memory, sizeof(Source)));
  source->memory = memory;
  source->id = ++last_id;
  source->name = MemoryContextStrdup(memory, row->name);
  source->relid = row->relid;
  source->user_type = inspection.user_type;
  source->group_type = inspection.group_type;
  source->depends_on_clock = inspection.relations.depends_on_clock;
  source->query = MemoryContextStrdup(memory, inspection.query);
  const char *reason = not_cached_because(&inspection.relations);
  if (reason != nullptr) source->not_cached_because = MemoryContextStrdup(memory, reason);
  // The relation, the tables that it reads, the views through which (they can be replaced), and the list of sources
  // itself.
  List *watched = list_concat_unique_oid(list_make2_oid(row->relid, source_table()), inspection.relations.tables);
  watched = list_concat_unique_oid(watched, inspection.relations.views);
  source->watched_count = list_length(watched);
  source->watched = static_cast<Oid *>(MemoryContextAlloc(memory, sizeof(Oid) * list_length(watched)));
  for (int i = 0; i < source->watched_count; i++) source->watched[i] = list_nth_oid(watched, i);
  std::sort(source->watched, source->watched + source->watched_count);
  source->valid = true;
  return source;
}

}  // namespace

Oid source_table() {
  const Oid schema = get_namespace_oid(extension_schema, true);
  const Oid relid = OidIsValid(schema) ? get_relname_relid("membership_source", schema) : InvalidOid;
  if (!OidIsValid(relid)) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the extension rls_tenant is not created in this database"),
                    errdetail("Memberships are looked up in its table membership_source."),
                    errhint("CREATE EXTENSION rls_tenant;")));
  }
  return relid;
}

List *source_rows() {
  List *rows = NIL;
  for_all_rows(source_table(), [&](HeapTuple tuple, TupleDesc row) { rows = lappend(rows, row_of(tuple, row)); });
  list_sort(rows, [](const ListCell *left, const ListCell *right) {
    return strcmp(static_cast<const SourceRow *>(lfirst(left))->name,
                  static_cast<const SourceRow *>(lfirst(right))->name);
  });
  return rows;
}

const SourceRow *source_row(const char *name) {
  List *rows = source_rows();
  const ListCell *cell;
  foreach (cell, rows) {
    const SourceRow *row = static_cast<const SourceRow *>(lfirst(cell));
    if (strcmp(row->name, name) == 0) return row;
  }
  return nullptr;
}

Node *parse_active(Relation relation, const char *active) {
  return parse_condition(relation, active, "active",
                         "Write a condition on the relation's columns, such as 'status = ''active'''.");
}

List *check_source(const SourceRow *row) { return inspect_as_owner(row).relations.tables; }

Source *find_source(const char *name) {
  if (busy) {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_OBJECT_DEFINITION), errmsg("infinite recursion in membership source \"%s\"", name),
             errdetail("What it reads checks memberships itself."),
             errhint("Give the source's relation and the tables that it reads one owner, and call is_member() nowhere "
                     "in them except in policies.")));
  }
  Source **link = link_of(name);
  if (*link != nullptr && (*link)->valid) return *link;
  if (*link != nullptr) forget(link);
  for (int attempt = 0;; attempt++) {
    const uint64 before = invalidations;
    const SourceRow *row = source_row(name);
    if (row == nullptr) {
      ereport(ERROR,
              (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("membership source \"%s\" does not exist", name),
               errdetail("A membership check names it."),
               errhint("Add it: SELECT rls_tenant.add_membership(%s, 'relation', 'user_column', 'group_column');",
                       quote_literal_cstr(name))));
    }
    Source *source = nullptr;
    while_busy([&] { source = read_source(row); });
    if (source == nullptr) pg_unreachable();  // read_source() gives one or raises, which analysers cannot see
    // Something changed meanwhile: read again; where that does not end, use this reading for one lookup.
    if (before != invalidations) {
      if (attempt < 5) {
        MemoryContextDelete(source->memory);
        continue;
      }
      source->valid = false;
    }
    MemoryContextSetParent(source->memory, membership_memory());
    source->next = sources;
    sources = source;
    return source;
  }
}

bool is_known(const char *name) { return *link_of(name) != nullptr; }

bool is_ready(const char *name) {
  const Source *source = *link_of(name);
  return source != nullptr && source->valid;
}

const Source *known_sources() { return sources; }

void while_busy(void (*fn)(void *), void *argument) {
  busy = true;
  PG_TRY();
  { fn(argument); }
  PG_FINALLY();
  { busy = false; }
  PG_END_TRY();
}

void note_own_change() {
  own_change = true;
  note_transaction();
}

bool has_own_change() { return own_change; }
void on_visible_own_change(void (*fn)()) { own_change_watcher = fn; }

namespace {

// Uncommitted memberships end with their transaction; so does what depends on its clock.
void at_transaction_event(XactEvent event) {
  switch (event) {
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_PARALLEL_ABORT:
      own_change = false;
      drop_cached_of_transaction();
      break;
    default:
      break;
  }
}

}  // namespace

void source_init() {
  CacheRegisterRelcacheCallback(on_relation_change, 0);
  for (int cache : {PROCOID, ENUMOID, NAMESPACEOID}) CacheRegisterSyscacheCallback(cache, on_definition_change, 0);
  at_end_of_transaction(at_transaction_event);
}

}  // namespace rls_tenant
