// Every difference between the versions of PostgreSQL that the extension knows of: 15 to 18.
#pragma once

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "rls_tenant is made for PostgreSQL 15 to 18"
#endif

#if PG_VERSION_NUM >= 180000
#define RT_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "rls_tenant", .version = RLS_TENANT_VERSION)
#define RT_EXECUTOR_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define RT_EXECUTOR_RUN_ARGUMENTS query, direction, count
#else
#define RT_MODULE_MAGIC PG_MODULE_MAGIC
#define RT_EXECUTOR_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool once
#define RT_EXECUTOR_RUN_ARGUMENTS query, direction, count, once
#endif

namespace rls_tenant::compat {

// Memory for the extra of a setting, which PostgreSQL frees itself: malloc's up to 15, its own kind from 16.
inline void *guc_allocate(size_t size) {
#if PG_VERSION_NUM >= 160000
  return ::guc_malloc(LOG, size);
#else
  return malloc(size);
#endif
}

// Releases what a check hook was handed as the new value, so that it can put another in its place.
inline void guc_release(void *memory) {
#if PG_VERSION_NUM >= 160000
  ::guc_free(memory);
#else
  free(memory);
#endif
}

// The record of a setting (a placeholder, too), or nullptr.
inline config_generic *find_setting(const char *name) {
#if PG_VERSION_NUM >= 160000
  return find_option(name, false, true, ERROR);
#else
  config_generic **all = get_guc_variables();
  int count = GetNumConfigOptions();
  for (int i = 0; i < count; i++) {
    if (pg_strcasecmp(all[i]->name, name) == 0) return all[i];
  }
  return nullptr;
#endif
}

// A walker as expression_tree_walker() wants it: up to 15 a function of unstated arguments, which C++ has not.
inline auto tree_walker(bool (*walker)(Node *, void *)) {
#if PG_VERSION_NUM >= 160000
  return walker;
#else
  return reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker));
#endif
}

// Likewise a mutator.
inline auto tree_mutator(Node *(*mutator)(Node *, void *)) {
#if PG_VERSION_NUM >= 160000
  return mutator;
#else
  return reinterpret_cast<Node *(*)()>(reinterpret_cast<void (*)()>(mutator));
#endif
}

// Runs a started query to its end.
inline void execute_all(QueryDesc *query) {
#if PG_VERSION_NUM >= 180000
  ExecutorRun(query, ForwardScanDirection, 0);
#else
  ExecutorRun(query, ForwardScanDirection, 0, true);
#endif
}

// Whether a role may SET ROLE to another.
inline bool can_set_role(Oid member, Oid role) {
#if PG_VERSION_NUM >= 160000
  return member_can_set_role(member, role);
#else
  return is_member_of_role(member, role);
#endif
}

inline bool has_schema_privilege(Oid schema, Oid role, AclMode privilege) {
#if PG_VERSION_NUM >= 160000
  return object_aclcheck(NamespaceRelationId, schema, role, privilege) == ACLCHECK_OK;
#else
  return pg_namespace_aclcheck(schema, role, privilege) == ACLCHECK_OK;
#endif
}

inline bool may_use_schema(Oid schema, Oid role) { return has_schema_privilege(schema, role, ACL_USAGE); }
// Whether a role may make objects in a schema.
inline bool may_create_in_schema(Oid schema, Oid role) { return has_schema_privilege(schema, role, ACL_CREATE); }

// Whether an index scan with = ANY (array) on a column that is not the first gives its rows in the order of the index.
// Before 17 it does not, and the planner knows that only of an expression that was written so.
constexpr bool index_order_survives_arrays = PG_VERSION_NUM >= 170000;

// What a plan's statement needs to do with a relation, and as whom (InvalidOid: as whoever runs it).
struct Permissions {
  AclMode required;
  Oid check_as;
  const Bitmapset *updated;  // columns, as bitmaps of attributes count them
};

inline Permissions permissions_of(const PlannedStmt *plan, const RangeTblEntry *entry) {
#if PG_VERSION_NUM >= 160000
  if (entry->perminfoindex == 0) return {};
  const RTEPermissionInfo *info =
      static_cast<const RTEPermissionInfo *>(list_nth(plan->permInfos, static_cast<int>(entry->perminfoindex) - 1));
  return {info->requiredPerms, info->checkAsUser, info->updatedCols};
#else
  if (entry->rtekind != RTE_RELATION) return {};
  return {entry->requiredPerms, entry->checkAsUser, entry->updatedCols};
#endif
}

// Whether a role owns a relation, directly or as a member.
inline bool owns_relation(Oid relid, Oid role) {
#if PG_VERSION_NUM >= 160000
  return object_ownercheck(RelationRelationId, relid, role);
#else
  return pg_class_ownercheck(relid, role);
#endif
}

// Whether a role may make schemas in this database.
inline bool may_create_in_database(Oid role) {
#if PG_VERSION_NUM >= 160000
  return object_aclcheck(DatabaseRelationId, MyDatabaseId, role, ACL_CREATE) == ACLCHECK_OK;
#else
  return pg_database_aclcheck(MyDatabaseId, role, ACL_CREATE) == ACLCHECK_OK;
#endif
}

// Whether a part of ALTER TABLE adds a constraint: up to 15 there is a second kind, which includes children.
inline bool adds_constraint(const AlterTableCmd *command) {
#if PG_VERSION_NUM < 160000
  if (command->subtype == AT_AddConstraintRecurse) return true;
#endif
  return command->subtype == AT_AddConstraint;
}

// The constraint that a part of ALTER TABLE checks against the rows that are there, or nullptr: one that was NOT VALID
// or, from 18 on, NOT ENFORCED.
inline const char *validated_constraint(const AlterTableCmd *command) {
#if PG_VERSION_NUM < 160000
  if (command->subtype == AT_ValidateConstraintRecurse) return command->name;
#endif
#if PG_VERSION_NUM >= 180000
  if (command->subtype == AT_AlterConstraint) {
    const ATAlterConstraint *alter = castNode(ATAlterConstraint, command->def);
    return alter->alterEnforceability && alter->is_enforced ? alter->conname : nullptr;
  }
#endif
  return command->subtype == AT_ValidateConstraint ? command->name : nullptr;
}

// Whether a constraint is enforced: before 18 each is.
inline bool is_enforced([[maybe_unused]] Form_pg_constraint constraint) {
#if PG_VERSION_NUM >= 180000
  return constraint->conenforced;
#else
  return true;
#endif
}

// Whether a key is temporal: its last column is a period, WITHOUT OVERLAPS.
inline bool is_temporal([[maybe_unused]] Form_pg_constraint constraint) {
#if PG_VERSION_NUM >= 180000
  return constraint->conperiod;
#else
  return false;
#endif
}

// Whether a column that is NOT NULL may hold NULL in rows from before the constraint, which is NOT VALID.
constexpr bool not_null_may_be_unproven = PG_VERSION_NUM >= 180000;

// Whether an operator is the equality of a btree operator family.
inline bool is_index_equality(Oid operator_oid) {
  const ListCell *cell;
#if PG_VERSION_NUM >= 180000
  foreach (cell, get_op_index_interpretation(operator_oid)) {
    if (static_cast<const OpIndexInterpretation *>(lfirst(cell))->cmptype == COMPARE_EQ) return true;
  }
#else
  foreach (cell, get_op_btree_interpretation(operator_oid)) {
    if (static_cast<const OpBtreeInterpretation *>(lfirst(cell))->strategy == BTEqualStrategyNumber) return true;
  }
#endif
  return false;
}

}  // namespace rls_tenant::compat
