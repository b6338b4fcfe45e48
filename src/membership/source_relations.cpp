// Walks through views down to tables, and through expressions down to functions. What is not understood is refused.

#include "membership/source_relations.hpp"

#include "context/own_functions.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

// Where the walk is.
struct Walk {
  Reach *reach;
  Oid relid;         // the view whose query it is, or InvalidOid
  Oid role;          // as whom the relations there are read
  const char *what;  // for messages: "active", "view public.v"
};

[[noreturn]] void refuse(const char *what, const char *detail, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s cannot tell of memberships", what),
                  errdetail("%s", detail), errhint("%s", hint)));
  pg_unreachable();
}

constexpr char clock_hint[] =
    "Use columns, immutable functions, and of the clock now(), CURRENT_TIMESTAMP, CURRENT_DATE or LOCALTIMESTAMP.";

// Whether a stable function tells but the start of the transaction.
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
    walk->reach->asks_clock = true;
  } else if (func_volatile(function) != PROVOLATILE_IMMUTABLE) {
    refuse(walk->what,
           psprintf("It calls %s, which is %s.", format_procedure(function),
                    func_volatile(function) == PROVOLATILE_STABLE ? "STABLE" : "VOLATILE"),
           clock_hint);
  }
  return false;
}

bool reach_node(Node *node, void *context);
void reach_as(Reach *reach, Oid relid, Oid role);

void reach_range_table_entry(const Walk *walk, const RangeTblEntry *entry) {
  if (entry->rtekind != RTE_RELATION) return;
  if (entry->tablesample != nullptr) {
    refuse(walk->what, psprintf("It samples %s.", relation_name(entry->relid)), "Read the whole table.");
  }
  // The view itself stands there for OLD and NEW, where it does on this version.
  if (entry->relid == walk->relid) return;
  const char kind = get_rel_relkind(entry->relid);
  if (kind != RELKIND_VIEW && kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) {
    refuse(walk->what,
           psprintf("It reads %s, which is no table or view: its changes are not told.", relation_name(entry->relid)),
           "Read tables instead.");
  }
  if (!compat::owns_relation(entry->relid, walk->role)) {
    refuse(walk->what,
           psprintf("It reads %s, which role \"%s\" does not own.", relation_name(entry->relid),
                    GetUserNameFromId(walk->role, true)),
           "Give the view and its tables one owner.");
  }
  reach_as(walk->reach, entry->relid, walk->role);
}

// The arguments that a call leaves to their defaults, which are filled in when it is planned.
void reach_default_arguments(const FuncExpr *call, void *context) {
  with_syscache(PROCOID, ObjectIdGetDatum(call->funcid), [&](HeapTuple tuple) {
    if (list_length(call->args) >= reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->pronargs) return;
    reach_node(reinterpret_cast<Node *>(expand_function_arguments(call->args, false, call->funcresulttype, tuple)),
               context);
  });
}

// Refuses an aggregate of a user's, whose functions may do anything whatever its label says.
void check_aggregate(const Walk *walk, Oid aggregate) {
  if (aggregate < FirstNormalObjectId) return;
  refuse(walk->what, psprintf("It calls %s, a user-defined aggregate.", format_procedure(aggregate)),
         "Use PostgreSQL's own aggregates.");
}

