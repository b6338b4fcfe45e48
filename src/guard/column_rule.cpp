// Reading a column rule from its trigger. In doubt it cannot be kept: nothing that is misspelt, renamed or seen halfway
// may count as unrestricted.

#include "guard/column_rule.hpp"

#include "context/own_functions.hpp"
#include "postgres/catalog.hpp"

namespace rls_tenant {

namespace {

constexpr int least_arguments = 2, most_arguments = 3;

bool lies_in_partitions(Relation relation) {
  return relation->rd_rel->relispartition || relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
}

// Whether a function is restrict_columns().
bool is_restrict_columns(Oid function) {
  const Oid schema = get_func_namespace(function);
  return strcmp(function_name(function), restrict_columns) == 0 && OidIsValid(schema) &&
         schema == get_namespace_oid(extension_schema, true);
}

// What is wrong with when the trigger fires; nullptr: nothing.
const char *firing_fault(const Trigger *trigger, bool in_partitions) {
  const int type = trigger->tgtype;
  if (!TRIGGER_FOR_ROW(type) || !TRIGGER_FOR_AFTER(type)) {
    return "It does not fire AFTER and FOR EACH ROW: a later BEFORE trigger could undo what it has seen.";
  }
  if (!TRIGGER_FOR_INSERT(type) && !TRIGGER_FOR_UPDATE(type)) return "It fires neither for INSERT nor for UPDATE.";
  if (trigger->tgdeferrable) return "It is deferrable: who changed a row may be another one at COMMIT.";
  if (trigger->tgqual != nullptr) return "It has a WHEN condition, which may pass over changes.";
  if (trigger->tgnattr > 0)
    return "It fires for UPDATE OF some columns, which passes over what BEFORE triggers change.";
  if (in_partitions && !TRIGGER_FOR_DELETE(type)) {
    return "It does not fire for DELETE: a row that moves to another partition is deleted here and inserted there.";
  }
  if (!in_partitions && TRIGGER_FOR_DELETE(type)) {
    return "It fires for DELETE, which changes no column: a policy or REVOKE restricts that.";
  }
  return nullptr;
}

// The trigger of the topmost table from which this one was cloned, and that table.
void find_root(const Trigger *trigger, ColumnRule *rule) {
  rule->root = trigger->tgoid;
  for (Oid parent = trigger->tgoid; OidIsValid(parent);) {
    const Oid current = parent;
    parent = InvalidOid;
    for_catalog_rows(TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid, current, nullptr,
                     [&](HeapTuple tuple, TupleDesc) {
                       const Form_pg_trigger form = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple));
                       rule->root = form->oid;
                       rule->root_relid = form->tgrelid;
                       parent = form->tgparentid;
                     });
  }
}

// What is wrong with where the trigger was made.
RuleFault place_fault(Relation relation, const ColumnRule *rule) {
  if (!rule->is_partition) return {};
  if (get_rel_relispartition(rule->root_relid)) {
    List *ancestors = get_partition_ancestors(rule->root_relid);
    return {
        psprintf("It was made on %s, which is a partition: rows may move to others.", relation_name(rule->root_relid)),
        ancestors != NIL ? psprintf("Drop it, and make it on %s.", relation_name(llast_oid(ancestors)))
                         : "Try again: the partition is being detached."};
  }
  if (relation->rd_rel->relkind == RELKIND_RELATION && relation->rd_rel->relam != HEAP_TABLE_AM_OID) {
    return {psprintf("Table access method \"%s\" of %s does not tell which rows have moved.",
                     access_method_name(relation->rd_rel->relam), relation_name(RelationGetRelid(relation))),
            "Use the access method heap."};
  }
  return {};
}

// Finds a column, and what is wrong with it.
RuleFault find_column(Relation relation, const char *name, RestrictedColumn *column) {
  const AttrNumber attribute = get_attnum(RelationGetRelid(relation), name);
  if (attribute == InvalidAttrNumber) {
    return {psprintf("There is no column %s. It may have been renamed or dropped.", quote_identifier(name)),
            "Drop the trigger, and create it again for the columns that exist."};
  }
  if (attribute < 0) {
    return {psprintf("Column %s is a system column.", quote_identifier(name)),
            "Restrict the columns of the table itself."};
  }
  const Form_pg_attribute form = TupleDescAttr(RelationGetDescr(relation), attribute - 1);
  if (form->attgenerated != '\0') {
    return {psprintf("Column %s is generated from others.", quote_identifier(name)),
            "Restrict the columns from which it is generated."};
  }
  *column = {attribute, form->attbyval, form->attlen};
  return {};
}

// Reads the columns, which are listed as identifiers are in SQL.
RuleFault read_columns(Relation relation, List *names, ColumnRule *rule) {
  const ListCell *cell;
  foreach (cell, names) {
    const char *name = static_cast<const char *>(lfirst(cell));
    RestrictedColumn column{};
    const RuleFault fault = find_column(relation, name, &column);
    if (fault.detail != nullptr) return fault;
    for (int i = 0; i < rule->count; i++) {
      if (rule->columns[i].attribute == column.attribute) {
        return {psprintf("It names column %s twice.", quote_identifier(name)), "Name each column once."};
      }
    }
    rule->columns[rule->count++] = column;
  }
  return {};
}

}  // namespace

