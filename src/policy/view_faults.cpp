// Reading the queries of views, down to tables, as the roles with whose rights they run.

#include "policy/view_faults.hpp"

#include <initializer_list>

#include "policy/fault.hpp"
#include "postgres/expression.hpp"

namespace rls_tenant {

namespace {

// A view that has been read, and the role that its security_invoker would stand for.
struct Visit {
  Oid view;
  Oid role;
};

// The walk through what a view reads.
struct Walk {
  TenancyReader *reader;
  bool any_role;    // a materialized view: its contents are for all
  List *visits;     // of Visit: views can read each other, and one below many times over
  List *found;      // the tenant tables that are read past their policies
  Oid bypass;       // as whom the first of them is
  List *functions;  // of a materialized view: those called that could read tenant tables, too
};

// Whether a role counts as the owner of a table whose row-level security is not forced.
bool is_unforced_owner(const Tenancy &table, Oid role) {
  return OidIsValid(role) && !table.relation.forced && has_privs_of_role(role, table.relation.owner);
}

// Whether a view's options say security_invoker.
bool is_security_invoker(Oid relid, Snapshot snapshot) {
  bool result = false;
  const auto read = [&](HeapTuple tuple, TupleDesc description) {
    bool isnull;
    const Datum options = heap_getattr(tuple, Anum_pg_class_reloptions, description, &isnull);
    if (isnull) return;
    List *list = untransformRelOptions(options);
    const ListCell *cell;
    foreach (cell, list) {
      DefElem *option = lfirst_node(DefElem, cell);
      if (strcmp(option->defname, "security_invoker") == 0) result = defGetBoolean(option);
    }
  };
  for_catalog_rows(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relid, snapshot, read);
  return result;
}

// Whether a view is read for the first time as that role; notes it.
bool is_first_visit(Walk *walk, Oid view, Oid role) {
  const ListCell *cell;
  foreach (cell, walk->visits) {
    const Visit *visit = static_cast<const Visit *>(lfirst(cell));
    if (visit->view == view && visit->role == role) return false;
  }
  Visit *visit = static_cast<Visit *>(palloc(sizeof(Visit)));
  *visit = {view, role};
  walk->visits = lappend(walk->visits, visit);
  return true;
}

// Runs fn(rule, the trees of its action and condition) on the rules of a relation: on a view's query, or on what a view
// or table makes of other statements.
template <typename Fn>
void for_rules(Oid relid, bool of_query, Snapshot snapshot, Fn fn) {
  const auto read = [&](HeapTuple tuple, TupleDesc description) {
    const Form_pg_rewrite rule = reinterpret_cast<Form_pg_rewrite>(GETSTRUCT(tuple));
    constexpr char on_select = '0' + CMD_SELECT;
    if ((rule->ev_type == on_select) != of_query) return;
    List *trees = NIL;
    for (AttrNumber column : {Anum_pg_rewrite_ev_action, Anum_pg_rewrite_ev_qual}) {
      bool isnull;
      const Datum tree = heap_getattr(tuple, column, description, &isnull);
      if (!isnull) trees = lappend(trees, stringToNode(TextDatumGetCString(tree)));
    }
    fn(rule, reinterpret_cast<Node *>(trees));
  };
  for_catalog_rows(RewriteRelationId, RewriteRelRulenameIndexId, Anum_pg_rewrite_ev_class, relid, snapshot, read);
}

// PostgreSQL's functions that run a query that they are given, or read a table by its name.
bool runs_sql(Oid function) {
  switch (function) {
    case F_QUERY_TO_XML:
    case F_QUERY_TO_XML_AND_XMLSCHEMA:
    case F_TABLE_TO_XML:
    case F_TABLE_TO_XML_AND_XMLSCHEMA:
    case F_SCHEMA_TO_XML:
    case F_SCHEMA_TO_XML_AND_XMLSCHEMA:
    case F_DATABASE_TO_XML:
    case F_DATABASE_TO_XML_AND_XMLSCHEMA:
    case F_CURSOR_TO_XML:
    case F_TS_STAT_TEXT:
    case F_TS_STAT_TEXT_TEXT:
    case F_TS_REWRITE_TSQUERY_TEXT:
      return true;
    default:
      return false;
  }
}

// Whether a function could read a tenant table: whatever is neither PostgreSQL's own nor an extension's IMMUTABLE one.
bool may_read_tables(Oid function) {
  if (function < FirstNormalObjectId) return runs_sql(function);
  bool is_immutable = false;
  with_syscache(PROCOID, ObjectIdGetDatum(function), [&](HeapTuple tuple) {
    is_immutable = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->provolatile == PROVOLATILE_IMMUTABLE;
  });
  return !is_immutable || !in_trusted_extension(ProcedureRelationId, function);
}

// Notes the functions of a query that could read a tenant table.
void note_functions(Walk *walk, Node *tree) {
  List *functions = functions_in(tree);
  const ListCell *cell;
  foreach (cell, functions) {
    if (may_read_tables(lfirst_oid(cell))) walk->functions = list_append_unique_oid(walk->functions, lfirst_oid(cell));
  }
}

const char *function_names(const List *functions) {
  StringInfoData names;
  initStringInfo(&names);
  const ListCell *cell;
  foreach (cell, functions)
    appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", format_procedure_qualified(lfirst_oid(cell)));
  return names.data;
}

void read_view(Walk *walk, Oid view, Oid role);

// Finds the tenant tables among the relations that a rule of a relation names, and below views among them, that are
// read as a role past their policies.
void read_relations(Walk *walk, Oid of, Node *tree, Oid reads_as) {
  const ListCell *cell;
  List *relations = list_delete_oid(relations_in(tree), of);
  foreach (cell, relations) {
    const Oid relid = lfirst_oid(cell);
    if (relation_row(relid, walk->reader->snapshot).kind == RELKIND_VIEW) {
      read_view(walk, relid, reads_as);
      continue;
    }
    const Tenancy &table = tenancy_of(walk->reader, relid);
    const bool passes = walk->any_role || has_bypassrls_privilege(reads_as) || is_unforced_owner(table, reads_as);
    if (!passes || !keeps_tenants(table)) continue;
    if (walk->found == NIL) walk->bypass = reads_as;
    walk->found = list_append_unique_oid(walk->found, relid);
  }
}

// Reads a view's query, as its owner or, with security_invoker, as that role.
void read_view(Walk *walk, Oid view, Oid role) {
  check_stack_depth();
  CHECK_FOR_INTERRUPTS();
  if (!is_first_visit(walk, view, role)) return;
  const Snapshot snapshot = walk->reader->snapshot;
  const Oid reads_as = is_security_invoker(view, snapshot) ? role : relation_row(view, snapshot).owner;
  for_rules(view, true, snapshot, [&](Form_pg_rewrite, Node *tree) {
    if (walk->any_role) note_functions(walk, tree);
    read_relations(walk, view, tree, reads_as);
  });
}

}  // namespace

void check_rule_owner(List **faults, const Tenancy &relation) {
  for_rules(relation.relid, false, relation.reader->snapshot, [&](Form_pg_rewrite rule, Node *tree) {
    Walk walk = {relation.reader, false};
    read_relations(&walk, relation.relid, tree, relation.relation.owner);
    if (walk.found == NIL) return;
    const char *name = quote_identifier(pstrdup(NameStr(rule->rulename)));
    add_fault(faults, RT_RULE(view_bypass),
              psprintf("its rule %s reads or writes %s as role \"%s\", to which no policy applies", name,
                       relation_names(walk.found), role_name(walk.bypass)),
              psprintf("DROP RULE %s ON %s; /* use a trigger */", name, relation_name(relation.relid)));
  });
}

// The fault names all tables: where the transaction adds one, that is new.
List *view_faults(const Tenancy &view) {
  const bool is_materialized = view.relation.kind == RELKIND_MATVIEW;
  Walk walk = {view.reader, is_materialized};
  read_view(&walk, view.relid, InvalidOid);
  List *faults = NIL;
  const char *name = relation_name(view.relid);
  if (walk.found != NIL && is_materialized) {
    add_fault(&faults, RT_RULE(matview),
              psprintf("it stores rows of %s, and no policy restricts who reads them", relation_names(walk.found)),
              psprintf("DROP MATERIALIZED VIEW %s; /* use a table under protect() */", name));
  } else if (walk.found != NIL) {
    add_fault(&faults, RT_RULE(view_bypass),
              psprintf("it reads %s as role \"%s\", to which no policy applies", relation_names(walk.found),
                       role_name(walk.bypass)),
              psprintf("ALTER VIEW %s SET (security_invoker = on);", name));
  }
  if (walk.functions != NIL) {
    add_fault(
        &faults, RT_RULE(matview),
        psprintf("it stores what %s reads, which may be rows of tenant tables, and no policy restricts who reads "
                 "them",
                 function_names(walk.functions)),
        psprintf("DROP MATERIALIZED VIEW %s; /* write the tables into its query instead of the function */", name));
  }
  check_rule_owner(&faults, view);
  return faults;
}

}  // namespace rls_tenant
