// Walks through views to tables, and through expressions to functions. What may change without an invalidation is
// refused.

#include "membership/source_relations.hpp"

#include "context/own_functions.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

// Where the walk is.
struct Walk {
  SourceRelations *relations;
  Oid relid;         // the view whose query it is, or InvalidOid
  Oid role;          // with whose privileges the relations there are read
  const char *what;  // for messages: "active", "view public.v"
};

[[noreturn]] void refuse(const char *what, const char *detail, const char *hint) {
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s cannot be used for a membership source", what),
           errdetail("%s", detail), errhint("%s", hint)));
  pg_unreachable();
}

constexpr char clock_hint[] =
    "Use columns, immutable functions, and now(), CURRENT_TIMESTAMP, CURRENT_DATE or LOCALTIMESTAMP.";

// Whether a stable function returns the start of the transaction and nothing else.
bool is_clock(Oid function) { return function == F_NOW || function == F_TRANSACTION_TIMESTAMP; }

bool is_clock(const SQLValueFunction *value) {
  switch (value->op) {
    case SVFOP_CURRENT_DATE:
    case SVFOP_CURRENT_TIME:
    case SVFOP_CURRENT_TIME_N:
    case SVFOP_CURRENT_TIMESTAMP:
    case SVFOP_CURRENT_TIMESTAMP_N:
    case SVFOP_LOCALTIME:
    case SVFOP_LOCALTIME_N:
    case SVFOP_LOCALTIMESTAMP:
    case SVFOP_LOCALTIMESTAMP_N:
      return true;
    default:
      return false;
  }
}

// Refuses a function whose result may change by itself.
bool check_function(Oid function, void *context) {
  const Walk *walk = static_cast<const Walk *>(context);
  if (is_clock(function)) {
    walk->relations->depends_on_clock = true;
  } else if (func_volatile(function) != PROVOLATILE_IMMUTABLE) {
    refuse(walk->what,
           psprintf("It calls %s, which is %s.", format_procedure(function),
                    func_volatile(function) == PROVOLATILE_STABLE ? "STABLE" : "VOLATILE"),
           clock_hint);
  }
  return false;
}

bool walk_node(Node *node, void *context);
void add_relation_as(SourceRelations *relations, Oid relid, Oid role);

void walk_range_table_entry(const Walk *walk, const RangeTblEntry *entry) {
  if (entry->rtekind != RTE_RELATION) return;
  if (entry->tablesample != nullptr) {
    refuse(walk->what, psprintf("It reads a sample of %s.", relation_name(entry->relid)), "Read the whole table.");
  }
  // On some versions the view itself is in the range table, for OLD and NEW.
  if (entry->relid == walk->relid) return;
  const char kind = get_rel_relkind(entry->relid);
  if (kind != RELKIND_VIEW && kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) {
    refuse(walk->what,
           psprintf("It reads %s, which is not a table or view, so that its changes would go unnoticed.",
                    relation_name(entry->relid)),
           "Read tables instead.");
  }
  if (!compat::owns_relation(entry->relid, walk->role)) {
    refuse(walk->what,
           psprintf("It reads %s, which role \"%s\" does not own.", relation_name(entry->relid), role_name(walk->role)),
           "Give the view and its tables the same owner.");
  }
  add_relation_as(walk->relations, entry->relid, walk->role);
}

// The arguments that a call leaves to their defaults, which are filled in when it is planned.
void walk_default_arguments(const FuncExpr *call, void *context) {
  with_syscache(PROCOID, ObjectIdGetDatum(call->funcid), [&](HeapTuple tuple) {
    if (list_length(call->args) >= reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->pronargs) return;
    walk_node(reinterpret_cast<Node *>(expand_function_arguments(call->args, false, call->funcresulttype, tuple)),
              context);
  });
}

// Refuses a user-defined aggregate, whose functions may do anything whatever its volatility.
void check_aggregate(const Walk *walk, Oid aggregate) {
  if (aggregate < FirstNormalObjectId) return;
  refuse(walk->what, psprintf("It calls %s, a user-defined aggregate.", format_procedure(aggregate)),
         "Use PostgreSQL's own aggregates.");
}

