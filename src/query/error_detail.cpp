// Adding to errors that PostgreSQL raises. The catalogs are out of reach here: all that is said lies in memory, and it
// is no more than the session and its statement have said themselves.

#include "query/error_detail.hpp"

#include "context/own_functions.hpp"
#include "postgres/expression.hpp"
#include "query/plan_constant.hpp"

namespace rls_tenant {

namespace {

// How a tenant table's policies say whose a row is.
struct TenantSign {
  bool found;
  bool by_membership;
  AttrNumber attribute;  // InvalidAttrNumber: through a sub-select or another table
  Oid type;
};

bool was_tenant_getter(Oid function) {
  const SettingFunctions *functions = remembered_setting_functions(Setting::tenant);
  for (int i = 0; i < id_type_count; i++) {
    if (OidIsValid(functions->getter[i]) && function == functions->getter[i]) return true;
    if (OidIsValid(functions->fast[i]) && function == functions->fast[i]) return true;
  }
  return false;
}

// The column behind casts that change no bits, and the type as which it is compared.
const Var *column_of(const Node *node, Oid *type) {
  const Node *column = strip_relabel(node);
  if (column == nullptr || !IsA(column, Var)) return nullptr;
  const Var *var = reinterpret_cast<const Var *>(column);
  *type = exprType(node);
  return var->varlevelsup == 0 && var->varattno > 0 ? var : nullptr;
}

bool look_for_getter(Node *node, void *found) {
  if (node == nullptr) return false;
  if (IsA(node, FuncExpr) && was_tenant_getter(reinterpret_cast<FuncExpr *>(node)->funcid)) {
    *static_cast<bool *>(found) = true;
    return true;
  }
  if (IsA(node, Query)) {
    return query_tree_walker(reinterpret_cast<Query *>(node), compat::tree_walker(look_for_getter), found, 0);
  }
  return expression_tree_walker(node, compat::tree_walker(look_for_getter), found);
}

bool has_getter(Node *node) {
  bool found = false;
  look_for_getter(node, &found);
  return found;
}

// The tenant of the context, also as (SELECT current_tenant_…()) or as the planner has put it there.
bool is_tenant(const Node *node) {
  node = strip_relabel(node);
  if (node == nullptr) return false;
  if (IsA(node, FuncExpr)) return was_tenant_getter(reinterpret_cast<const FuncExpr *>(node)->funcid);
  if (IsA(node, Const)) return reinterpret_cast<const Const *>(node)->location == constant_location(Setting::tenant);
  return IsA(node, SubLink) && has_getter(const_cast<Node *>(node));
}

void note_column(TenantSign *sign, const Node *node) {
  Oid type;
  const Var *var = column_of(node, &type);
  if (var == nullptr) return;
  sign->attribute = var->varattno;
  sign->type = type;
}

// Looks for column = (the context's tenant) and is_member(column); what is a sign otherwise says no column.
bool look_for_sign(Node *node, void *argument) {
  TenantSign *sign = static_cast<TenantSign *>(argument);
  if (node == nullptr) return false;
  if (IsA(node, OpExpr) && list_length(reinterpret_cast<OpExpr *>(node)->args) == 2) {
    Node *left = static_cast<Node *>(linitial(reinterpret_cast<OpExpr *>(node)->args));
    Node *right = static_cast<Node *>(lsecond(reinterpret_cast<OpExpr *>(node)->args));
    if (is_tenant(left) || is_tenant(right)) {
      sign->found = true;
      note_column(sign, is_tenant(right) ? left : right);
      if (sign->attribute != InvalidAttrNumber) return true;
    }
  }
  if (IsA(node, FuncExpr)) {
    const FuncExpr *call = reinterpret_cast<FuncExpr *>(node);
    if (was_membership_check(call->funcid)) {
      sign->found = sign->by_membership = true;
      note_column(sign, static_cast<const Node *>(linitial(call->args)));
      return true;
    }
    if (was_tenant_getter(call->funcid)) sign->found = true;
  }
  if (IsA(node, SubLink)) {
    if (has_getter(node)) sign->found = true;
    return false;
  }
  return expression_tree_walker(node, compat::tree_walker(look_for_sign), argument);
}

// The column of that name in a partition or child.
AttrNumber column_of_child(const ResultRelInfo *child, const ResultRelInfo *root, AttrNumber attribute) {
  const TupleDesc named = RelationGetDescr(root->ri_RelationDesc), columns = RelationGetDescr(child->ri_RelationDesc);
  if (attribute > named->natts) return InvalidAttrNumber;
  const char *name = NameStr(TupleDescAttr(named, attribute - 1)->attname);
  for (int i = 0; i < columns->natts; i++) {
    const Form_pg_attribute column = TupleDescAttr(columns, i);
    if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0) return static_cast<AttrNumber>(i + 1);
  }
  return InvalidAttrNumber;
}

// By the checks of the statement, whose columns are those of the row; else, where the planner has put a parameter in
// the place of the context, by the policies as they are written for the table that the statement names.
TenantSign sign_of(const ResultRelInfo *result) {
  TenantSign sign = {};
  const ListCell *cell;
  foreach (cell, result->ri_WithCheckOptions) {
    if (look_for_sign(lfirst_node(WithCheckOption, cell)->qual, &sign)) return sign;
  }
  const ResultRelInfo *root = result->ri_RootResultRelInfo != nullptr ? result->ri_RootResultRelInfo : result;
  const RowSecurityDesc *policies = root->ri_RelationDesc->rd_rsdesc;
  if (policies == nullptr) return sign;
  foreach (cell, policies->policies) {
    const RowSecurityPolicy *policy = static_cast<const RowSecurityPolicy *>(lfirst(cell));
    Expr *const expressions[] = {policy->qual, policy->with_check_qual};
    for (Expr *expression : expressions) {
      if (!look_for_sign(reinterpret_cast<Node *>(expression), &sign)) continue;
      if (root != result) sign.attribute = column_of_child(result, root, sign.attribute);
      return sign;
    }
  }
  return sign;
}

// The relation that a new row is for.
const ResultRelInfo *find_result(const EState *state, Oid relid) {
  const ListCell *cell;
  const List *const opened[] = {state->es_tuple_routing_result_relations, state->es_opened_result_relations};
  for (const List *results : opened) {
    foreach (cell, results) {
      const ResultRelInfo *result = static_cast<const ResultRelInfo *>(lfirst(cell));
      if (result->ri_WithCheckOptions != NIL && RelationGetRelid(result->ri_RelationDesc) == relid) return result;
    }
  }
  return nullptr;
}

// Whether a new row's tenant is what the statement itself has given: not what a trigger found out, not a row that the
// statement found, not what a function keeps from its caller.
bool is_given(const QueryDesc *query, const ResultRelInfo *result, AttrNumber attribute) {
  const PlannedStmt *plan = query->plannedstmt;
  if (GetUserId() != GetOuterUserId() || plan->hasModifyingCTE) return false;
  const bool is_child = result->ri_RootResultRelInfo != nullptr && result->ri_RootResultRelInfo != result;
  const Index index = is_child ? result->ri_RootResultRelInfo->ri_RangeTableIndex : result->ri_RangeTableIndex;
  if (index == 0 || index > static_cast<Index>(list_length(plan->rtable))) return false;
  const compat::Permissions permissions = compat::permissions_of(plan, rt_fetch(index, plan->rtable));
  if (OidIsValid(permissions.check_as) && permissions.check_as != GetUserId()) return false;  // a view's or a rule's
  const TriggerDesc *triggers = result->ri_TrigDesc;
  if (query->operation == CMD_INSERT) {
    return result->ri_onConflict == nullptr && (triggers == nullptr || !triggers->trig_insert_before_row);
  }
  // A row that is found without being read may be somebody else's: only what is assigned is the statement's.
  if (query->operation != CMD_UPDATE || is_child) return false;
  if (triggers != nullptr && (triggers->trig_update_before_row || triggers->trig_insert_before_row)) return false;
  return bms_is_member(attribute - FirstLowInvalidHeapAttributeNumber, permissions.updated);
}

// An id as text, where that takes nothing but its bytes; else nullptr.
const char *id_text(Datum value, Oid type) {
  char *text = static_cast<char *>(palloc(max_context_bytes + 1));
  switch (type) {
    case UUIDOID:
      print_uuid(*DatumGetUUIDP(value), text);
      return text;
    case INT8OID:
      return psprintf(INT64_FORMAT, DatumGetInt64(value));
    case INT4OID:
      return psprintf("%d", DatumGetInt32(value));
    case INT2OID:
      return psprintf("%d", DatumGetInt16(value));
    case TEXTOID:
    case VARCHAROID: {
      const char *bytes = DatumGetPointer(value);
      if (VARATT_IS_EXTERNAL(bytes) || VARATT_IS_COMPRESSED(bytes)) return nullptr;
      const size_t length = VARSIZE_ANY_EXHDR(bytes);
      if (length > max_context_bytes) return nullptr;
      memcpy(text, VARDATA_ANY(bytes), length);
      text[length] = '\0';
      return text;
    }
    default:
      return nullptr;
  }
}

// The tenant of the new row, as a phrase; nullptr where it is not at hand, or must not be said.
const char *row_phrase(const QueryDesc *query, const ResultRelInfo *result, const TenantSign &sign,
                       const TupleTableSlot *row, const char **id) {
  if (sign.attribute == InvalidAttrNumber || sign.attribute > row->tts_nvalid) return nullptr;
  if (!is_given(query, result, sign.attribute)) return nullptr;
  if (row->tts_isnull[sign.attribute - 1]) return "of no tenant (NULL)";
  *id = id_text(row->tts_values[sign.attribute - 1], sign.type);
  return *id != nullptr ? psprintf("of tenant \"%s\"", *id) : nullptr;
}

// new row violates row-level security policy
void explain_new_row(const QueryDesc *query) {
  const EState *state = query->estate;
  const ExprContext *expressions = state != nullptr ? state->es_per_tuple_exprcontext : nullptr;
  const TupleTableSlot *row = expressions != nullptr ? expressions->ecxt_scantuple : nullptr;
  if (row == nullptr || TTS_EMPTY(row)) return;
  const ResultRelInfo *result = find_result(state, row->tts_tableOid);
  if (result == nullptr) return;
  const TenantSign sign = sign_of(result);
  if (!sign.found) return;
  const Setting setting = sign.by_membership ? Setting::user : Setting::tenant;
  const ContextValue *context = present_context(setting);
  const char *id = nullptr;
  const char *phrase = row_phrase(query, result, sign, row, &id);
  if (phrase != nullptr) {
    errdetail("The row is %s, the context is of %s.", phrase, context_words(setting));
  } else {
    errdetail("The context is of %s.", context_words(setting));
  }
  if (context == nullptr) {
    errhint("Set the context in this transaction first: SELECT rls_tenant.set_context(...).");
  } else if (sign.by_membership) {
    errhint("A row must be of a tenant that the user is a member of; rls_tenant.explain_access() shows the policies.");
  } else if (phrase == nullptr) {
    errhint("A new row must be of the context's tenant; rls_tenant.explain_access() shows the policies.");
  } else if (id != nullptr && strcmp(id, context->bytes()) == 0) {
    errhint("Its tenant is right, but a policy asks for more; rls_tenant.explain_access() shows the policies.");
  } else {
    errhint("Write rows of the context's tenant, or begin a transaction with the context of the row's.");
  }
}

// The name in the message of an error that has one placeholder, in whatever language.
const char *name_in(const ErrorData *error) {
  const char *format = gettext(error->message_id);
  const char *placeholder = strstr(format, "%s");
  if (placeholder == nullptr) return nullptr;
  const size_t before = placeholder - format, after = strlen(placeholder + 2), length = strlen(error->message);
  if (length < before + after || strncmp(error->message, format, before) != 0) return nullptr;
  return pnstrdup(error->message + before, length - before - after);
}

// The role that a statement runs as, where that is the session's own; nullptr: a view's or a function's.
const char *role_of_statement(Oid check_as) {
  if (GetUserId() != GetOuterUserId() || (OidIsValid(check_as) && check_as != GetUserId())) return nullptr;
  const char *role = GetConfigOption("role", true, false);
  if (role != nullptr && strcmp(role, "none") != 0) return role;
  return GetConfigOption("session_authorization", true, false);
}

const char *privilege_words(AclMode privileges) {
  constexpr struct {
    AclMode mode;
    const char *word;
  } all[] = {{ACL_SELECT, "SELECT"}, {ACL_INSERT, "INSERT"}, {ACL_UPDATE, "UPDATE"}, {ACL_DELETE, "DELETE"}};
  StringInfoData words;
  initStringInfo(&words);
  for (const auto &one : all) {
    if (privileges & one.mode) appendStringInfo(&words, "%s%s", words.len > 0 ? ", " : "", one.word);
  }
  return words.data;
}

// permission denied for table: what the statement needs there, by the table's name. Tables with an alias do not show
// theirs.
void explain_privilege(const QueryDesc *query, const ErrorData *error) {
  const char *name = name_in(error);
  if (name == nullptr) return;
  AclMode needed = 0;
  Oid check_as = InvalidOid;
  int candidates = 0, aliased = 0;
  for (int pass = 0; pass < 2 && candidates == 0; pass++) {
    const bool with_alias = pass == 1;
    const ListCell *cell;
    foreach (cell, query->plannedstmt->rtable) {
      const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
      const compat::Permissions permissions = compat::permissions_of(query->plannedstmt, entry);
      if (permissions.required == 0 || (entry->alias != nullptr) != with_alias) continue;
      if (with_alias) aliased++;
      if (!with_alias && (entry->eref == nullptr || strcmp(entry->eref->aliasname, name) != 0)) continue;
      needed |= permissions.required;
      check_as = permissions.check_as;
      candidates++;
    }
  }
  if (candidates == 0 || aliased > 1) return;
  const char *role = role_of_statement(check_as);
  if (role != nullptr) {
    errhint("The statement needs: GRANT %s ON TABLE %s TO %s;", privilege_words(needed), quote_identifier(name),
            quote_identifier(role));
  } else {
    errhint("The statement needs %s on the table for the owner of the view or function through which it came.",
            privilege_words(needed));
  }
}

bool is_refusal_by_policy(const ErrorData *error) {
  return strcmp(error->message_id, "new row violates row-level security policy for table \"%s\"") == 0 ||
         strcmp(error->message_id, "new row violates row-level security policy \"%s\" for table \"%s\"") == 0;
}

}  // namespace

// The callback. Memory of the transaction, since the error's own is not to be filled with copies.
void add_error_detail(void *argument) {
  if (geterrcode() != ERRCODE_INSUFFICIENT_PRIVILEGE || !IsTransactionState()) return;
  const QueryDesc *query = static_cast<const QueryDesc *>(argument);
  const MemoryContext before = MemoryContextSwitchTo(CurTransactionContext);
  const ErrorData *error = CopyErrorData();
  if (error->elevel == ERROR && error->detail == nullptr && error->hint == nullptr && error->message_id != nullptr &&
      error->funcname != nullptr) {
    if (strcmp(error->funcname, "ExecWithCheckOptions") == 0 && is_refusal_by_policy(error)) explain_new_row(query);
    if (strcmp(error->funcname, "aclcheck_error") == 0 &&
        strcmp(error->message_id, "permission denied for table %s") == 0) {
      explain_privilege(query, error);
    }
  }
  MemoryContextSwitchTo(before);
}

}  // namespace rls_tenant
