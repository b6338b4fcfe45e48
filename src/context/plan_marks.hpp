// How a plan is marked into which the planner has put values of the context. The marks lie among what PostgreSQL notes
// as the plan's dependencies (invalItems), which it keeps with the plan.
#pragma once

#include "context/context.hpp"

namespace rls_tenant {

// How long a plan lives: until something drops it; for one run, as far as can be told; or surely no longer than that.
// for_statement: until the next query starts or runs.
enum class Lifetime : uint32 { kept, run_once, thrown_away, for_statement };

// The mark for one setting whose value a plan holds.
struct PlanMark {
  Setting setting;
  Lifetime lifetime;
  uint32 generation;  // of the value, which does not stand in the plan's marks; 0: it was made without one
};
constexpr uint32 last_generation = (1u << 28) - 1;

// Adds a mark to a plan's dependencies; false: it is there already.
bool add_plan_mark(List **items, const PlanMark &mark);

// Reads a dependency; false: it is not a mark.
bool read_plan_mark(const PlanInvalItem *item, PlanMark *mark);

// Drops all plans that are marked and within PostgreSQL's reach.
void drop_marked_plans();
// Whether that is what an invalidation of functions (PROCOID) with this hash says: then no function has changed.
bool drops_marked_plans(uint32 hash);

}  // namespace rls_tenant
