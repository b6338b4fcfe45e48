// One callback for all modules.

#include "postgres/transaction_end.hpp"

namespace rls_tenant {

bool transaction_noted = true;  // the library may have been loaded in the middle of a transaction

namespace {

constexpr int most_listeners = 8;
void (*listeners[most_listeners])(XactEvent);
int listener_count = 0;

void at_transaction_event(XactEvent event, void *) {
  if (likely(!transaction_noted)) return;
  // What a listener leaves to the next transaction it notes again. (Settings are restored after this, which does, too.)
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) transaction_noted = false;
  for (int i = listener_count - 1; i >= 0; i--) listeners[i](event);
}

}  // namespace

void at_end_of_transaction(void (*fn)(XactEvent)) {
  Assert(listener_count < most_listeners);
  listeners[listener_count++] = fn;
}

void transaction_end_init() { RegisterXactCallback(at_transaction_event, nullptr); }

}  // namespace rls_tenant
