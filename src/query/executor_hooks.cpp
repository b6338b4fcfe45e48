// Executor hooks. Starting a plan that contains a context function is a read; running it later (FETCH, a loop, a
// parallel worker's leader) is refused when the context has changed; and its rows may not outlive the transaction.

#include "query/executor_hooks.hpp"

#include "query/error_detail.hpp"
#include "context/own_functions.hpp"
#include "membership/lookup.hpp"
#include "membership/parallel.hpp"
#include "context/pinned_context.hpp"
#include "query/plan_constant.hpp"

namespace rls_tenant {

namespace {

ExecutorStart_hook_type previous_start = nullptr;
ExecutorRun_hook_type previous_run = nullptr;
ExecutorFinish_hook_type previous_finish = nullptr;

// A query that is running now. Lives on the C stack.
struct Running {
  Running *outer;
  SettingSet read;     // by its functions' queries
  const char *cursor;  // the one that keeps its rows after the transaction, or nullptr
  StatementScope scope;
};
Running *running = nullptr;  // the innermost

// Workers read for themselves and cannot tell their leader, so a parallel plan reads whatever is set.
SettingSet settings_set() {
  SettingSet result = 0;
  for (Setting setting : all_settings) {
    if (present_context(setting) != nullptr) result |= setting_bit(setting);
  }
  return result;
}

// The context that a started query is bound to. Lives in the query's own memory.
struct Binding {
  SettingSet settings;
  SettingSet own;                             // those that its own plan reads: they hold still while it runs
  bool holds_rows;                            // by its own plan or its functions', not by what workers may do
  const ContextValue *values[setting_count];  // copies of this transaction; nullptr: unset
  StatementGroups *given;                     // by membership sources, to its runs
  const ContextValue *given_user;             // the user of the context then
  bool hands_down;                            // its workers ask about memberships
  MemoryContextCallback at_end;
};
static_assert(jump_safe<Binding>);

// Called when the query's memory goes.
void release_binding(void *argument) { release_statement_groups(&static_cast<Binding *>(argument)->given); }

// The binding of a query, if it has one: the query's own memory knows it by what it calls at its end.
Binding *find_binding(const QueryDesc *query) {
  const MemoryContextCallback *callback = query->estate->es_query_cxt->reset_cbs;
  while (callback != nullptr && callback->func != release_binding) callback = callback->next;
  return callback != nullptr ? static_cast<Binding *>(callback->arg) : nullptr;
}

// The cursor that keeps the rows which are being made after the transaction: WITH HOLD, or COMMIT inside a loop over
// it. Functions may have opened cursors of their own within it.
const char *holding_cursor() {
  if (running != nullptr && running->cursor != nullptr) return running->cursor;
  const Portal portal = ActivePortal;
  if (!PortalIsValid(portal)) return nullptr;
  const bool held = (portal->cursorOptions & CURSOR_OPT_HOLD) != 0 ||
                    (portal->strategy == PORTAL_ONE_SELECT && portal->holdStore != nullptr);
  return held ? portal->name : nullptr;
}

void refuse_held_rows() {
  const char *cursor = holding_cursor();
  if (cursor == nullptr) return;
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_CURSOR_DEFINITION),
           errmsg("a cursor over rows of a tenant cannot outlive its transaction"),
           errdetail("The rows of cursor \"%s\" depend on the context, which ends with the transaction.", cursor),
           errhint("Declare the cursor WITHOUT HOLD, or COMMIT after the loop instead of inside it.")));
}

// Reads what the plan reads. With nothing set, the functions in the plan raise by themselves when they are evaluated.
const ContextValue *bind_setting(Setting setting) {
  if (present_context(setting) == nullptr && missing_context_raises() &&
      !context_slots[static_cast<int>(setting)].latched) {
    return nullptr;
  }
  return read_context(setting);
}

// Binds a query that has been started.
Binding *bind(QueryDesc *query, const Binding &bound) {
  const MemoryContext memory = query->estate->es_query_cxt;
  Binding *binding = static_cast<Binding *>(MemoryContextAlloc(memory, sizeof(Binding)));
  *binding = bound;
  binding->at_end.func = release_binding;
  binding->at_end.arg = binding;
  MemoryContextRegisterResetCallback(memory, &binding->at_end);
  return binding;
}

void start(QueryDesc *query, int flags) {
  const auto next = previous_start != nullptr ? previous_start : standard_ExecutorStart;
  Binding bound = {};
  const PlanReads reads = what_plan_reads(query->plannedstmt);
  if (reads.constants) check_plan_constants(query->plannedstmt);
  drop_passing_plans();  // this one, too, which runs nevertheless
  bound.settings = bound.own = reads.settings;
  bound.hands_down = reads.memberships && query->plannedstmt->parallelModeNeeded;
  bound.holds_rows = bound.settings != 0 || reads.other_context;
  if (bound.holds_rows) refuse_held_rows();
  for (Running *outer = running; outer != nullptr; outer = outer->outer) outer->read |= bound.settings;
  if (query->plannedstmt->parallelModeNeeded) bound.settings |= settings_set();
  if (query->plannedstmt->parallelModeNeeded) bound.own = bound.settings;
  if (bound.settings == 0 && !bound.holds_rows) {
    next(query, flags);
    return;
  }
  check_session_user();
  for (Setting setting : all_settings) {
    if (bound.settings & setting_bit(setting)) bound.values[static_cast<int>(setting)] = bind_setting(setting);
  }
  with_error_detail(query, [&] { next(query, flags); });
  bind(query, bound);
}

