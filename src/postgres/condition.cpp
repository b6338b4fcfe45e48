// Conditions in SQL, by PostgreSQL's own parser and deparser.

#include "postgres/condition.hpp"

#include "postgres/with_settings.hpp"

namespace rls_tenant {

namespace {

// Lets an error point into the condition instead of the statement that calls us.
void point_into_condition(void *text) {
  const int position = geterrposition();
  if (position > 0) {
    errposition(0);
    internalerrposition(position);
    internalerrquery(static_cast<const char *>(text));
  }
}

// Whether a target is an expression without more: "a b" reads as a AS b (an AND was forgotten), and * is no expression.
bool is_plain_target(const ResTarget *target) {
  if (target->name != nullptr) return false;
  if (!IsA(target->val, ColumnRef)) return true;
  return !IsA(llast(reinterpret_cast<const ColumnRef *>(target->val)->fields), A_Star);
}

}  // namespace

Node *parse_condition(Relation relation, const char *text, const char *what, const char *hint) {
  ErrorContextCallback callback = {error_context_stack, point_into_condition, const_cast<char *>(text)};
  error_context_stack = &callback;
  List *parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
  const SelectStmt *select = castNode(SelectStmt, linitial_node(RawStmt, parsed)->stmt);
  if (list_length(select->targetList) != 1 || select->fromClause != NIL || select->whereClause != nullptr ||
      select->groupClause != NIL || select->havingClause != nullptr || select->windowClause != NIL ||
      select->sortClause != NIL || select->limitCount != nullptr || select->limitOffset != nullptr ||
      select->lockingClause != NIL || select->distinctClause != NIL || select->op != SETOP_NONE ||
      !is_plain_target(linitial_node(ResTarget, select->targetList))) {
    ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("%s must be one condition", what),
                    errdetail("It reads: %s", text), errhint("%s", hint)));
  }
  ParseState *state = make_parsestate(nullptr);
  state->p_sourcetext = text;
  ParseNamespaceItem *item = addRangeTableEntryForRelation(state, relation, AccessShareLock, nullptr, false, false);
  addNSItemToQuery(state, item, false, true, true);
  Node *result = transformWhereClause(state, linitial_node(ResTarget, select->targetList)->val, EXPR_KIND_POLICY, what);
  assign_expr_collations(state, result);
  free_parsestate(state);
  error_context_stack = callback.previous;
  return result;
}

const char *deparse_condition(Relation relation, Node *expression) {
  List *context = deparse_context_for(RelationGetRelationName(relation), RelationGetRelid(relation));
  const char *text = nullptr;
  with_settings({{"search_path", "pg_catalog"}}, [&] { text = deparse_expression(expression, context, false, false); });
  return text;
}

const char *deparse_condition(Oid relid, Node *expression) {
  Relation relation = expression != nullptr ? try_relation_open(relid, AccessShareLock) : nullptr;
  if (relation == nullptr) return nullptr;
  const char *text = deparse_condition(relation, expression);
  relation_close(relation, AccessShareLock);
  return text;
}

}  // namespace rls_tenant
