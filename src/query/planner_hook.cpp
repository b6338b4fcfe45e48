// The life of a query in the planner, step by step:
//
// 1. What policies have put into the query is made short, as it can be no more once PostgreSQL has begun to plan. It is
//    known first whether the plan will be kept, which decides whether it may hold values of the context.
// 2. PostgreSQL plans, or the next module's hook, which sees a query that is no longer than it must be. Membership
//    functions that are called meanwhile are called for an estimate.
// 3. The plan is marked with the values that step 1 has put into the query, and with what functions have read that
//    PostgreSQL has evaluated, since PostgreSQL gives it a list of
//    dependencies only when it is made. Nothing may come between that uses or keeps the plan.
// 4. Bitmap scans check memberships once: it takes the finished plan to know which index conditions have come of them.

#include "query/planner_hook.hpp"

#include "context/read_watch.hpp"
#include "membership/bitmap_recheck.hpp"
#include "membership/membership_functions.hpp"
#include "query/plan_constant.hpp"
#include "query/shorten_query.hpp"

namespace rls_tenant {

namespace {

post_parse_analyze_hook_type previous_analyze = nullptr;
planner_hook_type previous_planner = nullptr;

const Query *analyzed = nullptr;  // what was parsed last, if it is to be planned and was not yet

// Step 0: PostgreSQL keeps the plans of copies, so that it must be known which query has been parsed itself.
void note_analyzed(ParseState *state, Query *query, JumbleState *jumble) {
  if (previous_analyze != nullptr) previous_analyze(state, query, jumble);
  analyzed = query->commandType != CMD_UTILITY ? query : nullptr;
}

bool has_parameters(Node *node, void *) {
  if (node == nullptr) return false;
  if (IsA(node, Param)) return reinterpret_cast<Param *>(node)->paramkind == PARAM_EXTERN;
  if (IsA(node, Query)) {
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(has_parameters), nullptr, 0);
  }
  return expression_tree_walker(node, compat::tree_walker(has_parameters), nullptr);
}

// Whether a statement plans its query to run it once. EXPLAIN (GENERIC_PLAN) shows a plan that is kept. (Up
// to 17 no hook learns of what the others than EXPLAIN and COPY parse, so their plans ask.)
bool plans_once(CommandTag tag, Query *query) {
  switch (tag) {
    case CMDTAG_EXPLAIN:
      return !has_parameters(reinterpret_cast<Node *>(query), nullptr);
    case CMDTAG_DECLARE_CURSOR:
    case CMDTAG_CREATE_TABLE_AS:
    case CMDTAG_COPY:
      return true;
    default:
      return false;
  }
}

// Whether a plan is thrown away after its first run. With given parameters it always is. Without, PostgreSQL keeps
// plans of copies of a query, so what it plans as it was parsed comes from the simple protocol or one of those
// statements (or, once after a change, from a kept statement: check_plan_constants() sees to that).
Lifetime lifetime_of(Query *query, ParamListInfo parameters) {
  const bool as_parsed = query == analyzed;
  analyzed = nullptr;
  if (parameters != nullptr) return Lifetime::thrown_away;
  if (as_parsed && (ActivePortal == nullptr || plans_once(ActivePortal->commandTag, query))) return Lifetime::run_once;
  return Lifetime::kept;
}

PlannedStmt *plan_query(Query *query, const char *text, int options, ParamListInfo parameters) {
  const auto next = previous_planner != nullptr ? previous_planner : standard_planner;
  List *marks = NIL;
  shorten_query(query, lifetime_of(query, parameters), &marks);
  PlannedStmt *volatile made = nullptr;
  const SettingSet read = watch_reads([&] { made = plan_with_estimates(next, query, text, options, parameters); });
  PlannedStmt *plan = made;
  plan->invalItems = list_concat(plan->invalItems, marks);
  if (read != 0) mark_reads(plan, read);
  recheck_bitmap_scans(plan);
  return plan;
}

}  // namespace

void planner_hook_init() {
  previous_analyze = post_parse_analyze_hook;
  post_parse_analyze_hook = note_analyzed;
  previous_planner = planner_hook;
  planner_hook = plan_query;
}

}  // namespace rls_tenant
