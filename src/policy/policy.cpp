// Reading pg_policy.

#include "policy/policy.hpp"

#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

uint32 commands_of(char polcmd) {
  switch (polcmd) {
    case ACL_SELECT_CHR:
      return command_select;
    case ACL_INSERT_CHR:
      return command_insert;
    case ACL_UPDATE_CHR:
      return command_update;
    case ACL_DELETE_CHR:
      return command_delete;
    default:
      return all_commands;
  }
}

// An expression column, as a tree.
Node *stored_expression(TupleDesc description, HeapTuple tuple, AttrNumber column) {
  bool isnull;
  const Datum datum = heap_getattr(tuple, column, description, &isnull);
  return isnull ? nullptr : static_cast<Node *>(stringToNode(TextDatumGetCString(datum)));
}

List *stored_roles(TupleDesc description, HeapTuple tuple) {
  bool isnull;
  const ArrayType *array = DatumGetArrayTypePCopy(heap_getattr(tuple, Anum_pg_policy_polroles, description, &isnull));
  const Oid *oids = reinterpret_cast<const Oid *>(ARR_DATA_PTR(array));
  List *roles = NIL;
  for (int i = 0; i < ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)); i++) roles = lappend_oid(roles, oids[i]);
  return roles;
}

}  // namespace

const char *command_words(uint32 commands) {
  if (commands == all_commands) return "ALL";
  StringInfoData words;
  initStringInfo(&words);
  const char *names[] = {"SELECT", "INSERT", "UPDATE", "DELETE"};
  for (int i = 0; i < 4; i++) {
    if (commands & (1u << i)) appendStringInfo(&words, "%s%s", words.len > 0 ? ", " : "", names[i]);
  }
  return words.data;
}

List *relation_policies(Oid relid, Snapshot snapshot) {
  List *policies = NIL;
  const auto read = [&](HeapTuple tuple, TupleDesc description) {
    const Form_pg_policy form = reinterpret_cast<Form_pg_policy>(GETSTRUCT(tuple));
    Policy *policy = static_cast<Policy *>(palloc(sizeof(Policy)));
    policy->name = pstrdup(NameStr(form->polname));
    policy->commands = commands_of(form->polcmd);
    policy->permissive = form->polpermissive;
    policy->roles = stored_roles(description, tuple);
    policy->to_public = list_member_oid(policy->roles, ACL_ID_PUBLIC);
    policy->qual = stored_expression(description, tuple, Anum_pg_policy_polqual);
    policy->check = stored_expression(description, tuple, Anum_pg_policy_polwithcheck);
    policies = lappend(policies, policy);
  };
  for_catalog_rows(PolicyRelationId, PolicyPolrelidPolnameIndexId, Anum_pg_policy_polrelid, relid, snapshot, read);
  return policies;
}

const Policy *policy_named(const List *policies, const char *name) {
  const ListCell *cell;
  foreach (cell, policies) {
    const Policy *policy = static_cast<const Policy *>(lfirst(cell));
    if (strcmp(policy->name, name) == 0) return policy;
  }
  return nullptr;
}

bool applies_to_role(const Policy *policy, Oid role) {
  const ListCell *cell;
  foreach (cell, policy->roles) {
    if (lfirst_oid(cell) == ACL_ID_PUBLIC || has_privs_of_role(role, lfirst_oid(cell))) return true;
  }
  return false;
}

}  // namespace rls_tenant
