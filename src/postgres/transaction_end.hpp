// The end of a transaction, for the modules that have something to do then. A transaction that has nothing to do with
// us pays for one test.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

void transaction_end_init();

// Has fn called at each event of transactions in which note_transaction() was called; the last to ask comes first.
void at_end_of_transaction(void (*fn)(XactEvent));

extern bool transaction_noted;

// Says that this transaction leaves something to do at its end.
inline void note_transaction() { transaction_noted = true; }

}  // namespace rls_tenant
