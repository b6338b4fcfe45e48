// The tenant column: which one it is, what the policies say of it, and what it needs itself.

#include "context/own_functions.hpp"
#include "guard/protection.hpp"
#include "membership/source.hpp"
#include "policy/confinement.hpp"

namespace rls_tenant {

namespace {

constexpr char generated_virtual = 'v';  // ATTRIBUTE_GENERATED_VIRTUAL, which there is from 18 on

const FormData_pg_attribute *column_form(const Protection *protection) {
  return TupleDescAttr(RelationGetDescr(protection->table), protection->attribute - 1);
}

// The source that the table's isolation asks today, or nullptr.
const char *present_membership(const Protection *protection) {
  const Policy *policy = present_isolation(protection);
  return policy != nullptr ? membership_of(policy, protection->attribute) : nullptr;
}

[[noreturn]] void refuse_column(const Protection *protection, int code, const char *detail, const char *hint) {
  ereport(ERROR, (errcode(code), errmsg("column %s of %s cannot hold a tenant", protection->column, protection->name),
                  errdetail("%s", detail), errhint("%s", hint)));
  pg_unreachable();
}

// As which type the column is compared with the tenant; an error if it cannot hold one.
IdType check_column(const Protection *protection) {
  const FormData_pg_attribute *form = column_form(protection);
  if (form->attgenerated == generated_virtual) {
    refuse_column(protection, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "It is a virtual generated column, which no index can hold.",
                  "Make it GENERATED ALWAYS AS (...) STORED, or a column of its own.");
  }
  const std::optional<IdType> type = id_type_of(getBaseType(form->atttypid));
  if (!type) {
    refuse_column(protection, ERRCODE_DATATYPE_MISMATCH, psprintf("Its type is %s.", format_type_be(form->atttypid)),
                  psprintf("Use %s.", id_sql_types));
  }
  if (OidIsValid(form->attcollation) && !get_collation_isdeterministic(form->attcollation)) {
    refuse_column(protection, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "Its collation is not deterministic: two tenants could be equal.",
                  "Give the column a deterministic collation, such as \"C\".");
  }
  return *type;
}

// is_member(column), after a look whether the source's groups can be tenants of this table.
const char *membership_condition(const Protection *protection, IdType type) {
  const Source *source = find_source(protection->membership);
  if (source->group_type != type) {
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("membership source \"%s\" does not suit %s", protection->membership, protection->name),
                    errdetail("Its groups are of type %s, column %s is of type %s.", id_type_name(source->group_type),
                              protection->column, format_type_be(column_form(protection)->atttypid)),
                    errhint("Name a source whose groups are tenants.")));
  }
  const bool is_default = strcmp(protection->membership, default_source) == 0;
  return psprintf("%s.is_member(%s%s)", extension_schema, protection->column,
                  is_default ? "" : psprintf(", %s", quote_literal_cstr(protection->membership)));
}

// Whether an index is a btree. Others serve some conditions on the tenant column and not others: hash and GiST no
// is_member(), GiST and BRIN no integer that is compared with a bigint.
bool is_btree(Oid index) {
  bool result = false;
  with_syscache(RELOID, ObjectIdGetDatum(index), [&](HeapTuple tuple) {
    result = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relam == BTREE_AM_OID;
  });
  return result;
}

// Whether a valid, whole btree index leads with the tenant column.
bool has_tenant_index(const Protection *protection) {
  bool found = false;
  List *indexes = RelationGetIndexList(protection->table);
  const ListCell *cell;
  foreach (cell, indexes) {
    with_syscache(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)), [&](HeapTuple tuple) {
      const Form_pg_index form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
      if (form->indisvalid && heap_attisnull(tuple, Anum_pg_index_indpred, nullptr) &&
          form->indkey.values[0] == protection->attribute && is_btree(form->indexrelid)) {
        found = true;
      }
    });
  }
  return found;
}

}  // namespace

void find_column(Protection *protection, const ProtectRequest &request) {
  const Tenancy &tenancy = *protection->tenancy;
  const char *name = request.column != nullptr ? request.column : default_tenant_column();
  protection->attribute = request.column != nullptr ? get_attnum(tenancy.relid, name) : tenancy.attribute;
  if (protection->attribute <= 0) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("%s has no column %s", protection->name, quote_identifier(name)),
             errdetail("A tenant table needs a column that holds the tenant of each row."),
             errhint("Add it (ALTER TABLE %s ADD COLUMN %s uuid), or name another one: protect(%s, 'column').",
                     protection->name, quote_identifier(name), quote_literal_cstr(protection->name))));
  }
  protection->column = quote_identifier(pstrdup(NameStr(column_form(protection)->attname)));
  protection->membership = request.membership != nullptr ? request.membership : present_membership(protection);
  if (protection->membership != nullptr && *protection->membership == '\0') protection->membership = nullptr;
  const IdType type = check_column(protection);
  protection->getter = psprintf("%s.current_tenant_%s()", extension_schema, id_type_name(type));
  protection->condition = protection->membership == nullptr
                              ? psprintf("%s = %s", protection->column, protection->getter)
                              : membership_condition(protection, type);
}

void protect_column(Protection *protection) {
  const FormData_pg_attribute *form = column_form(protection);
  const char *alter = psprintf("ALTER TABLE %s ALTER COLUMN %s", protection->name, protection->column);
  if (!is_not_null(protection->tenancy->relid, protection->attribute))
    add_statement(protection, psprintf("%s SET NOT NULL", alter));
  // A user of several tenants says whose a new row is.
  if (protection->membership == nullptr && !form->atthasdef && form->attidentity == '\0' && form->attgenerated == '\0')
    add_statement(protection, psprintf("%s SET DEFAULT %s", alter, protection->getter));
  if (!has_tenant_index(protection))
    add_statement(protection, psprintf("CREATE INDEX ON %s (%s)", protection->name, protection->column));
}

}  // namespace rls_tenant
