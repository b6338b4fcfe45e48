// Statements that are run one after the other, each as a relation's owner.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// One statement, and the relation as whose owner it runs.
struct Statement {
  Oid relid;
  const char *sql;
};

// Runs Statements by SPI, each as its relation's owner in a security-restricted operation: what an owner has written
// into constraints, defaults and policies must not run with the rights of an administrator who calls protect().
void run_statements(List *statements);

}  // namespace rls_tenant
