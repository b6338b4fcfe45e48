// The rules of the tenant boundary: what can be wrong, how bad it is, and whether the guard refuses it. The one list
// behind guard, protect(), table_rules() and audit_rules(); what finds a rule broken says its name by RT_RULE.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// leak: rows cross tenants; risk: they would after one ordinary mistake, or something shows; speed: it costs; note.
enum class Severity { leak, risk, speed, note };

struct Rule {
  const char *name;
  Severity severity;
  bool guarded;  // refused at COMMIT where a transaction brings it
  const char *meaning;
};

// In the order in which audit() tells of them.
constexpr Rule rules[] = {
    {"rls_off", Severity::leak, true, "tenant column, row-level security not enabled"},
    {"rls_off_with_policies", Severity::leak, true, "policies exist, row-level security not enabled"},
    {"rls_not_forced", Severity::leak, true,
     "row-level security enabled, not forced; a risk where the owner cannot log in"},
    {"child_unprotected", Severity::leak, true,
     "a partition or inheritance child without row-level security that a non-owner may read or write"},
    {"not_confined", Severity::leak, true,
     "a permissive policy that does not imply the tenant condition, and no RESTRICTIVE one for all roles that does"},
    {"floor_not_public", Severity::leak, true, "the RESTRICTIVE policy is for some roles only"},
    {"always_true", Severity::leak, true, "USING or WITH CHECK is true, and no RESTRICTIVE policy holds"},
    {"check_wider", Severity::leak, true, "WITH CHECK lets rows in that USING of the same policy would hide"},
    {"null_matches", Severity::leak, true, "IS NULL, coalesce or IS NOT DISTINCT FROM lets a missing context match"},
    {"immutable_setting", Severity::leak, false,
     "a policy, index or default uses a function labelled IMMUTABLE that reads a setting: kept plans keep the first "
     "tenant"},
    {"foreign_operator", Severity::leak, false,
     "a policy calls a function or operator that belongs to somebody else than the table or its schema"},
    {"writable_membership", Severity::leak, false,
     "an application role may write what a membership source reads, without a policy"},
    {"view_bypass", Severity::leak, true,
     "a view that reads a tenant table, through any depth, or a rewrite rule that reads or writes one, as a role to "
     "which no policy applies"},
    {"matview", Severity::leak, true,
     "a materialized view of tenant tables, or of a function that could read them, that a non-owner may read"},
    {"definer_function", Severity::leak, false,
     "a SECURITY DEFINER function of a role to which no policy applies names a tenant table, and an application role "
     "may execute it, or fires it as a trigger"},
    {"fk_crosses", Severity::leak, true,
     "a foreign key between tenant tables without the tenant column, or one that sets it to its default"},
    {"no_foreign_key", Severity::leak, true,
     "a table that belongs to tenants through another, without a valid foreign key by the columns of its policies"},
    {"truncate_grant", Severity::leak, false,
     "TRUNCATE granted to an application role: row-level security does not apply to it"},
    {"fdw_mapping", Severity::leak, false,
     "a user mapping of an application role to a remote role to which no policy applies; a note where that cannot be "
     "seen"},
    {"bypass_login", Severity::leak, true,
     "a role that reaches tenant tables by grants, as their owner or by predefined roles, can log in and bypasses "
     "policies, or can become one that does"},
    {"replication_login", Severity::leak, false,
     "an application role has REPLICATION: the log shows the rows of all tenants"},
    {"toast_access", Severity::leak, false,
     "an application role or an owner may read TOAST tables, which have no policies"},
    {"role_admin", Severity::leak, false,
     "an application role may grant itself a role that bypasses policies or owns tenant tables"},
    {"server_access", Severity::leak, false,
     "an application role may read or write files of the server, or run programs there"},
    {"owner_login", Severity::leak, false,
     "the application logs in as the owner of tenant tables, or can become the owner, who can disable row-level "
     "security"},
    {"server_outdated", Severity::leak, false, "a minor release that lacks fixes of row-level security"},
    {"no_policy", Severity::risk, true, "row-level security enabled, no policy: nobody sees anything"},
    {"only_restrictive", Severity::risk, true, "RESTRICTIVE policies only: nothing is ever visible"},
    {"no_tenant_column", Severity::risk, true, "a table without tenant column and without exemption"},
    {"tenant_nullable", Severity::risk, true, "the tenant column allows NULL, or its NOT NULL is NOT VALID"},
    {"unlike_parent", Severity::risk, true, "a tenant table whose rows are also read through a parent that is none"},
    {"foreign_table", Severity::risk, false,
     "a foreign table with the tenant column that a non-owner may read: row-level security cannot be enabled on it"},
    {"published", Severity::risk, false, "a tenant table in a publication without a row filter"},
    {"no_floor", Severity::risk, false,
     "the permissive policies confine each by itself, and no RESTRICTIVE one backs them"},
    {"search_path_helper", Severity::risk, false,
     "a policy calls a function with a string body and no search_path of its own"},
    {"recursive_policy", Severity::risk, false, "policies that read each other's tables in a loop"},
    {"definer_search_path", Severity::risk, false,
     "a SECURITY DEFINER function without search_path, or one that does not end in pg_temp"},
    {"rule_rewrite", Severity::risk, true, "a rewrite rule on a tenant table, or one that touches a tenant table"},
    {"fk_from_exempt", Severity::risk, false,
     "a foreign key of a table without tenants to a tenant table, which an application role may write: it "
     "tells of other tenants' keys"},
    {"unique_oracle", Severity::risk, false,
     "a unique or exclusion constraint without the tenant column: it tells of other tenants' keys"},
    {"references_grant", Severity::risk, false, "REFERENCES granted to an application role"},
    {"trigger_grant", Severity::risk, false, "TRIGGER granted to an application role"},
    {"leakproof_function", Severity::risk, false,
     "a function marked LEAKPROOF that PostgreSQL does not mark so: it may be asked before the policies"},
    {"expression_statistics", Severity::risk, false,
     "statistics on an expression of a tenant table, which its owner reads for all tenants"},
    {"public_grant", Severity::risk, false, "a tenant table granted to PUBLIC, or default privileges that do so"},
    {"guard_off", Severity::risk, false,
     "the guard is off or only warns, for all or for some role, or its event triggers do not fire"},
    {"replica_role_grant", Severity::risk, false, "a role that is not a superuser may set session_replication_role"},
    {"loose_setting", Severity::risk, false,
     "a role that is not a superuser was granted a setting on which the boundary depends, or ALTER ROLE or ALTER "
     "DATABASE loosens one"},
    {"loose_pin", Severity::risk, false,
     "a pinned login that was granted SET on the setting: it can move its pin from a database where the library is "
     "not loaded"},
    {"not_judged", Severity::risk, false, "the audit could not look at the relation; the finding says why"},
    {"per_row_setting", Severity::speed, false, "a policy asks current_setting() or a volatile function for each row"},
    {"subquery_per_row", Severity::speed, false,
     "a policy looks into a membership table for each row: is_member() does not"},
    {"cast_column", Severity::speed, false, "a policy casts the tenant column, so that no index serves it"},
    {"no_tenant_index", Severity::speed, false, "no valid btree index leads with the tenant column"},
    {"membership_index", Severity::speed, false,
     "a membership source without an index that leads with its user column"},
    {"many_permissive", Severity::speed, false, "several permissive policies for one command and role"},
    {"public_rows", Severity::note, false,
     "rows that every tenant may read, by protect(… public_read): of which table, under which condition"},
    {"tenant_type", Severity::note, false,
     "the tenant column is none of uuid, bigint, integer, smallint, text, varchar"},
    {"exempt_but_tenant", Severity::note, true, "an exempt table that has the tenant column"},
    {"pinned_context", Severity::note, false, "ALTER ROLE or ALTER DATABASE sets a context: who is pinned to what"},
    {"not_preloaded", Severity::note, false, "the library is not preloaded: until it is loaded the guard sees less"},
};

// Whether two names are the same, also while this is compiled.
constexpr bool is_same_name(const char *left, const char *right) {
  while (*left != '\0' && *left == *right) left++, right++;
  return *left == *right;
}

// The rule of that name; nullptr: there is none.
constexpr const Rule *find_rule(const char *name) {
  for (const Rule &rule : rules) {
    if (is_same_name(rule.name, name)) return &rule;
  }
  return nullptr;
}

// The name of a rule, as a string; a name that is not in the list does not compile.
#define RT_RULE(name)                                                                          \
  ([] {                                                                                        \
    static_assert(::rls_tenant::find_rule(#name) != nullptr, "there is no rule of that name"); \
    return #name;                                                                              \
  }())

}  // namespace rls_tenant