ColumnRule *read_column_rule(Relation relation, const Trigger *trigger, MemoryContext memory, RuleFault *fault) {
  const bool in_partitions = lies_in_partitions(relation);
  const char *wrong = firing_fault(trigger, in_partitions);
  if (wrong != nullptr) {
    *fault = {wrong, psprintf("CREATE TRIGGER ... AFTER %s ON %s FOR EACH ROW EXECUTE FUNCTION "
                              "rls_tenant.restrict_columns('column, ...', 'role');",
                              in_partitions ? "INSERT OR UPDATE OR DELETE" : "INSERT OR UPDATE",
                              relation_name(RelationGetRelid(relation)))};
    return nullptr;
  }
  const char *arguments =
      "Its arguments are: the columns, separated by commas; the role; and, if it is not \"tenant\", "
      "the membership source.";
  char **given = trigger->tgargs;
  if (trigger->tgnargs < least_arguments || trigger->tgnargs > most_arguments) {
    *fault = {psprintf("The number of its arguments is %d.", trigger->tgnargs), arguments};
    return nullptr;
  }
  if (given[1][0] == '\0') {
    *fault = {"It names no role.", arguments};
    return nullptr;
  }
  List *names;
  if (!SplitIdentifierString(pstrdup(given[0]), ',', &names) || names == NIL) {
    *fault = {psprintf("\"%s\" is not a list of columns.", given[0]), arguments};
    return nullptr;
  }
  ColumnRule *rule = static_cast<ColumnRule *>(MemoryContextAllocZero(
      memory, offsetof(ColumnRule, columns) + sizeof(RestrictedColumn) * static_cast<size_t>(list_length(names))));
  rule->relid = rule->root_relid = RelationGetRelid(relation);
  rule->trigger = rule->root = trigger->tgoid;
  rule->is_partition = relation->rd_rel->relispartition;
  rule->restricts_insert = TRIGGER_FOR_INSERT(trigger->tgtype);
  rule->restricts_update = TRIGGER_FOR_UPDATE(trigger->tgtype);
  rule->role = MemoryContextStrdup(memory, given[1]);
  rule->source = trigger->tgnargs > 2 ? MemoryContextStrdup(memory, given[2]) : default_source;
  if (rule->is_partition) find_root(trigger, rule);
  *fault = place_fault(relation, rule);
  if (fault->detail == nullptr) *fault = read_columns(relation, names, rule);
  return fault->detail == nullptr ? rule : nullptr;
}

Node *column_default(const ColumnRule *rule, Relation relation, int place, RuleFault *fault) {
  AttrNumber attribute = rule->columns[place].attribute;
  const char *name = attribute_name(rule->relid, attribute);
  Node *expression;
  if (rule->root_relid == rule->relid) {
    expression = build_column_default(relation, attribute);
  } else {
    Relation root = table_open(rule->root_relid, AccessShareLock);
    expression = build_column_default(root, get_attnum(rule->root_relid, name));
    table_close(root, NoLock);
  }
  if (contain_volatile_functions(expression)) {
    *fault = {
        psprintf("The default of column %s is volatile: no value can be compared with it.", quote_identifier(name)),
        "Make the trigger without INSERT, or give the column a default that is the same within a transaction."};
  }
  return expression;
}

void report_unusable_rule(Relation relation, const Trigger *trigger, const RuleFault &fault, int level) {
  ereport(level, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("column rule \"%s\" of table %s is not usable", trigger->tgname,
                         relation_name(RelationGetRelid(relation))),
                  errdetail("%s", fault.detail), errhint("%s", fault.hint)));
}

void check_column_rule(Oid oid, int level) {
  Oid relid = InvalidOid;
  for_catalog_rows(TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid, oid, nullptr,
                   [&](HeapTuple tuple, TupleDesc) {
                     const Form_pg_trigger form = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple));
                     if (is_restrict_columns(form->tgfoid)) relid = form->tgrelid;
                   });
  if (!OidIsValid(relid)) return;
  Relation relation = relation_open(relid, AccessShareLock);
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
    const Trigger *trigger = &triggers->triggers[i];
    if (trigger->tgoid != oid) continue;
    RuleFault fault = {};
    const ColumnRule *rule = read_column_rule(relation, trigger, CurrentMemoryContext, &fault);
    for (int place = 0; rule != nullptr && rule->restricts_insert && place < rule->count && fault.detail == nullptr;
         place++) {
      column_default(rule, relation, place, &fault);
    }
    if (fault.detail != nullptr) report_unusable_rule(relation, trigger, fault, level);
  }
  relation_close(relation, NoLock);
}

}  // namespace rls_tenant
