// From the notes to the relations that are judged.

#include "guard/candidates.hpp"

#include "guard/ddl_notes.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

// What the relation cache says of a relation: it holds what the transaction has made, so that no catalog is asked.
struct Glance {
  bool is_judged;
  bool is_new;
  char kind;
  bool has_children;  // or had once
  bool is_partition;
};

Glance glance_at(Oid relid) {
  Glance result = {};
  Relation relation = RelationIdGetRelation(relid);
  if (relation == nullptr) return result;
  const Form_pg_class form = relation->rd_rel;
  const bool has_rows = form->relkind == RELKIND_RELATION || form->relkind == RELKIND_PARTITIONED_TABLE ||
                        form->relkind == RELKIND_VIEW || form->relkind == RELKIND_MATVIEW;
  result.is_judged = has_rows && form->relpersistence != RELPERSISTENCE_TEMP && is_judged_schema(form->relnamespace);
  result.is_new = relation->rd_createSubid != InvalidSubTransactionId;
  result.kind = form->relkind;
  result.has_children = form->relhassubclass;
  result.is_partition = form->relispartition;
  RelationClose(relation);
  return result;
}

// The children that a relation has or had. (Partitions can be detached, and relhassubclass be reset.)
List *all_children(Oid relid, const Glance &relation, Snapshot before) {
  if (!relation.has_children && (relation.is_new || relation.kind != RELKIND_PARTITIONED_TABLE)) return NIL;
  return list_concat_unique_oid(children_of(relid), children_of(relid, before));
}

// Adds a relation, and what is or was below it: ATTACH PARTITION and INHERIT make two tables one, DETACH makes one two.
void add_with_children(List **candidates, HTAB *seen, Oid relid, Snapshot before) {
  check_stack_depth();
  bool found;
  hash_search(seen, &relid, HASH_ENTER, &found);
  const Glance relation = found ? Glance{} : glance_at(relid);
  if (!relation.is_judged) return;
  List *children = all_children(relid, relation, before);
  Candidate *candidate = static_cast<Candidate *>(palloc(sizeof(Candidate)));
  *candidate = {relid, relation.is_new, relation.is_partition || parents_of(relid) != NIL, children != NIL, nullptr};
  *candidates = lappend(*candidates, candidate);
  const ListCell *cell;
  foreach (cell, children) add_with_children(candidates, seen, lfirst_oid(cell), before);
}

// Those without parents come before those with.
int parents_first(const ListCell *left, const ListCell *right) {
  return static_cast<int>(static_cast<const Candidate *>(lfirst(left))->has_parents) -
         static_cast<int>(static_cast<const Candidate *>(lfirst(right))->has_parents);
}

}  // namespace

List *noted_candidates(Snapshot before) {
  HASHCTL control = {};
  control.keysize = control.entrysize = sizeof(Oid);
  control.hcxt = CurrentMemoryContext;
  HTAB *seen = hash_create("rls_tenant relations seen", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  List *candidates = NIL;
  HASH_SEQ_STATUS status;
  hash_seq_init(&status, noted_relations());
  for (Oid *relid = static_cast<Oid *>(hash_seq_search(&status)); relid != nullptr;
       relid = static_cast<Oid *>(hash_seq_search(&status))) {
    add_with_children(&candidates, seen, *relid, before);
  }
  list_sort(candidates, parents_first);
  return candidates;
}

bool is_judged(Oid relid) { return glance_at(relid).is_judged; }

bool is_judged_schema(Oid schema) { return schema >= FirstNormalObjectId || schema == PG_PUBLIC_NAMESPACE; }

bool is_extension_member(Oid relid) { return in_trusted_extension(RelationRelationId, relid); }

bool is_schema_passed_over(Oid schema) { return in_trusted_extension(NamespaceRelationId, schema); }

bool is_passed_over(Oid relid) { return is_extension_member(relid) || is_schema_passed_over(get_rel_namespace(relid)); }

}  // namespace rls_tenant
