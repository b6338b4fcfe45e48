// The planner's view of a context function: current_tenant_uuid() becomes whatever is best in this plan.
//
// In a plan that is kept that is the fast call, which reads the value parsed once for the transaction. In a query on a
// partitioned or foreign table, and in a plan that is run once, it is the value itself, so that the planner prunes
// partitions, ships the condition and sees what a hand-written condition shows it. Such a plan holds for one context:
// PostgreSQL drops it when the context changes, and ExecutorStart refuses it should it turn up again.

#include "query/plan_constant.hpp"

#include "context/context_const.hpp"
#include "context/own_functions.hpp"
#include "context/read_watch.hpp"
#include "postgres/transaction_end.hpp"

namespace rls_tenant {

namespace {

enum PlanConstants { constants_auto, constants_off };
const config_enum_entry constants_options[] = {
    {"auto", constants_auto, false}, {"off", constants_off, false}, {nullptr, 0, false}};
int plan_constants = constants_auto;

// What plans hold of a setting. To drop some, PostgreSQL looks at every plan that the session keeps, so that it is told
// to only where one of them may hold a value.
struct Planned {
  bool live;          // there may be such plans that are kept
  bool passing;       // some of which may not be kept for the next query
  int starting;       // so many to be run once have been made, each of which may turn out to be kept when it starts
  uint32 generation;  // of the value; plans with an older one are out of date
  char text[max_context_bytes + 1];
};
Planned planned[setting_count];

bool is_planned(const Planned &state, const ContextValue *value) {
  return state.generation != 0 && strcmp(state.text, value != nullptr ? value->bytes() : "") == 0;
}

// Drops the plans that hold a setting's value, if there are any.
void drop_plans_of(Planned *state) {
  if (!state->live && state->starting == 0) return;
  state->live = state->passing = false;
  state->starting = 0;
  drop_marked_plans();
}

// Where nothing is set now, a plan can stay for the same tenant's next transaction: reading raises until then.
void drop_outdated_plans(Setting setting) {
  Planned &state = planned[static_cast<int>(setting)];
  if (!state.live && state.starting == 0) return;
  const ContextValue *now = present_context(setting);
  if (!state.passing && ((now == nullptr && missing_context_raises()) || is_planned(state, now))) return;
  drop_plans_of(&state);
}

// A generation for the value that plans are to hold from now on.
void begin_generation(Planned *state, const ContextValue *value) {
  drop_plans_of(state);
  // Used up, they begin again: what could still have the old one has been dropped, or belongs to a statement that runs.
  state->generation = state->generation % last_generation + 1;
  if (value != nullptr) {
    memcpy(state->text, value->bytes(), value->length() + 1);
  } else {
    state->text[0] = '\0';
  }
}

// Whether a call in what the planner simplifies may become a constant. Once it has set up the query's relations, it is
// a CHECK constraint that it simplifies: that held for the context of each row when this was written, and taken for the
// present one it would prove that rows of others are not there.
bool wants_constant(const PlannerInfo *root) {
  if (root == nullptr || root->parse == nullptr || root->glob == nullptr) return false;
  return root->simple_rel_array == nullptr && reads_for_constant(root->parse);
}

// The value of the context for a plan, or nullptr. Reading it binds the transaction. A transaction that may change its
// tenant keeps plans in call sites of functions, where nothing could drop them in time: it gets none.
Node *plan_value(Setting setting, IdType type, const FuncExpr *call, Lifetime lifetime, List **marks) {
  if (plan_constants == constants_off || !one_tenant_per_transaction()) return nullptr;
  if (present_context(setting) == nullptr) return nullptr;
  const ContextValue *value = read_for_marked_plan(setting);
  Planned &state = planned[static_cast<int>(setting)];
  if (!is_planned(state, value)) begin_generation(&state, value);
  Const *constant = context_const(value, type, call->funccollid);
  if (constant == nullptr) return nullptr;  // the fast call says so when it is asked
  constant->location = constant_location(setting);
  const bool is_first = add_plan_mark(marks, {setting, lifetime, state.generation});
  if (lifetime == Lifetime::kept) state.live = true;
  if (lifetime == Lifetime::run_once && is_first) state.starting++;
  return reinterpret_cast<Node *>(constant);
}

Oid fast_function(Setting setting, IdType type) { return setting_functions(setting)->fast[static_cast<int>(type)]; }

// The expression that takes the place of a call, or nullptr. Only a call whose argument is our own setting function
// (the default) speaks of the context; an argument that a user wrote is theirs.
Node *replacement(PlannerInfo *root, const FuncExpr *call) {
  Setting setting;
  IdType type;
  if (list_length(call->args) != 1 || !is_context_call(call, &setting, &type)) return nullptr;
  if (wants_constant(root)) {
    Node *constant = plan_value(setting, type, call, Lifetime::kept, &root->glob->invalItems);
    if (constant != nullptr) return constant;
  }
  const Oid fast = fast_function(setting, type);
  if (!OidIsValid(fast)) return nullptr;
  FuncExpr *result = makeFuncExpr(fast, call->funcresulttype, NIL, call->funccollid, InvalidOid, COERCE_EXPLICIT_CALL);
  result->location = call->location;
  return reinterpret_cast<Node *>(result);
}

// Whether a plan that starts now is kept for another time: a statement of the simple protocol has not made it for
// itself.
bool is_kept(const PlannedStmt *plan) {
  const Portal portal = ActivePortal;
  if (!PortalIsValid(portal) || !list_member_ptr(portal->stmts, plan)) return true;
  return portal->cplan != nullptr && portal->cplan->is_saved;
}

// Whether PL/pgSQL may evaluate a plan as an expression.
bool is_expression(const PlannedStmt *plan) {
  const Plan *top = plan->planTree;
  if (IsA(top, Gather)) top = outerPlan(top);
  return IsA(top, Result);
}

}  // namespace

bool may_keep_passing_plans = false;

// Whether a query reads a table of which the planner makes more with a constant. Rows that are only inserted find their
// partition when the plan runs.
bool reads_for_constant(const Query *query) {
  int index = 0;
  const ListCell *cell;
  foreach (cell, query->rtable) {
    const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
    index++;
    if (entry->rtekind != RTE_RELATION) continue;
    if (entry->relkind != RELKIND_PARTITIONED_TABLE && entry->relkind != RELKIND_FOREIGN_TABLE) continue;
    if (query->commandType != CMD_INSERT || index != query->resultRelation) return true;
  }
  return false;
}

Oid fast_function(const FuncExpr *call) {
  Setting setting;
  IdType type;
  const bool is_default = call->args == NIL && is_getter(call->funcid, &setting, &type);
  return is_default ? fast_function(setting, type) : InvalidOid;
}

Node *context_constant(const Node *node, Lifetime lifetime, List **marks) {
  if (!IsA(node, FuncExpr)) return nullptr;
  const FuncExpr *call = reinterpret_cast<const FuncExpr *>(node);
  Setting setting;
  IdType type;
  if (call->args != NIL || !is_getter(call->funcid, &setting, &type)) return nullptr;
  return plan_value(setting, type, call, lifetime, marks);
}

// Whatever plan_constants and one_tenant_per_transaction say: the results are in the plan. It is kept as one that holds
// a value, but for three kinds: an expression of PL/pgSQL, which is evaluated without being started, so that nobody
// would refuse it nor learn of what it has read; what was made without a value, where reading raises: the function has
// a SET clause, or caught the error; and what was read for a user, who may lose a membership.
void mark_reads(PlannedStmt *plan, SettingSet read) {
  for (Setting setting : all_settings) {
    if ((read & setting_bit(setting)) == 0) continue;
    Planned &state = planned[static_cast<int>(setting)];
    const ContextValue *now = present_context(setting);
    const bool without_value = now == nullptr && missing_context_raises();
    if (!without_value && !is_planned(state, now)) begin_generation(&state, now);
    const bool passing = without_value || setting == Setting::user || is_expression(plan);
    add_plan_mark(&plan->invalItems,
                  {setting, passing ? Lifetime::for_statement : Lifetime::kept, without_value ? 0 : state.generation});
    state.live = true;
    if (passing) state.passing = may_keep_passing_plans = true;
  }
}

void drop_passing_plans_slow() {
  may_keep_passing_plans = false;
  for (Planned &state : planned) {
    if (state.passing) drop_plans_of(&state);
  }
}

void check_plan_constants(const PlannedStmt *plan) {
  const ListCell *cell;
  foreach (cell, plan->invalItems) {
    PlanMark mark;
    if (!read_plan_mark(lfirst_node(PlanInvalItem, cell), &mark)) continue;
    Planned &state = planned[static_cast<int>(mark.setting)];
    if (mark.lifetime == Lifetime::for_statement) state.live = state.passing = may_keep_passing_plans = true;
    if (mark.generation == 0) continue;
    const ContextValue *now = read_context(mark.setting);  // which raises where nothing is set
    if (mark.generation == state.generation && is_planned(state, now)) {
      // It may have been out of PostgreSQL's reach when the others were dropped.
      if (mark.lifetime == Lifetime::kept) state.live = true;
      if (mark.lifetime == Lifetime::run_once) {
        if (state.starting > 0) state.starting--;
        if (is_kept(plan)) state.live = true;
      }
      continue;
    }
    drop_marked_plans();
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("cached plan was made for another %s", setting_word(mark.setting)),
                    errdetail("It holds the value that %s had then.", setting_name(mark.setting)),
                    errhint("Run the statement again; if that does not help, SET rls_tenant.plan_constants = off.")));
  }
}