bool reach_node(Node *node, void *context) {
  const Walk *walk = static_cast<const Walk *>(context);
  if (node == nullptr) return false;
  check_stack_depth();
  switch (nodeTag(node)) {
    case T_SQLValueFunction:
      if (!is_clock(reinterpret_cast<const SQLValueFunction *>(node))) {
        refuse(walk->what, "It asks for the current user, role or schema.", clock_hint);
      }
      walk->reach->asks_clock = true;
      return false;
    case T_NextValueExpr:
      refuse(walk->what, "It takes the next value of a sequence.", clock_hint);
    case T_CoerceToDomain:
      refuse(walk->what, "It casts to a domain, whose constraints may call anything.",
             "Cast to the domain's base type.");
    case T_RangeTblEntry:
      reach_range_table_entry(walk, reinterpret_cast<const RangeTblEntry *>(node));
      return false;
    case T_Query:
      if (reinterpret_cast<const Query *>(node)->rowMarks != NIL) {
        refuse(walk->what, "It locks rows, which a check of membership must not.",
               "Leave FOR UPDATE or FOR SHARE out.");
      }
      return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(reach_node), context,
                               QTW_EXAMINE_RTES_BEFORE);
    default:
      if (IsA(node, FuncExpr)) reach_default_arguments(reinterpret_cast<const FuncExpr *>(node), context);
      if (IsA(node, Aggref)) check_aggregate(walk, reinterpret_cast<const Aggref *>(node)->aggfnoid);
      if (IsA(node, WindowFunc)) check_aggregate(walk, reinterpret_cast<const WindowFunc *>(node)->winfnoid);
      check_functions_in_node(node, check_function, context);
      return expression_tree_walker(node, compat::tree_walker(reach_node), context);
  }
}

// Whether an expression contains a sub-select.
bool has_sublink(Node *node, void *context) {
  if (node == nullptr) return false;
  if (IsA(node, SubLink)) return true;
  return expression_tree_walker(node, compat::tree_walker(has_sublink), context);
}

Oid owner_of(Oid relid) {
  Oid owner = InvalidOid;
  with_syscache(RELOID, ObjectIdGetDatum(relid),
                [&](HeapTuple tuple) { owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner; });
  return owner;
}

void reach_view(Reach *reach, Oid relid, Oid role) {
  Relation view = relation_open(relid, AccessShareLock);
  reach->views = list_append_unique_oid(reach->views, relid);
  Query *query = get_view_query(view);
  const Oid reader = RelationHasSecurityInvoker(view) ? role : owner_of(relid);
  Walk walk = {reach, relid, reader, psprintf("view %s", relation_name(relid))};
  reach_node(reinterpret_cast<Node *>(query), &walk);
  relation_close(view, AccessShareLock);
}

void reach_table(Reach *reach, Oid relid) {
  List *relations = find_all_inheritors(relid, NoLock, nullptr);
  const ListCell *cell;
  foreach (cell, relations) {
    const Oid part = lfirst_oid(cell);
    const char kind = get_rel_relkind(part);
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) {
      refuse(psprintf("table %s", relation_name(relid)),
             psprintf("Its part %s is a foreign table: its changes are not told.", relation_name(part)),
             "Use a table without foreign parts.");
    }
    reach->tables = list_append_unique_oid(reach->tables, part);
  }
}

// Adds what a relation reads when that role asks it.
void reach_as(Reach *reach, Oid relid, Oid role) {
  check_stack_depth();
  const char *what = psprintf("relation %s", relation_name(relid));
  if (relid < FirstNormalObjectId)
    refuse(what, "It is a system catalog: its changes are not told.", "Use tables of your own.");
  if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP) {
    refuse(what, "It is temporary: other sessions do not see it.", "Use a table that stays.");
  }
  switch (get_rel_relkind(relid)) {
    case RELKIND_VIEW:
      reach_view(reach, relid, role);
      break;
    case RELKIND_RELATION:
    case RELKIND_PARTITIONED_TABLE:
      reach_table(reach, relid);
      break;
    default:
      refuse(what, "It is no table or view: its changes are not told.", "Use a table, or a view on tables.");
  }
}

}  // namespace

void reach_relation(Reach *reach, Oid relid) { reach_as(reach, relid, owner_of(relid)); }

void reach_condition(Reach *reach, Node *condition) {
  Walk walk = {reach, InvalidOid, InvalidOid, "active"};
  if (has_sublink(condition, nullptr)) {
    refuse(walk.what, "It contains a sub-select, whose tables' changes would not be told.",
           "Make a view that joins them, and use that as the source.");
  }
  reach_node(condition, &walk);
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
