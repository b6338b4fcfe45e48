-- rls_tenant 0.5.0 to 0.6.0: the patterns that teams use.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.6.0'" to load this file. \quit

-- Public rows

DROP FUNCTION rls_tenant.protect(regclass, name, text, text);
DROP FUNCTION rls_tenant.protect_sql(regclass, name, text, text);

CREATE FUNCTION rls_tenant.protect(relation regclass, tenant_column name DEFAULT NULL, access text DEFAULT NULL, membership text DEFAULT NULL,
  public_read text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_protect';
COMMENT ON FUNCTION rls_tenant.protect(regclass, name, text, text, text) IS 'makes a table a tenant table, as the caller: runs what protect_sql() says. May be run again. tenant_column: default rls_tenant.tenant_column; access: who sees which of the tenant''s rows, default all (or what the table says already); membership: the source by which users see the rows of all tenants that they are members of, empty for the tenant of the context, default what the table has, or else the tenant of the context; public_read: a condition on the row''s columns by which every tenant may read a row (22023 if it asks for anything else), empty for none, default what the table has';

CREATE FUNCTION rls_tenant.protect_sql(relation regclass, tenant_column name DEFAULT NULL, access text DEFAULT NULL, membership text DEFAULT NULL,
  public_read text DEFAULT NULL) RETURNS SETOF text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_protect_sql';
COMMENT ON FUNCTION rls_tenant.protect_sql(regclass, name, text, text, text) IS 'the statements that a table still needs to be a tenant table, in order, for a migration file; no row if it is one. Run one by one they leave it open at no moment';

CREATE FUNCTION rls_tenant.public_condition(relation regclass) RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_public_condition';
REVOKE ALL ON FUNCTION rls_tenant.public_condition(regclass) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.public_condition(regclass) IS 'part of audit(): the condition under which every tenant may read rows of a table, where it has the form that protect() makes; NULL: no row, or no such table';

CREATE OR REPLACE FUNCTION rls_tenant.audit_rules(OUT rule text, OUT severity text, OUT meaning text) RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
VALUES
  ('rls_off', 'leak', 'tenant column, row-level security not enabled'),
  ('rls_off_with_policies', 'leak', 'policies exist, row-level security not enabled'),
  ('rls_not_forced', 'leak', 'row-level security enabled, not forced; a risk where the owner cannot log in'),
  ('child_unprotected', 'leak', 'a partition or inheritance child without row-level security that a non-owner may read or write'),
  ('not_confined', 'leak', 'a permissive policy that does not imply the tenant condition, and no RESTRICTIVE one for all roles that does'),
  ('floor_not_public', 'leak', 'the RESTRICTIVE policy is for some roles only'),
  ('always_true', 'leak', 'USING or WITH CHECK is true, and no RESTRICTIVE policy holds'),
  ('check_wider', 'leak', 'WITH CHECK lets rows in that USING of the same policy would hide'),
  ('null_matches', 'leak', 'IS NULL, coalesce or IS NOT DISTINCT FROM lets a missing context match'),
  ('immutable_setting', 'leak', 'a policy, index or default uses a function labelled IMMUTABLE that reads a setting: kept plans keep the first tenant'),
  ('foreign_operator', 'leak', 'a policy calls a function or operator that belongs to somebody else than the table or its schema'),
  ('writable_membership', 'leak', 'an application role may write what a membership source reads, without a policy'),
  ('view_bypass', 'leak', 'a view of a tenant table, through any depth, that is read as a role which no policy holds'),
  ('matview', 'leak', 'a materialised view of tenant tables that a non-owner may read'),
  ('definer_function', 'leak', 'a SECURITY DEFINER function of a role that no policy holds names a tenant table, and an application role may execute it'),
  ('fk_crosses', 'leak', 'a foreign key between tenant tables without the tenant column'),
  ('truncate_grant', 'leak', 'TRUNCATE granted to an application role: row-level security does not apply to it'),
  ('fdw_mapping', 'leak', 'a user mapping of an application role to a remote role that no policy holds; a note where that cannot be seen'),
  ('bypass_login', 'leak', 'a role with grants on tenant tables that can log in and passes policies by, or can become one that does'),
  ('owner_login', 'leak', 'the application logs in as the owner of tenant tables, or can become the owner, who can disable row-level security'),
  ('server_outdated', 'leak', 'a minor release that lacks fixes of row-level security'),
  ('no_policy', 'risk', 'row-level security enabled, no policy: nobody sees anything'),
  ('only_restrictive', 'risk', 'RESTRICTIVE policies only: nothing is ever visible'),
  ('no_tenant_column', 'risk', 'a table without tenant column and without exemption'),
  ('tenant_nullable', 'risk', 'the tenant column allows NULL'),
  ('unlike_parent', 'risk', 'a tenant table whose rows are also read through a parent that is none'),
  ('foreign_table', 'risk', 'a foreign table with the tenant column that a non-owner may read: row-level security cannot be enabled on it'),
  ('published', 'risk', 'a tenant table in a publication without a row filter'),
  ('no_floor', 'risk', 'the permissive policies confine each by itself, and no RESTRICTIVE one backs them'),
  ('search_path_helper', 'risk', 'a policy calls a function with a string body and no search_path of its own'),
  ('recursive_policy', 'risk', 'policies that read each other''s tables in a loop'),
  ('definer_search_path', 'risk', 'a SECURITY DEFINER function without search_path, or one that does not end in pg_temp'),
  ('rule_rewrite', 'risk', 'a rewrite rule on a tenant table, or one that touches a tenant table'),
  ('unique_oracle', 'risk', 'a unique or exclusion constraint without the tenant column: it tells of other tenants'' keys'),
  ('references_grant', 'risk', 'REFERENCES granted to an application role'),
  ('trigger_grant', 'risk', 'TRIGGER granted to an application role'),
  ('leakproof_function', 'risk', 'a function of a user''s marked LEAKPROOF: it may be asked before the policies'),
  ('expression_statistics', 'risk', 'statistics on an expression of a tenant table, which its owner reads for all tenants'),
  ('public_grant', 'risk', 'a tenant table granted to PUBLIC, or default privileges that do so'),
  ('guard_off', 'risk', 'the guard is off or only warns, for all or for some role, or its event triggers do not fire'),
  ('replica_role_grant', 'risk', 'a role that is no superuser may set session_replication_role'),
  ('not_judged', 'risk', 'the audit could not look at the relation; the finding says why'),
  ('per_row_setting', 'speed', 'a policy asks current_setting() or a volatile function for each row'),
  ('subquery_per_row', 'speed', 'a policy looks into a membership table for each row: is_member() does not'),
  ('cast_column', 'speed', 'a policy casts the tenant column, so that no index serves it'),
  ('no_tenant_index', 'speed', 'no valid index leads with the tenant column'),
  ('membership_index', 'speed', 'a membership source without an index that leads with its user column'),
  ('many_permissive', 'speed', 'several permissive policies for one command and role'),
  ('public_rows', 'note', 'rows that every tenant may read, by protect(… public_read): of which table, under which condition'),
  ('tenant_type', 'note', 'the tenant column is none of uuid, bigint, integer, smallint, text, varchar'),
  ('exempt_but_tenant', 'note', 'an exempt table that has the tenant column'),
  ('pinned_context', 'note', 'ALTER ROLE or ALTER DATABASE sets a context: who is held to whom'),
  ('not_preloaded', 'note', 'the library is not preloaded: until it is loaded the guard sees less')
$$;

CREATE OR REPLACE FUNCTION rls_tenant.audit_speed(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tenant AS MATERIALIZED (
    SELECT c.oid, c.relname, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name, t.tenant_column, t.part_of::oid AS part_of, a.attnum AS tenant_attribute
    FROM rls_tenant.audited_tables() t JOIN pg_class c ON c.oid = t.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = t.tenant_column),
  source AS MATERIALIZED (
    SELECT s.name, s.user_column, c.oid, c.relname, c.relkind, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name
    FROM rls_tenant.membership_source s JOIN pg_class c ON c.oid = s.relation JOIN pg_namespace n ON n.oid = c.relnamespace),
  reads(source, oid) AS (  -- a source's relation, and what its views read
    SELECT s.name, s.oid FROM source s
    UNION
    SELECT r.source, d.refobjid FROM reads r JOIN pg_rewrite w ON w.ev_class = r.oid AND w.rulename = '_RETURN'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass),
  written AS (
    SELECT r.source, c.oid, c.relname, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name, string_agg(DISTINCT a.privilege_type, ', ') AS privileges,
      string_agg(DISTINCT rls_tenant.grantee_name(a.grantee), ', ') AS grantees
    FROM reads r JOIN pg_class c ON c.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT * FROM aclexplode(c.relacl) UNION ALL
      SELECT x.* FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) x WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL) a
    WHERE c.relkind IN ('r', 'p', 'v') AND NOT c.relrowsecurity AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE') AND a.grantee <> c.relowner
      AND (a.grantee = 0 OR EXISTS (SELECT FROM rls_tenant.logins() l JOIN rls_tenant.application_roles() p(oid) ON p.oid = l.login WHERE l.role = a.grantee))
    GROUP BY r.source, c.oid, c.relname, n.nspname),
  permissive AS (
    SELECT p.polrelid, p.polname, r.role, c.command
    FROM pg_policy p CROSS JOIN LATERAL unnest(p.polroles) r(role)
    CROSS JOIN LATERAL unnest(CASE p.polcmd WHEN '*' THEN '{r,a,w,d}' ELSE ARRAY[p.polcmd]::text[] END) c(command)
    -- Of a table with public rows tenant_public is one of two that protect() makes.
    WHERE p.polpermissive AND CASE WHEN p.polname = 'tenant_public' THEN rls_tenant.public_condition(p.polrelid) IS NULL ELSE true END),
  several AS (
    SELECT p.polrelid, array_agg(DISTINCT q.polname) AS names, p.command
    FROM permissive p JOIN permissive q ON q.polrelid = p.polrelid AND q.command = p.command AND (q.role = p.role OR q.role = 0 OR p.role = 0)
    GROUP BY p.polrelid, p.polname, p.role, p.command HAVING count(DISTINCT q.polname) > 1)
  SELECT 'writable_membership', NULL::text, 'table', w.nspname, w.relname, w.full_name, format('%s may %s it, and no policy says which rows; membership source "%s" reads it', w.grantees, w.privileges, w.source),
    format('REVOKE %s ON %s FROM %s;', w.privileges, w.full_name, w.grantees)
  FROM written w
  UNION ALL
  SELECT 'no_tenant_index', NULL, 'table', t.nspname, t.relname, t.full_name, format('no index leads with %I', t.tenant_column), format('CREATE INDEX ON %s (%I);', t.full_name, t.tenant_column)
  FROM tenant t
  WHERE t.part_of IS NULL AND t.tenant_attribute IS NOT NULL
    AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid)  -- else protect() will make one
    AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = t.tenant_attribute)
  UNION ALL
  SELECT 'membership_index', NULL, 'table', s.nspname, s.relname, s.full_name, format('no index leads with %I, by which membership source "%s" looks a user up', s.user_column, s.name),
    format('CREATE INDEX ON %s (%I);', s.full_name, s.user_column)
  FROM source s JOIN pg_attribute a ON a.attrelid = s.oid AND a.attname = s.user_column
  WHERE s.relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = s.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum)
  UNION ALL
  SELECT 'many_permissive', NULL, 'table', n.nspname, c.relname, format('%I.%I', n.nspname, c.relname),
    format('policies %s are all asked for one command and role', array_to_string(s.names, ', ')), '/* join them by OR in one policy */'
  FROM (SELECT DISTINCT polrelid, names FROM several) s JOIN pg_class c ON c.oid = s.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT rls_tenant.of_extension('pg_class', c.oid)
$$;

-- Column rules

-- Roles

-- Work over all tenants

-- A setting of the application's own
