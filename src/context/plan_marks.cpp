// Packing and unpacking. A plan has two kinds of mark: one dependency under a hash on PROCOID that no function has, by
// which PostgreSQL drops it when it is told that this "function" has changed; and one for each setting under a cache
// that does not exist, whose hash says what the plan holds.

#include "context/plan_marks.hpp"

namespace rls_tenant {

namespace {

constexpr uint32 drop_hash = 0x726c7374;
constexpr int mark_cache = -0x726c;

// From the lowest bits of the hash: setting, lifetime, generation.
constexpr int setting_bits = 2;
constexpr int lifetime_bits = 2;
static_assert(last_generation == UINT32_MAX >> (setting_bits + lifetime_bits));
static_assert(setting_count <= 1 << setting_bits && static_cast<uint32>(Lifetime::for_statement) < 1u << lifetime_bits);

// Adds a dependency; false: it is there already.
bool add_item(List **items, int cache, uint32 hash) {
  const ListCell *cell;
  foreach (cell, *items) {
    const PlanInvalItem *item = lfirst_node(PlanInvalItem, cell);
    if (item->cacheId == cache && item->hashValue == hash) return false;
  }
  PlanInvalItem *item = makeNode(PlanInvalItem);
  item->cacheId = cache;
  item->hashValue = hash;
  *items = lappend(*items, item);
  return true;
}

}  // namespace

bool add_plan_mark(List **items, const PlanMark &mark) {
  add_item(items, PROCOID, drop_hash);
  return add_item(items, mark_cache,
                  (mark.generation << lifetime_bits | static_cast<uint32>(mark.lifetime)) << setting_bits |
                      static_cast<uint32>(mark.setting));
}

bool read_plan_mark(const PlanInvalItem *item, PlanMark *mark) {
  if (item->cacheId != mark_cache) return false;
  const uint32 lifetime_up = item->hashValue >> setting_bits;
  *mark = {static_cast<Setting>(item->hashValue & ((1u << setting_bits) - 1)),
           static_cast<Lifetime>(lifetime_up & ((1u << lifetime_bits) - 1)), lifetime_up >> lifetime_bits};
  return true;
}

void drop_marked_plans() { CallSyscacheCallbacks(PROCOID, drop_hash); }

bool drops_marked_plans(uint32 hash) { return hash == drop_hash; }

}  // namespace rls_tenant
