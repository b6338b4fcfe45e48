// The planner's view of a context function: current_tenant_uuid() becomes whatever is best in this plan.
//
// Usually that is the fast call, which reads the value parsed once for the transaction. In a query on a partitioned or
// foreign table it is the value itself, so that the planner prunes partitions and ships the condition. Such a plan
// holds for one context: PostgreSQL drops it when the context changes, and ExecutorStart refuses it should it turn up
// again.
//
// Before a query is planned, what policies have put into it is made as short as it can be: planning them is most of
// what they cost.

#include "plan_constant.hpp"

#include "functions.hpp"

namespace rls_tenant {

namespace {

enum PlanConstants { constants_auto, constants_off };
const config_enum_entry constants_options[] = {
    {"auto", constants_auto, false}, {"off", constants_off, false}, {nullptr, 0, false}};
int plan_constants = constants_auto;

// What plans hold of a setting.
struct Planned {
  bool live;          // there may be such plans
  uint32 generation;  // of the value; plans with an older one are out of date
  char text[max_context_bytes + 1];
};
Planned planned[setting_count];
constexpr uint32 last_generation = UINT32_MAX >> constant_setting_bits;

bool is_planned(const Planned &state, const ContextValue *value) {
  return value != nullptr && strcmp(state.text, value->bytes()) == 0;
}

void drop_constant_plans() { CallSyscacheCallbacks(PROCOID, constant_plan_hash); }

// Where nothing is set now, a plan can stay for the same tenant's next transaction: reading raises until then.
void on_context_change(Setting setting) {
  Planned &state = planned[static_cast<int>(setting)];
  if (!state.live) return;
  const ContextValue *now = present_context(setting);
  if ((now == nullptr && missing_context_raises()) || is_planned(state, now)) return;
  state.live = false;
  drop_constant_plans();
}

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

// Whether a call in what the planner simplifies may become a constant. Once it has set up the query's relations, it is
// a CHECK constraint that it simplifies: that held for the context of each row when this was written, and taken for the
// present one it would prove that rows of others are not there.
bool wants_constant(const PlannerInfo *root) {
  if (root == nullptr || root->parse == nullptr || root->glob == nullptr) return false;
  return root->simple_rel_array == nullptr && reads_for_constant(root->parse);
}

void mark(PlannerGlobal *glob, int cache, uint32 hash) {
  const ListCell *cell;
  foreach (cell, glob->invalItems) {
    const PlanInvalItem *item = lfirst_node(PlanInvalItem, cell);
    if (item->cacheId == cache && item->hashValue == hash) return;
  }
  PlanInvalItem *item = makeNode(PlanInvalItem);
  item->cacheId = cache;
  item->hashValue = hash;
  glob->invalItems = lappend(glob->invalItems, item);
}

// The value as a constant; nullptr if it is none of that type (the fast call says so when it is asked).
Node *make_constant(const ContextValue *value, int getter, const FuncExpr *call) {
  switch (static_cast<Getter>(getter)) {
    case Getter::uuid: {
      if (!value->is_uuid) return nullptr;
      pg_uuid_t *copy = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
      *copy = value->uuid;
      return reinterpret_cast<Node *>(makeConst(UUIDOID, -1, InvalidOid, UUID_LEN, UUIDPGetDatum(copy), false, false));
    }
    case Getter::bigint:
      if (!value->is_bigint) return nullptr;
      return reinterpret_cast<Node *>(
          makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value->bigint), false, FLOAT8PASSBYVAL));
    default:
      return reinterpret_cast<Node *>(
          makeConst(TEXTOID, -1, call->funccollid, -1,
                    PointerGetDatum(cstring_to_text_with_len(value->bytes(), value->length())), false, false));
  }
}

