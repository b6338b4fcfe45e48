// A table while the statements are gathered that protect it, and what the parts of that share.
#pragma once

#include "guard/protect.hpp"
#include "policy/policy.hpp"

namespace rls_tenant {

struct Protection {
  const Tenancy *tenancy;  // as the table is
  Relation table;
  const char *name;         // its qualified and quoted name
  AttrNumber attribute;     // that shall say whose a row is
  const char *column;       // its quoted name
  const char *membership;   // the source by which users see the rows of several tenants, or nullptr: of the context's
  const char *getter;       // rls_tenant.current_tenant_…()
  const char *condition;    // column = getter, or is_member(column)
  const char *public_read;  // the rows that every tenant may read, with the test of the context; nullptr: none
  bool says_public;         // the caller says which, or that there are none
  List *statements;
};

// Adds a statement, for the table itself or another.
void add_statement(Protection *protection, const char *sql);
void add_statement_for(Protection *protection, Oid relid, const char *sql);

// The policy of that name which the table has, or nullptr.
const Policy *present_policy(const Protection *protection, const char *name);

// A policy that says the tenant condition and nothing else: what the table's isolation is, or nullptr.
const Policy *present_isolation(const Protection *protection);

// Drops a policy if there is one.
void drop_policy(Protection *protection, const char *name);

// A policy of one of our names that protect() did not make may hold back rows for a reason: it is not ours to drop.
[[noreturn]] void refuse_foreign_policy(const Protection *protection, const Policy *policy);

// Reads the access that a caller asks for.
Node *parse_access(Relation table, const char *access);

// Whether an expression is what a text of ours says, every name of which is qualified.
bool reads_as(const Protection *protection, Node *expression, const char *text);

// Finds the tenant column, and what is to be said of it; an error if there is none, or it cannot hold a tenant.
void find_column(Protection *protection, const ProtectRequest &request);
// Its NOT NULL, default and index.
void protect_column(Protection *protection);

// The rows that the caller wants to be public, or those that are; an error if the condition cannot say it.
void find_public_rows(Protection *protection, const char *condition);
// The PERMISSIVE policy tenant_public, which admits them, and its end.
void protect_public_rows(Protection *protection);
void drop_public_rows(Protection *protection);

// The RESTRICTIVE policies. Those of the one form are there before those of the other go, so that there is no moment in
// which the table is open.
void protect_isolation(Protection *protection);

// The PERMISSIVE policy tenant_access, and the RESTRICTIVE ones in the order in which it allows that. access: as in
// ProtectRequest.
void protect_policies(Protection *protection, const char *access);

}  // namespace rls_tenant