const char *planned_value(Setting setting) {
  const Planned &state = planned[static_cast<int>(setting)];
  return state.live && state.text[0] != '\0' ? state.text : nullptr;
}

void plan_constant_init() {
  DefineCustomEnumVariable("rls_tenant.plan_constants", "Whether plans hold the value of the context.",
                           "auto: those that run once do, and those for partitioned and foreign tables, which are made "
                           "again when it changes; off: all ask for it when they run.",
                           &plan_constants, constants_auto, constants_options, PGC_USERSET, 0, nullptr, nullptr,
                           nullptr);
  on_context_change(drop_outdated_plans);
  at_end_of_transaction([](XactEvent) { drop_passing_plans(); });
}

RT_FUNCTION(rls_tenant_context_support) {
  Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSimplify)) PG_RETURN_POINTER(nullptr);
  const SupportRequestSimplify *simplify = reinterpret_cast<SupportRequestSimplify *>(request);
  PG_RETURN_POINTER(replacement(simplify->root, simplify->fcall));
}

// true: what a policy that calls it says beside is for other policies to hold.
RT_FUNCTION(rls_tenant_with_tenant_isolation) { PG_RETURN_BOOL(true); }

RT_FUNCTION(rls_tenant_tenant_isolation_support) {
  Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSimplify)) PG_RETURN_POINTER(nullptr);
  PG_RETURN_POINTER(makeBoolConst(true, false));
}

}  // namespace rls_tenant