// The value of the context for a plan of this query, or nullptr. Reading it binds the transaction. A transaction that
// may change its tenant keeps plans in call sites of functions, where nothing could drop them in time: it gets none.
Node *plan_value(PlannerInfo *root, Setting setting, int getter, const FuncExpr *call) {
  if (plan_constants == constants_off || !one_tenant_per_transaction() || !wants_constant(root)) return nullptr;
  if (present_context(setting) == nullptr) return nullptr;
  const ContextValue *value = read_context(setting);
  Planned &state = planned[static_cast<int>(setting)];
  if (!is_planned(state, value)) {
    if (state.generation == last_generation) return nullptr;
    if (state.live) drop_constant_plans();
    state.generation++;
    memcpy(state.text, value->bytes(), value->length() + 1);
  }
  state.live = true;
  Node *constant = make_constant(value, getter, call);
  if (constant == nullptr) return nullptr;
  mark(root->glob, PROCOID, constant_plan_hash);
  mark(root->glob, constant_plan_cache, state.generation << constant_setting_bits | static_cast<uint32>(setting));
  return constant;
}

// Which context function a call is, and of which setting; false if it is none.
bool identify(Oid function, Setting *setting, int *getter) {
  for (Setting candidate : all_settings) {
    const SettingFunctions *functions = setting_functions(candidate);
    for (int i = 0; i < getter_count; i++) {
      if (functions->getter[i] != function || !OidIsValid(function)) continue;
      *setting = candidate;
      *getter = i;
      return true;
    }
  }
  return false;
}

// The expression that takes the place of a call, or nullptr. Only a call whose argument is our own setting function
// (the default) speaks of the context; an argument that a user wrote is theirs.
Node *replacement(PlannerInfo *root, const FuncExpr *call) {
  Setting setting;
  int getter;
  if (list_length(call->args) != 1 || !identify(call->funcid, &setting, &getter)) return nullptr;
  const SettingFunctions *functions = setting_functions(setting);
  const Node *argument = static_cast<const Node *>(linitial(call->args));
  if (!IsA(argument, FuncExpr)) return nullptr;
  if (reinterpret_cast<const FuncExpr *>(argument)->funcid != functions->setting) return nullptr;
  Node *constant = plan_value(root, setting, getter, call);
  if (constant != nullptr) return constant;
  const Oid fast = setting_functions(setting)->fast[getter];
  if (!OidIsValid(fast)) return nullptr;
  FuncExpr *result = makeFuncExpr(fast, call->funcresulttype, NIL, call->funccollid, InvalidOid, COERCE_EXPLICIT_CALL);
  result->location = call->location;
  return reinterpret_cast<Node *>(result);
}

// Puts fast calls in the place of calls without argument.
bool shorten_calls(Node *node, void *) {
  Setting setting;
  int getter;
  if (node == nullptr) return false;
  if (!IsA(node, FuncExpr)) return expression_tree_walker(node, compat::tree_walker(shorten_calls), nullptr);
  FuncExpr *call = reinterpret_cast<FuncExpr *>(node);
  if (call->args != NIL) return expression_tree_walker(node, compat::tree_walker(shorten_calls), nullptr);
  if (!identify(call->funcid, &setting, &getter)) return false;
  const Oid fast = setting_functions(setting)->fast[getter];
  if (OidIsValid(fast)) call->funcid = fast;
  return false;
}

// Whether a check before this one asks the same of the same rows, and got the same answer.
bool is_repeated(const List *checks, const WithCheckOption *check) {
  const ListCell *cell;
  foreach (cell, checks) {
    const WithCheckOption *before = lfirst_node(WithCheckOption, cell);
    if (before == check) return false;
    if (before->kind == check->kind && strcmp(before->relname, check->relname) == 0 &&
        equal(before->qual, check->qual)) {
      return !contain_volatile_functions(check->qual);
    }
  }
  return false;
}

