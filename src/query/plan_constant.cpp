// The planner's view of a context function: current_tenant_uuid() becomes whatever is best in this plan.
//
// In a plan that is kept that is the fast call, which reads the value parsed once for the transaction. In a query on a
// partitioned or foreign table, and in a plan that is run once, it is the value itself, so that the planner prunes
// partitions, ships the condition and sees what a hand-written condition shows it. Such a plan holds for one context:
// PostgreSQL drops it when the context changes, and ExecutorStart refuses it should it turn up again.

#include "query/plan_constant.hpp"

#include "context/own_functions.hpp"

namespace rls_tenant {

namespace {

enum PlanConstants { constants_auto, constants_off };
const config_enum_entry constants_options[] = {
    {"auto", constants_auto, false}, {"off", constants_off, false}, {nullptr, 0, false}};
int plan_constants = constants_auto;

// What plans hold of a setting.
struct Planned {
  bool live;          // there may be such plans that are kept
  int starting;       // so many to be run once have been made, each of which may turn out to be kept when it starts
  uint32 generation;  // of the value; plans with an older one are out of date
  char text[max_context_bytes + 1];
};
Planned planned[setting_count];
constexpr int lifetime_bits = 2;
constexpr uint32 last_generation = UINT32_MAX >> (constant_setting_bits + lifetime_bits);

Lifetime lifetime_in(uint32 mark) {
  return static_cast<Lifetime>(mark >> constant_setting_bits & ((1u << lifetime_bits) - 1));
}

bool is_planned(const Planned &state, const ContextValue *value) {
  return value != nullptr && strcmp(state.text, value->bytes()) == 0;
}

void drop_constant_plans() { CallSyscacheCallbacks(PROCOID, constant_plan_hash); }

// Drops the plans that hold a setting's value, if there are any.
void drop_plans_of(Planned *state) {
  if (!state->live && state->starting == 0) return;
  state->live = false;
  state->starting = 0;
  drop_constant_plans();
}

// Where nothing is set now, a plan can stay for the same tenant's next transaction: reading raises until then.
void on_context_change(Setting setting) {
  Planned &state = planned[static_cast<int>(setting)];
  if (!state.live && state.starting == 0) return;
  const ContextValue *now = present_context(setting);
  if ((now == nullptr && missing_context_raises()) || is_planned(state, now)) return;
  drop_plans_of(&state);
}

// Whether a call in what the planner simplifies may become a constant. Once it has set up the query's relations, it is
// a CHECK constraint that it simplifies: that held for the context of each row when this was written, and taken for the
// present one it would prove that rows of others are not there.
bool wants_constant(const PlannerInfo *root) {
  if (root == nullptr || root->parse == nullptr || root->glob == nullptr) return false;
  return root->simple_rel_array == nullptr && reads_for_constant(root->parse);
}

void add_mark(List **items, int cache, uint32 hash) {
  const ListCell *cell;
  foreach (cell, *items) {
    const PlanInvalItem *item = lfirst_node(PlanInvalItem, cell);
    if (item->cacheId == cache && item->hashValue == hash) return;
  }
  PlanInvalItem *item = makeNode(PlanInvalItem);
  item->cacheId = cache;
  item->hashValue = hash;
  *items = lappend(*items, item);
}

// The value as a constant; nullptr if it is none of that type (the fast call says so when it is asked).
Const *make_constant(const ContextValue *value, int getter, const FuncExpr *call) {
  switch (static_cast<IdType>(getter)) {
    case IdType::uuid: {
      if (!value->is_uuid) return nullptr;
      pg_uuid_t *copy = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
      *copy = value->uuid;
      return makeConst(UUIDOID, -1, InvalidOid, UUID_LEN, UUIDPGetDatum(copy), false, false);
    }
    case IdType::bigint:
      if (!value->is_bigint) return nullptr;
      return makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value->bigint), false, FLOAT8PASSBYVAL);
    default:
      return makeConst(TEXTOID, -1, call->funccollid, -1,
                       PointerGetDatum(cstring_to_text_with_len(value->bytes(), value->length())), false, false);
  }
}

