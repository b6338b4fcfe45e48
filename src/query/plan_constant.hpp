// What the planner makes of context functions: fast calls, and values of the context in plans that hold for one tenant.
#pragma once

#include "context/plan_marks.hpp"

namespace rls_tenant {

void plan_constant_init();

// By what a value in an expression is known: its place in the statement's text, where it has none. All that is negative
// means that to PostgreSQL.
constexpr int constant_location(Setting setting) { return -0x726c7300 - static_cast<int>(setting); }

// Whether a query reads a table of which the planner makes more with a value, so that a plan holds it that is kept.
bool reads_for_constant(const Query *query);

// The value for a plan, in the place of a context function whose argument was left out; else nullptr. It binds the
// transaction, and the plan must be marked: with what is added to marks.
Node *context_constant(const Node *node, Lifetime lifetime, List **marks);

// Marks a plan with what functions have read while it was made.
void mark_reads(PlannedStmt *plan, SettingSet read);

// Drops the plans that may not be kept from one query's start or run to the next.
extern bool may_keep_passing_plans;
void drop_passing_plans_slow();
inline void drop_passing_plans() {
  if (unlikely(may_keep_passing_plans)) drop_passing_plans_slow();
}

// The fast function for such a call; InvalidOid: it is not one.
Oid fast_function(const FuncExpr *call);

// Refuses a plan that holds values of another context than the present one.
void check_plan_constants(const PlannedStmt *plan);

// The value of a setting that plans may hold, as text; nullptr: none holds one. Good until the next plan is made.
const char *planned_value(Setting setting);

}  // namespace rls_tenant