// Takes out what policies say without need: isolated() alone, which is always true, and checks that are made already,
// as those of tenant_isolation are where tenant_access says the same.
void drop_needless(Query *query) {
  ListCell *cell, *inner;
  foreach (cell, query->rtable) {
    RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
    foreach (inner, entry->securityQuals) {
      if (!is_isolated_call(static_cast<const Node *>(lfirst(inner)))) continue;
      entry->securityQuals = foreach_delete_current(entry->securityQuals, inner);
    }
  }
  foreach (cell, query->withCheckOptions) {
    const WithCheckOption *check = lfirst_node(WithCheckOption, cell);
    if (!is_isolated_call(check->qual) && !is_repeated(query->withCheckOptions, check)) continue;
    query->withCheckOptions = foreach_delete_current(query->withCheckOptions, cell);
  }
}

// Where no constant is wanted what policies and defaults call is the fast call from the beginning: of a call whose
// argument was left out PostgreSQL would read the default's expression from the catalog, each time, before the support
// function is asked.
void shorten_query(Query *query) {
  const ListCell *cell;
  foreach (cell, query->rtable) {
    const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
    if (entry->securityQuals != NIL) shorten_calls(reinterpret_cast<Node *>(entry->securityQuals), nullptr);
  }
  foreach (cell, query->withCheckOptions) shorten_calls(lfirst_node(WithCheckOption, cell)->qual, nullptr);
  if (query->commandType == CMD_INSERT) shorten_calls(reinterpret_cast<Node *>(query->targetList), nullptr);
}

planner_hook_type previous_planner = nullptr;

// The planner may do as it likes with the query: whoever keeps one hands it a copy.
PlannedStmt *plan_query(Query *query, const char *text, int options, ParamListInfo parameters) {
  drop_needless(query);
  if (!reads_for_constant(query)) shorten_query(query);
  const auto next = previous_planner != nullptr ? previous_planner : standard_planner;
  return next(query, text, options, parameters);
}

}  // namespace

void check_plan_constants(const PlannedStmt *plan) {
  const ListCell *cell;
  foreach (cell, plan->invalItems) {
    const PlanInvalItem *item = lfirst_node(PlanInvalItem, cell);
    if (item->cacheId != constant_plan_cache) continue;
    const Setting setting = static_cast<Setting>(item->hashValue & ((1u << constant_setting_bits) - 1));
    Planned &state = planned[static_cast<int>(setting)];
    const ContextValue *now = read_context(setting);  // which raises where nothing is set
    if (item->hashValue >> constant_setting_bits == state.generation && is_planned(state, now)) {
      state.live = true;  // it may have been out of PostgreSQL's reach when the others were dropped
      continue;
    }
    drop_constant_plans();
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("a plan was kept that was made for another %s", setting_word(setting)),
                    errdetail("It holds the value that %s had then.", setting_name(setting)),
                    errhint("Run the statement again; if that does not help, SET rls_tenant.plan_constants = off.")));
  }
}

const char *planned_value(Setting setting) {
  const Planned &state = planned[static_cast<int>(setting)];
  return state.live ? state.text : nullptr;
}

void plan_constant_init() {
  DefineCustomEnumVariable(
      "rls_tenant.plan_constants", "Whether plans for partitioned and foreign tables hold the value of the context.",
      "auto: they do, and are made anew when it changes; off: they ask for it when they run.", &plan_constants,
      constants_auto, constants_options, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  watch_context(on_context_change);
  previous_planner = planner_hook;
  planner_hook = plan_query;
}

RT_FUNCTION(rls_tenant_context_support) {
  Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSimplify)) PG_RETURN_POINTER(nullptr);
  const SupportRequestSimplify *simplify = reinterpret_cast<SupportRequestSimplify *>(request);
  PG_RETURN_POINTER(replacement(simplify->root, simplify->fcall));
}

// true: what a policy that calls it says beside is for other policies to hold.
RT_FUNCTION(rls_tenant_isolated) { PG_RETURN_BOOL(true); }

RT_FUNCTION(rls_tenant_isolated_support) {
  Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSimplify)) PG_RETURN_POINTER(nullptr);
  PG_RETURN_POINTER(makeBoolConst(true, false));
}

}  // namespace rls_tenant