bool walk_node(Node *node, void *context) {
  const Walk *walk = static_cast<const Walk *>(context);
  if (node == nullptr) return false;
  check_stack_depth();
  switch (nodeTag(node)) {
    case T_SQLValueFunction:
      if (!is_clock(reinterpret_cast<const SQLValueFunction *>(node))) {
        refuse(walk->what, "It depends on the current user, role or schema.", clock_hint);
      }
      walk->relations->depends_on_clock = true;
      return false;
    case T_NextValueExpr:
      refuse(walk->what, "It takes the next value of a sequence.", clock_hint);
    case T_CoerceToDomain:
      refuse(walk->what, "It casts to a domain, whose constraints may call any function.",
             "Cast to the domain's base type.");
    case T_RangeTblEntry:
      walk_range_table_entry(walk, reinterpret_cast<const RangeTblEntry *>(node));
      return false;
    case T_Query:
      if (reinterpret_cast<const Query *>(node)->rowMarks != NIL) {
        refuse(walk->what, "It locks rows, which a membership check must not do.", "Remove FOR UPDATE or FOR SHARE.");
      }
      return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(walk_node), context,
                               QTW_EXAMINE_RTES_BEFORE);
    default:
      if (IsA(node, FuncExpr)) walk_default_arguments(reinterpret_cast<const FuncExpr *>(node), context);
      if (IsA(node, Aggref)) check_aggregate(walk, reinterpret_cast<const Aggref *>(node)->aggfnoid);
      if (IsA(node, WindowFunc)) check_aggregate(walk, reinterpret_cast<const WindowFunc *>(node)->winfnoid);
      check_functions_in_node(node, check_function, context);
      return expression_tree_walker(node, compat::tree_walker(walk_node), context);
  }
}

// Whether an expression contains a subquery.
bool has_sublink(Node *node, void *context) {
  if (node == nullptr) return false;
  if (IsA(node, SubLink)) return true;
  return expression_tree_walker(node, compat::tree_walker(has_sublink), context);
}

void add_view(SourceRelations *relations, Oid relid, Oid role) {
  Relation view = relation_open(relid, AccessShareLock);
  relations->views = list_append_unique_oid(relations->views, relid);
  Query *query = get_view_query(view);
  const Oid reader = RelationHasSecurityInvoker(view) ? role : relation_owner(relid);
  Walk walk = {relations, relid, reader, psprintf("view %s", relation_name(relid))};
  walk_node(reinterpret_cast<Node *>(query), &walk);
  relation_close(view, AccessShareLock);
}

void add_table(SourceRelations *relations, Oid relid) {
  List *descendants = find_all_inheritors(relid, NoLock, nullptr);
  const ListCell *cell;
  foreach (cell, descendants) {
    const Oid descendant = lfirst_oid(cell);
    const char kind = get_rel_relkind(descendant);
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) {
      refuse(psprintf("table %s", relation_name(relid)),
             psprintf("Its partition or child %s is a foreign table, so that its changes would go unnoticed.",
                      relation_name(descendant)),
             "Use a table without foreign tables among its partitions and children.");
    }
    relations->tables = list_append_unique_oid(relations->tables, descendant);
  }
}

// Adds a relation and what it reads with the privileges of that role.
void add_relation_as(SourceRelations *relations, Oid relid, Oid role) {
  check_stack_depth();
  const char *what = psprintf("relation %s", relation_name(relid));
  if (relid < FirstNormalObjectId) {
    refuse(what, "It is a system catalog, whose changes would go unnoticed.", "Use tables of your own.");
  }
  if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP) {
    refuse(what, "It is temporary, so that other sessions cannot see it.", "Use a permanent table.");
  }
  switch (get_rel_relkind(relid)) {
    case RELKIND_VIEW:
      add_view(relations, relid, role);
      break;
    case RELKIND_RELATION:
    case RELKIND_PARTITIONED_TABLE:
      add_table(relations, relid);
      break;
    default:
      refuse(what, "It is not a table or view, so that its changes would go unnoticed.",
             "Use a table, or a view on tables.");
  }
}

}  // namespace

void add_relation(SourceRelations *relations, Oid relid) { add_relation_as(relations, relid, relation_owner(relid)); }

void add_condition(SourceRelations *relations, Node *condition) {
  Walk walk = {relations, InvalidOid, InvalidOid, "active"};
  if (has_sublink(condition, nullptr)) {
    refuse(walk.what, "It contains a subquery, whose tables' changes would go unnoticed.",
           "Create a view that joins the tables, and use it as the source.");
  }
  walk_node(condition, &walk);
}

bool has_change_trigger(Oid relid) {
  const Oid function = change_function();
  constexpr int16 type =
      TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
  bool found = false;
  for_catalog_rows(TriggerRelationId, TriggerRelidNameIndexId, Anum_pg_trigger_tgrelid, relid, nullptr,
                   [&](HeapTuple tuple, TupleDesc description) {
                     const Form_pg_trigger form = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple));
                     found |= form->tgfoid == function && form->tgtype == type &&
                              form->tgenabled == TRIGGER_FIRES_ALWAYS && form->tgattr.dim1 == 0 &&
                              heap_attisnull(tuple, Anum_pg_trigger_tgqual, description);
                   });
  return found;
}

}  // namespace rls_tenant