// The value of the context for a plan, or nullptr. Reading it binds the transaction. A transaction that may change its
// tenant keeps plans in call sites of functions, where nothing could drop them in time: it gets none.
Node *plan_value(Setting setting, int getter, const FuncExpr *call, Lifetime lifetime, PlanMarks *marks) {
  if (plan_constants == constants_off || !one_tenant_per_transaction()) return nullptr;
  if (present_context(setting) == nullptr) return nullptr;
  const ContextValue *value = read_context(setting);
  Planned &state = planned[static_cast<int>(setting)];
  if (!is_planned(state, value)) {
    if (state.generation == last_generation) return nullptr;
    drop_plans_of(&state);
    state.generation++;
    memcpy(state.text, value->bytes(), value->length() + 1);
  }
  Const *constant = make_constant(value, getter, call);
  if (constant == nullptr) return nullptr;
  if (lifetime == Lifetime::kept) state.live = true;
  constant->location = constant_location(setting);
  marks->settings |= setting_bit(setting);
  marks->hash[static_cast<int>(setting)] = (state.generation << lifetime_bits | static_cast<uint32>(lifetime))
                                               << constant_setting_bits |
                                           static_cast<uint32>(setting);
  return reinterpret_cast<Node *>(constant);
}

// Which context function a function is, as people write it, and of which setting; false if it is none.
bool identify(Oid function, Setting *setting, int *getter) {
  if (!OidIsValid(function)) return false;
  for (Setting candidate : all_settings) {
    const SettingFunctions *functions = setting_functions(candidate);
    for (int i = 0; i < id_type_count; i++) {
      if (functions->getter[i] != function) continue;
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
  if (wants_constant(root)) {
    PlanMarks marks = {};
    Node *constant = plan_value(setting, getter, call, Lifetime::kept, &marks);
    mark_plan(&root->glob->invalItems, marks);
    if (constant != nullptr) return constant;
  }
  const Oid fast = setting_functions(setting)->fast[getter];
  if (!OidIsValid(fast)) return nullptr;
  FuncExpr *result = makeFuncExpr(fast, call->funcresulttype, NIL, call->funccollid, InvalidOid, COERCE_EXPLICIT_CALL);
  result->location = call->location;
  return reinterpret_cast<Node *>(result);
}

// Whether a plan that starts now is kept for another time: it is none that a statement of the simple protocol has made
// for itself.
bool is_kept(const PlannedStmt *plan) {
  const Portal portal = ActivePortal;
  if (!PortalIsValid(portal) || !list_member_ptr(portal->stmts, plan)) return true;
  return portal->cplan != nullptr && portal->cplan->is_saved;
}

}  // namespace

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

Oid fast_function(Oid function) {
  Setting setting;
  int getter;
  return identify(function, &setting, &getter) ? setting_functions(setting)->fast[getter] : InvalidOid;
}

Node *context_constant(const Node *node, Lifetime lifetime, PlanMarks *marks) {
  if (!IsA(node, FuncExpr)) return nullptr;
  const FuncExpr *call = reinterpret_cast<const FuncExpr *>(node);
  Setting setting;
  IdType getter;
  if (call->args != NIL || !is_getter(call->funcid, &setting, &getter)) return nullptr;
  return plan_value(setting, static_cast<int>(getter), call, lifetime, marks);
}

void mark_plan(List **items, const PlanMarks &marks) {
  if (marks.settings == 0) return;
  add_mark(items, PROCOID, constant_plan_hash);
  for (Setting setting : all_settings) {
    if ((marks.settings & setting_bit(setting)) == 0) continue;
    const uint32 hash = marks.hash[static_cast<int>(setting)];
    add_mark(items, constant_plan_cache, hash);
    if (lifetime_in(hash) == Lifetime::run_once) planned[static_cast<int>(setting)].starting++;
  }
}

void check_plan_constants(const PlannedStmt *plan) {
  const ListCell *cell;
  foreach (cell, plan->invalItems) {
    const PlanInvalItem *item = lfirst_node(PlanInvalItem, cell);
    if (item->cacheId != constant_plan_cache) continue;
    const Setting setting = static_cast<Setting>(item->hashValue & ((1u << constant_setting_bits) - 1));
    const uint32 generation = item->hashValue >> (constant_setting_bits + lifetime_bits);
    const Lifetime lifetime = lifetime_in(item->hashValue);
    Planned &state = planned[static_cast<int>(setting)];
    const ContextValue *now = read_context(setting);  // which raises where nothing is set
    if (generation == state.generation && is_planned(state, now)) {
      // It may have been out of PostgreSQL's reach when the others were dropped.
      if (lifetime == Lifetime::kept) state.live = true;
      if (lifetime == Lifetime::run_once) {
        if (state.starting > 0) state.starting--;
        if (is_kept(plan)) state.live = true;
      }
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
  DefineCustomEnumVariable("rls_tenant.plan_constants", "Whether plans hold the value of the context.",
                           "auto: those that run once do, and those for partitioned and foreign tables, which are made "
                           "anew when it changes; off: all ask for it when they run.",
                           &plan_constants, constants_auto, constants_options, PGC_USERSET, 0, nullptr, nullptr,
                           nullptr);
  on_context_change(on_context_change);
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