// Refuses to hand out what was chosen by memberships for another user, or by such as have ended.
void check_given(const Binding *binding) {
  if (binding->given == nullptr) return;
  const ContextValue *now = present_context(Setting::user);
  if (!same_context_value(binding->given_user, now)) raise_context_changed(Setting::user, binding->given_user, now);
  check_given_groups(binding->given);
}

// Refuses to go on for another tenant than the one the query was started for, or for a user who is pinned to another.
void check_binding(const Binding *binding) {
  if (binding->holds_rows) refuse_held_rows();
  if (binding->settings != 0) check_session_user();
  for (Setting setting : all_settings) {
    if ((binding->settings & setting_bit(setting)) == 0) continue;
    const ContextValue *before = binding->values[static_cast<int>(setting)];
    const ContextValue *now = present_context(setting);
    if (!same_context_value(before, now)) raise_context_changed(setting, before, now);
    bind_setting(setting);  // in between another tenant may have been read, where that is allowed
  }
}

// After a query has run whose functions read: its rows may be theirs, kept for a later FETCH. Where the functions read
// the query's own context, it is bound to that from now on.
void bind_late(QueryDesc *query, Binding *binding, SettingSet read) {
  Binding bound = {};
  if (binding == nullptr) {
    binding = &bound;
  } else if (binding->holds_rows && (read & ~binding->own) == 0) {
    return;
  }
  for (Setting setting : all_settings) {
    const ContextSlot &slot = context_slots[static_cast<int>(setting)];
    if ((read & ~binding->own & setting_bit(setting)) == 0 || !slot.latched) continue;
    if (!same_context_value(slot.reading, present_context(setting))) continue;  // a function's SET clause
    binding->settings |= setting_bit(setting);
    binding->values[static_cast<int>(setting)] = slot.reading;
  }
  binding->holds_rows = true;
  if (binding == &bound) bind(query, bound);
}

// What the functions of a run have read, and what membership sources have given it and them.
struct Watched {
  SettingSet read;
  StatementGroups *given;
};

// Runs part of a query. Not inline: its caller's variables must not be in registers that the jump of an error restores.
template <typename Fn>
__attribute__((noinline)) Watched run_watched(const Binding *binding, const Fn &part) {
  static_assert(jump_safe<Fn>);
  const SettingSet settings = binding != nullptr ? binding->own : 0;
  Running here = {running, 0, holding_cursor(), {}};
  StatementGroups *volatile given = nullptr;
  volatile bool done = false;
  running = &here;
  context_running(settings, 1);
  enter_statement(&here.scope);
  PG_TRY();
  {
    part();
    done = true;
  }
  PG_FINALLY();
  {
    running = here.outer;
    context_running(settings, -1);
    leave_statement(&here.scope, done ? const_cast<StatementGroups **>(&given) : nullptr);
  }
  PG_END_TRY();
  return {here.read, given};
}

// Remembers what a run was given for the next one: its rows may be kept for a later FETCH.
void keep_given(QueryDesc *query, StatementGroups *given) {
  if (given == nullptr) return;
  Binding *binding = find_binding(query);
  if (binding == nullptr) binding = bind(query, {});
  merge_statement_groups(&binding->given, &given);
  const ContextValue *user = present_context(Setting::user);
  binding->given_user = user != nullptr ? copy_context_value(user, query->estate->es_query_cxt) : nullptr;
}

// Nothing that a query reads may change while it runs, and what its functions read is noticed.
void run(RT_EXECUTOR_RUN_PARAMETERS) {
  const auto next = previous_run != nullptr ? previous_run : standard_ExecutorRun;
  Binding *binding = find_binding(query);
  drop_passing_plans();
  if (binding != nullptr) check_binding(binding);
  const Watched watched = run_watched(binding, [&] {
    if (binding != nullptr) check_given(binding);
    const HandedDown handed =
        binding != nullptr && binding->hands_down ? hand_down_groups(groups_of_known_sources()) : HandedDown{};
    with_error_detail(query, [&] { next(RT_EXECUTOR_RUN_ARGUMENTS); });
    end_hand_down(handed);
  });
  keep_given(query, watched.given);
  if (watched.given != nullptr) refuse_held_rows();
  if (watched.read != 0) bind_late(query, find_binding(query), watched.read);
}

// Data-modifying WITH queries that nobody reads, and AFTER triggers, run here. So does the closing of a cursor, which
// must succeed under whatever context: no groups are asked for.
void finish(QueryDesc *query) {
  const auto next = previous_finish != nullptr ? previous_finish : standard_ExecutorFinish;
  if (query->operation == CMD_SELECT && query->estate->es_auxmodifytables == NIL) {  // nothing is left to run
    next(query);
    return;
  }
  Watched watched = run_watched(find_binding(query), [&] { with_error_detail(query, [&] { next(query); }); });
  release_statement_groups(&watched.given);
}

}  // namespace

void executor_hooks_init() {
  previous_start = ExecutorStart_hook;
  ExecutorStart_hook = start;
  previous_run = ExecutorRun_hook;
  ExecutorRun_hook = run;
  previous_finish = ExecutorFinish_hook;
  ExecutorFinish_hook = finish;
}

}  // namespace rls_tenant
