// The relations that the guard judges at the end of a transaction.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

struct Candidate {
  Oid relid;
  bool is_new;          // made by this transaction
  bool has_parents;     // it is a partition or inheritance child
  bool has_children;    // or had some
  const char *problem;  // why protect() could not mend it; nullptr: it was not tried, or could
};

// Those that were noted, and what is or was below them, as Candidates: first those without parents, since to protect
// them protects their partitions and children, too. before: the catalogs before the transaction.
List *noted_candidates(Snapshot before);

// Whether a relation is a table or view that is still there, neither temporary nor the system's.
bool is_judged(Oid relid);

// Whether a schema is not the system's.
bool is_judged_schema(Oid schema);

// Whether an extension answers for a relation, whatever it looks like: because the relation belongs to it, or its
// schema. Each is a scan of pg_depend: ask it last.
bool is_extension_member(Oid relid);
bool is_schema_passed_over(Oid schema);
bool is_passed_over(Oid relid);

}  // namespace rls_tenant
