-- rls_tenant 0.5.0 to 0.6.0: the patterns that teams use.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.6.0'" to load this file. \quit

-- The baseline
--
-- It accepts how tables are today, and does not say that they belong to no tenant: audit() goes on looking around them.

ALTER TABLE rls_tenant.exemption ADD COLUMN baseline boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN rls_tenant.exemption.baseline IS 'whether baseline() added it: it accepts how the table is, so audit() goes on looking at what is around it';
UPDATE rls_tenant.exemption SET baseline = true WHERE reason = 'there before the guard';

CREATE OR REPLACE FUNCTION rls_tenant.exempt(schema name, relation_pattern text, reason text, rules text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  unknown text;
  matches bigint;
BEGIN
  IF coalesce($1, '') = '' OR coalesce($2, '') = '' OR coalesce($3, '') !~ '\S' THEN
    RAISE EXCEPTION 'an exemption needs a schema, a pattern and a reason'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'One of them is NULL or empty.',
        HINT = 'SELECT rls_tenant.exempt(''schema'', ''table'', ''why it belongs to no tenant'');';
  END IF;
  IF $2 ~ '(^|[^\\])(\\\\)*\\$' THEN
    RAISE EXCEPTION 'the pattern "%" ends in an escape character', $2
      USING ERRCODE = 'invalid_escape_sequence', DETAIL = 'It is a pattern for LIKE.', HINT = 'Write \\ for a backslash.';
  END IF;
  IF pg_catalog.cardinality($4) = 0 OR pg_catalog.array_position($4, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'the list of rules is empty, or one of them is NULL'
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'rules names the rules that are waived.', HINT = 'NULL instead of a list waives all.';
  END IF;
  SELECT r INTO unknown FROM pg_catalog.unnest($4) r WHERE r NOT IN (SELECT rule FROM rls_tenant.audit_rules()) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'there is no rule "%"', unknown
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'rules names the rules that are waived; NULL waives all.',
        HINT = 'The guard''s rules are: ' || pg_catalog.array_to_string(rls_tenant.table_rules(), ', ') || '; SELECT * FROM rls_tenant.audit_rules() lists all.';
  END IF;
  INSERT INTO rls_tenant.exemption AS e (schema_name, relation_pattern, rules, reason)
  VALUES ($1, $2, $4, $3)
  ON CONFLICT ON CONSTRAINT exemption_pkey
  DO UPDATE SET rules = excluded.rules, reason = excluded.reason, added_by = excluded.added_by, added_at = excluded.added_at, baseline = false;
  IF $1 = '*' THEN RETURN; END IF;  -- roles and the server: who knows which there will be
  SELECT count(*) INTO matches
  FROM (SELECT relnamespace, relname FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
        UNION ALL SELECT pronamespace, proname FROM pg_catalog.pg_proc) c(schema, name)
  JOIN pg_catalog.pg_namespace n ON n.oid = c.schema
  WHERE n.nspname = $1 AND c.name LIKE $2;
  IF matches <> 1 THEN
    RAISE NOTICE 'the exemption covers % relations and functions of schema "%" today', matches, $1;
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION rls_tenant.baseline(reason text DEFAULT 'there before the guard') RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  added bigint;
BEGIN
  IF coalesce($1, '') !~ '\S' THEN
    RAISE EXCEPTION 'a baseline needs a reason'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'It is NULL or empty.', HINT = 'SELECT rls_tenant.baseline(''why'');';
  END IF;
  INSERT INTO rls_tenant.exemption (schema_name, relation_pattern, rules, reason, baseline)
  SELECT n.nspname, pg_catalog.regexp_replace(c.relname, '([\\%_])', '\\\1', 'g'), pg_catalog.array_agg(DISTINCT f.rule), $1, true
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL rls_tenant.table_faults(c.oid) f
  WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'rls_tenant')
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::regclass
        AND (d.classid, d.objid) IN (('pg_catalog.pg_class'::regclass, c.oid), ('pg_catalog.pg_namespace'::regclass, n.oid)))
  GROUP BY n.nspname, c.relname
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS added = ROW_COUNT;
  RETURN added;
END
$$;

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
  ('tenant_nullable', 'risk', 'the tenant column allows NULL, or its NOT NULL is NOT VALID'),
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
  ('loose_pin', 'risk', 'a pinned login that was granted SET on the setting: it can move its pin from a database where the library is not loaded'),
  ('not_judged', 'risk', 'the audit could not look at the relation; the finding says why'),
  ('per_row_setting', 'speed', 'a policy asks current_setting() or a volatile function for each row'),
  ('subquery_per_row', 'speed', 'a policy looks into a membership table for each row: is_member() does not'),
  ('cast_column', 'speed', 'a policy casts the tenant column, so that no index serves it'),
  ('no_tenant_index', 'speed', 'no valid btree index leads with the tenant column'),
  ('membership_index', 'speed', 'a membership source without an index that leads with its user column'),
  ('many_permissive', 'speed', 'several permissive policies for one command and role'),
  ('public_rows', 'note', 'rows that every tenant may read, by protect(… public_read): of which table, under which condition'),
  ('tenant_type', 'note', 'the tenant column is none of uuid, bigint, integer, smallint, text, varchar'),
  ('exempt_but_tenant', 'note', 'an exempt table that has the tenant column'),
  ('pinned_context', 'note', 'ALTER ROLE or ALTER DATABASE sets a context: who is held to whom'),
  ('not_preloaded', 'note', 'the library is not preloaded: until it is loaded the guard sees less')
$$;

-- Where the library is not loaded PostgreSQL knows no parameter of that name, and lets a role move its own pin only if SET was granted.
CREATE FUNCTION rls_tenant.audit_pins(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT 'loose_pin', NULL::text, 'role', '*'::name, r.rolname, 'role ' || r.rolname,
    format('it can ALTER ROLE itself to another context from a database where the library is not loaded: SET on %s is granted to %s', p.parname, rls_tenant.grantee_name(a.grantee)),
    format('REVOKE SET ON PARAMETER %s FROM %s;', p.parname, rls_tenant.grantee_name(a.grantee))
  FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) c(setting) JOIN pg_roles r ON r.oid = s.setrole
  JOIN pg_parameter_acl p ON p.parname = lower(split_part(c.setting, '=', 1)) CROSS JOIN LATERAL aclexplode(p.paracl) a
  WHERE p.parname ~ '^rls_tenant\.(tenant|account|user)_id$' AND (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND r.rolcanlogin AND NOT r.rolsuper AND a.privilege_type = 'SET' AND (a.grantee = 0 OR pg_has_role(r.oid, a.grantee, 'USAGE'))
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_pins() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_pins() IS 'part of audit(): pinned logins whose pins do not hold everywhere';

CREATE OR REPLACE FUNCTION rls_tenant.audit(schema_pattern text DEFAULT '%', accepted boolean DEFAULT false, OUT severity text, OUT rule text, OUT object_type text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH found AS (
    SELECT * FROM rls_tenant.audit_relations() UNION ALL SELECT * FROM rls_tenant.audit_policies() UNION ALL
    SELECT * FROM rls_tenant.audit_surroundings() UNION ALL SELECT * FROM rls_tenant.audit_roles() UNION ALL SELECT * FROM rls_tenant.audit_pins() UNION ALL
    SELECT * FROM rls_tenant.audit_speed()),
  judged AS (
    SELECT f.*, coalesce(f.severity, r.severity) AS own_severity, e.reason
    FROM found f LEFT JOIN rls_tenant.audit_rules() r ON r.rule = f.rule
    LEFT JOIN LATERAL (
      -- What is said of exempt tables, and of the membership sources among them, must be waived by its own name.
      SELECT e.reason FROM rls_tenant.exemption e
      WHERE e.schema_name = f.schema_name AND f.object_name LIKE e.relation_pattern
        AND (f.rule = ANY (e.rules) OR (e.rules IS NULL AND f.rule NOT IN ('exempt_but_tenant', 'writable_membership', 'membership_index')))
      ORDER BY e.relation_pattern LIMIT 1) e ON true
    WHERE f.schema_name = '*' OR f.schema_name LIKE $1)
  SELECT CASE WHEN j.reason IS NULL THEN j.own_severity ELSE 'accepted' END, j.rule, j.object_type, j.object,
    j.finding || CASE WHEN j.reason IS NULL THEN '' ELSE format(' (%s, accepted: %s)', j.own_severity, j.reason) END, j.remedy
  FROM judged j
  WHERE j.reason IS NULL OR $2
  ORDER BY j.reason IS NOT NULL, array_position('{leak,risk,speed,note}', j.own_severity), j.rule COLLATE "C", j.object COLLATE "C", j.finding COLLATE "C"
$$;

CREATE OR REPLACE FUNCTION rls_tenant.audit_speed(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tenant AS MATERIALIZED (
    SELECT c.oid, c.relname, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name, t.tenant_column, t.ancestor::oid AS ancestor, a.attnum AS tenant_attribute, a.attgenerated
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
  SELECT 'no_tenant_index', NULL, 'table', t.nspname, t.relname, t.full_name, format('no index leads with %I', t.tenant_column),
    CASE WHEN t.attgenerated = 'v' THEN '/* make the tenant column a stored one: no index can hold a virtual generated column */' ELSE format('CREATE INDEX ON %s (%I);', t.full_name, t.tenant_column) END
  FROM tenant t
  WHERE t.ancestor IS NULL AND t.tenant_attribute IS NOT NULL
    AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid)  -- else protect() will make one
    AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                    WHERE i.indrelid = t.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = t.tenant_attribute AND m.amname = 'btree')
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

CREATE FUNCTION rls_tenant.restrict_columns() RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_restrict_columns';
COMMENT ON FUNCTION rls_tenant.restrict_columns() IS 'trigger, AFTER INSERT OR UPDATE (on a partitioned table: OR DELETE) FOR EACH ROW: restrict_columns(''column, …'', ''role'' [, ''source'']) refuses (42501) a change of these columns, and a new row whose values there are not the defaults, unless the context''s user has the role in the row''s tenant by that membership source (without it: tenant), or the current database role has the privileges of the database role of that name; 55000 where it is made so that it cannot be kept, or where neither source nor role is there';

-- Roles

-- For superusers: what it makes, only they may. Its statements are returned as they are run, so that nothing is done unseen.
CREATE FUNCTION rls_tenant.setup_roles(schema_name name DEFAULT 'public') RETURNS SETOF text
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  held text[] := '{tenant_user,tenant_worker}';
  wanted record;
  statement text;
  fault text;
BEGIN
  IF current_setting('is_superuser') <> 'on' THEN
    RAISE EXCEPTION 'permission denied to set up roles'
      USING ERRCODE = 'insufficient_privilege', DETAIL = 'One of them has BYPASSRLS, and default privileges are set for another.',
        HINT = 'Call setup_roles() as a superuser.';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = schema_name) THEN
    RAISE EXCEPTION 'schema "%" does not exist', schema_name
      USING ERRCODE = 'invalid_schema_name', DETAIL = 'setup_roles() grants privileges in the schema of the tenant tables.',
        HINT = format('Create it first: CREATE SCHEMA %I;', schema_name);
  END IF;
  -- What is there already must be what policies hold: a role that bypasses them, or may become one that does, is refused.
  FOR wanted IN
    SELECT r.rolname AS role, other.rolname AS reached, other.rolsuper OR other.rolbypassrls AS bypasses,
      CASE WHEN other.rolsuper THEN 'superuser' ELSE 'BYPASSRLS' END AS attribute, other.rolcreaterole AS creates
    FROM pg_roles r JOIN pg_roles other ON pg_has_role(r.oid, other.oid, 'MEMBER')
    WHERE r.rolname = ANY (held) AND (other.rolsuper OR other.rolbypassrls OR other.rolcreaterole)
    ORDER BY r.rolname, other.oid <> r.oid, other.rolname
  LOOP
    fault := CASE WHEN NOT wanted.bypasses THEN 'CREATEROLE' ELSE wanted.attribute END;
    RAISE EXCEPTION 'role "%" is not held by policies', wanted.role
      USING ERRCODE = 'object_not_in_prerequisite_state',
        DETAIL = CASE WHEN wanted.reached = wanted.role THEN format('It is %s.', fault)
          ELSE format('It is a member of "%s", which is %s.', wanted.reached, fault) END,
        HINT = CASE WHEN wanted.reached <> wanted.role THEN format('REVOKE %I FROM %I;', wanted.reached, wanted.role)
          ELSE format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOCREATEROLE;', wanted.role) END;
  END LOOP;
  FOR wanted IN
    SELECT r.rolname AS role, c.oid::regclass AS relation
    FROM pg_roles r JOIN pg_class c ON c.relowner = r.oid AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    WHERE r.rolname = ANY (held) ORDER BY 1, c.relname LIMIT 1
  LOOP
    RAISE EXCEPTION 'role "%" owns tables', wanted.role
      USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('One of them is %s. An owner could switch row-level security off.', wanted.relation),
        HINT = format('ALTER TABLE %s OWNER TO tenant_owner; when that role is there.', wanted.relation);
  END LOOP;

  FOR statement IN
    SELECT format('CREATE ROLE %I NOLOGIN%s', w.role, CASE WHEN w.bypasses THEN ' BYPASSRLS' END)
    FROM (VALUES (1, 'tenant_owner', false), (2, 'tenant_user', false), (3, 'tenant_worker', false), (4, 'platform_admin', true)) w(n, role, bypasses)
    WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = w.role) ORDER BY w.n
  LOOP
    EXECUTE statement;
    RETURN NEXT statement || ';';
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'platform_admin' AND rolbypassrls) THEN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'platform_admin' AND rolcanlogin)
        OR EXISTS (SELECT FROM pg_auth_members WHERE roleid = 'platform_admin'::regrole AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = member)) THEN
      RAISE EXCEPTION 'role "platform_admin" is there, and is in use'
        USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It can log in, or has members, who would bypass policies from now on.',
          HINT = 'If they shall: ALTER ROLE platform_admin BYPASSRLS; and call it again. Else rename it.';
    END IF;
    statement := 'ALTER ROLE platform_admin BYPASSRLS';
    EXECUTE statement;
    RETURN NEXT statement || ';';
  END IF;
  FOR statement IN
    SELECT format('GRANT %s ON SCHEMA %I TO %I', w.privilege, schema_name, w.role)
    FROM (VALUES (1, 'CREATE', 'tenant_owner'), (2, 'USAGE', 'tenant_owner'), (3, 'USAGE', 'tenant_user'), (4, 'USAGE', 'tenant_worker'),
      (5, 'USAGE', 'platform_admin')) w(n, privilege, role)
    WHERE NOT EXISTS (
      SELECT FROM pg_namespace s, aclexplode(s.nspacl) a JOIN pg_roles r ON r.oid = a.grantee
      WHERE s.nspname = schema_name AND r.rolname = w.role AND a.privilege_type = w.privilege)
    ORDER BY w.n
  LOOP
    EXECUTE statement;
    RETURN NEXT statement || ';';
  END LOOP;
  -- TRUNCATE, REFERENCES and TRIGGER are in none: policies do not hold them.
  FOR statement IN
    SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE tenant_owner IN SCHEMA %I GRANT %s ON %s TO %I', schema_name,
      string_agg(w.privilege, ', ' ORDER BY w.n, w.privilege), w.kind, w.role)
    FROM (VALUES (1, 'SELECT', 'TABLES', 'r', 'tenant_user'), (2, 'INSERT', 'TABLES', 'r', 'tenant_user'), (3, 'UPDATE', 'TABLES', 'r', 'tenant_user'),
      (4, 'DELETE', 'TABLES', 'r', 'tenant_user'), (5, 'USAGE', 'SEQUENCES', 'S', 'tenant_user'),
      (6, 'SELECT', 'TABLES', 'r', 'tenant_worker'), (7, 'INSERT', 'TABLES', 'r', 'tenant_worker'), (8, 'UPDATE', 'TABLES', 'r', 'tenant_worker'),
      (9, 'DELETE', 'TABLES', 'r', 'tenant_worker'), (10, 'USAGE', 'SEQUENCES', 'S', 'tenant_worker'),
      (11, 'SELECT', 'TABLES', 'r', 'platform_admin'), (12, 'SELECT', 'SEQUENCES', 'S', 'platform_admin')) w(n, privilege, kind, code, role)
    WHERE NOT EXISTS (
      SELECT FROM pg_default_acl d JOIN pg_roles o ON o.oid = d.defaclrole JOIN pg_namespace s ON s.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
        JOIN pg_roles r ON r.oid = a.grantee
      WHERE o.rolname = 'tenant_owner' AND s.nspname = schema_name AND d.defaclobjtype::text = w.code AND r.rolname = w.role AND a.privilege_type = w.privilege)
    GROUP BY w.kind, w.role ORDER BY min(w.n)
  LOOP
    EXECUTE statement;
    RETURN NEXT statement || ';';
  END LOOP;
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.setup_roles(name) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.setup_roles(name) IS 'makes the roles tenant_owner, tenant_user, tenant_worker and platform_admin (none can log in; the last has BYPASSRLS) where they are missing, and their privileges in a schema and on what tenant_owner will make there; gives the statements that it has run, none if all is there. NULL does nothing. 42501: not a superuser; 3F000: no such schema; 55000: tenant_user or tenant_worker is there and bypasses policies, by itself or as a member of another role, or owns tables; platform_admin is there without BYPASSRLS, and can log in or has members';

-- Work over all tenants
--
-- Each row of tenant_run_step commits together with what was done for its tenant, so that a run that was stopped goes on where
-- it was. Everybody may keep runs, and sees and changes no other role's.

CREATE TABLE rls_tenant.tenant_run (
  run_by name NOT NULL DEFAULT current_user,
  run text NOT NULL CHECK (run <> ''),
  statement text NOT NULL,
  tenants bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run_by, run)
);
COMMENT ON TABLE rls_tenant.tenant_run IS 'runs of for_each_tenant(), each role''s own. DELETE forgets one';
COMMENT ON COLUMN rls_tenant.tenant_run.run_by IS 'the role that called for_each_tenant()';
COMMENT ON COLUMN rls_tenant.tenant_run.run IS 'the name of the run; for one without a name, a checksum of what it was called with';
COMMENT ON COLUMN rls_tenant.tenant_run.statement IS 'what it does for each tenant';
COMMENT ON COLUMN rls_tenant.tenant_run.tenants IS 'how many tenants the query gave when it was last called';
COMMENT ON COLUMN rls_tenant.tenant_run.started_at IS 'when it was first called';

CREATE TABLE rls_tenant.tenant_run_step (
  run_by name NOT NULL DEFAULT current_user,
  run text NOT NULL,
  tenant text NOT NULL,
  row_count bigint,
  sqlstate text,
  error text,
  finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run_by, run, tenant),
  FOREIGN KEY (run_by, run) REFERENCES rls_tenant.tenant_run ON DELETE CASCADE
);
COMMENT ON TABLE rls_tenant.tenant_run_step IS 'the tenants that runs of for_each_tenant() are done with, and those that failed';
COMMENT ON COLUMN rls_tenant.tenant_run_step.run_by IS 'the role that called for_each_tenant()';
COMMENT ON COLUMN rls_tenant.tenant_run_step.run IS 'the name of the run';
COMMENT ON COLUMN rls_tenant.tenant_run_step.tenant IS 'the tenant';
COMMENT ON COLUMN rls_tenant.tenant_run_step.row_count IS 'how many rows the statement''s last command touched';
COMMENT ON COLUMN rls_tenant.tenant_run_step.sqlstate IS 'the error''s SQLSTATE; NULL: it is done';
COMMENT ON COLUMN rls_tenant.tenant_run_step.error IS 'the error''s message';
COMMENT ON COLUMN rls_tenant.tenant_run_step.finished_at IS 'when';

ALTER TABLE rls_tenant.tenant_run ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE rls_tenant.tenant_run_step ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_runs ON rls_tenant.tenant_run USING (run_by = current_user);
CREATE POLICY own_runs ON rls_tenant.tenant_run_step USING (run_by = current_user);
COMMENT ON POLICY own_runs ON rls_tenant.tenant_run IS 'a role has its own runs';
COMMENT ON POLICY own_runs ON rls_tenant.tenant_run_step IS 'a role has its own runs';
GRANT SELECT, INSERT, UPDATE, DELETE ON rls_tenant.tenant_run, rls_tenant.tenant_run_step TO PUBLIC;

-- For everybody: policies show a role its own runs.
CREATE FUNCTION rls_tenant.tenant_runs(OUT run_by name, OUT run text, OUT started_at timestamptz, OUT tenants bigint, OUT done bigint, OUT failed bigint,
  OUT row_count bigint, OUT last_at timestamptz, OUT tenants_per_second numeric, OUT statement text) RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT r.run_by, r.run, r.started_at, r.tenants, s.done, s.failed, s.row_count, s.last_at,
    round(s.done / nullif(extract(epoch FROM s.last_at - r.started_at), 0), 1), r.statement
  FROM rls_tenant.tenant_run r CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE t.sqlstate IS NULL) AS done, count(t.sqlstate) AS failed, coalesce(sum(t.row_count), 0)::bigint AS row_count,
      max(t.finished_at) AS last_at
    FROM rls_tenant.tenant_run_step t WHERE (t.run_by, t.run) = (r.run_by, r.run)) s
  ORDER BY 3;
END;
COMMENT ON FUNCTION rls_tenant.tenant_runs() IS 'how far the runs of for_each_tenant() are, also while they run: tenants in all, done and failed, rows touched, tenants a second since the first call. A role sees its own; who bypasses row-level security, all';

-- For everybody: it does what its caller may do. It commits, so that no SET clause can pin its search_path: it does so itself in
-- each of its transactions, but for what the caller gave. Types are qualified, since they are looked up before. The role is taken only for
-- the tenant's statement, since runs belong to the caller.
CREATE PROCEDURE rls_tenant.for_each_tenant(tenants_query text, statement text, run text DEFAULT NULL, on_error text DEFAULT 'stop',
  as_role name DEFAULT NULL)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  worker pg_catalog.name := coalesce($5, current_user);
  caller_role pg_catalog.text := pg_catalog.current_setting('role');
  caller_path pg_catalog.text := pg_catalog.current_setting('search_path');
  own_path CONSTANT pg_catalog.text := 'pg_catalog, pg_temp';
  run_name pg_catalog.text := coalesce($3, pg_catalog.md5(pg_catalog.concat_ws(E'\n', $1, $2, $5::pg_catalog.text)));
  tenants pg_catalog.text[];
  current_one pg_catalog.text;
  total bigint;
  already bigint;
  done bigint := 0;
  failed bigint := 0;
  touched bigint := 0;
  affected bigint;
  known pg_catalog.text;
  state pg_catalog.text;
  message pg_catalog.text;
  started pg_catalog.timestamptz := pg_catalog.clock_timestamp();
  reported pg_catalog.timestamptz := started;
  instant pg_catalog.timestamptz;
BEGIN
  PERFORM pg_catalog.set_config('search_path', own_path, true);
  IF $1 IS NULL OR $2 IS NULL OR $4 IS NULL OR $3 = '' THEN
    RAISE EXCEPTION 'for_each_tenant() needs a query for the tenants and a statement'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'One of them or on_error is NULL, or the run''s name is empty.',
        HINT = 'CALL rls_tenant.for_each_tenant(''SELECT id FROM tenant'', ''UPDATE invoice SET total = net + tax'');';
  ELSIF $4 NOT IN ('stop', 'continue') THEN
    RAISE EXCEPTION 'on_error cannot be "%"', $4
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It says what an error for one tenant does to the rest.', HINT = 'Say ''stop'' or ''continue''.';
  ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = worker) THEN
    RAISE EXCEPTION 'role "%" does not exist', worker
      USING ERRCODE = 'undefined_object', DETAIL = 'as_role is the role that runs the statement.', HINT = 'Name a role that policies hold.';
  ELSIF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = worker AND (r.rolsuper OR r.rolbypassrls)) THEN
    RAISE EXCEPTION 'row-level security does not hold for role "%"', worker
      USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The statement would work on the rows of all tenants each time.',
        HINT = 'Name a role that policies hold: as_role => ''tenant_worker''. Or run the statement once, without for_each_tenant().';
  END IF;
  SELECT r.statement INTO known FROM rls_tenant.tenant_run r WHERE (r.run_by, r.run) = (current_user, run_name);
  IF known <> $2 THEN
    RAISE EXCEPTION 'run "%" was begun with another statement', run_name
      USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = pg_catalog.format('It was: %s', known),
        HINT = pg_catalog.format('Name another run, or forget this one: DELETE FROM rls_tenant.tenant_run WHERE run = %L;', run_name);
  END IF;
  PERFORM pg_catalog.set_config('search_path', caller_path, true);
  EXECUTE pg_catalog.format('SELECT pg_catalog.array_agg(t.tenant ORDER BY t.number) FROM (
      SELECT q.tenant::pg_catalog.text AS tenant, pg_catalog.min(q.number) AS number
      FROM (SELECT r.tenant, pg_catalog.row_number() OVER () AS number FROM (%s
      ) AS r(tenant)) q GROUP BY 1) t', pg_catalog.rtrim($1, E'; \t\n')) INTO tenants;
  PERFORM pg_catalog.set_config('search_path', own_path, true);
  total := coalesce(pg_catalog.cardinality(tenants), 0);
  IF pg_catalog.array_position(tenants, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'the query for the tenants gave NULL'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'Its first column is the tenant''s id.', HINT = 'Leave such rows out: WHERE id IS NOT NULL.';
  END IF;
  INSERT INTO rls_tenant.tenant_run (run, statement, tenants) VALUES (run_name, $2, total)
  ON CONFLICT (run_by, run) DO UPDATE SET tenants = excluded.tenants;
  SELECT pg_catalog.count(*) INTO already FROM rls_tenant.tenant_run_step s
  WHERE (s.run_by, s.run) = (current_user, run_name) AND s.sqlstate IS NULL AND s.tenant = ANY (tenants);
  COMMIT;
  PERFORM pg_catalog.set_config('search_path', own_path, true);
  IF already > 0 THEN
    RAISE NOTICE '% of % tenants were done before', already, total;
  END IF;

  FOREACH current_one IN ARRAY coalesce(tenants, '{}') LOOP
    -- Whoever runs this at the same time waits here until the tenant is done, and then passes it over.
    INSERT INTO rls_tenant.tenant_run_step (run, tenant)
    SELECT r.run, current_one FROM rls_tenant.tenant_run r WHERE (r.run_by, r.run) = (current_user, run_name) FOR KEY SHARE
    ON CONFLICT (run_by, run, tenant) DO UPDATE SET sqlstate = NULL, error = NULL, row_count = NULL WHERE tenant_run_step.sqlstate IS NOT NULL;
    IF NOT FOUND THEN
      IF NOT EXISTS (SELECT FROM rls_tenant.tenant_run r WHERE (r.run_by, r.run) = (current_user, run_name)) THEN
        RAISE EXCEPTION 'run "%" is over', run_name
          USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Another session has come to its end, or has deleted it.',
            HINT = 'See what is done before you call it again: without the run each tenant would be done anew.';
      END IF;
      COMMIT;
      PERFORM pg_catalog.set_config('search_path', own_path, true);
      CONTINUE;
    END IF;
    state := NULL;
    message := NULL;
    affected := NULL;
    BEGIN
      IF $5 IS NOT NULL THEN
        PERFORM pg_catalog.set_config('role', $5, true);
      END IF;
      PERFORM rls_tenant.set_context(current_one), pg_catalog.set_config('search_path', caller_path, true);
      EXECUTE $2;
      GET DIAGNOSTICS affected = ROW_COUNT;
      -- What is deferred to the COMMIT would fail there, where nothing can be noted.
      SET CONSTRAINTS ALL IMMEDIATE;
      -- Whoever the statement has become, for itself or for the session.
      PERFORM pg_catalog.set_config('role', caller_role, false), pg_catalog.set_config('search_path', own_path, true);
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
      affected := NULL;
    END;
    -- Planned while the table is small this would stay a sequential scan. To the end of the transaction, which is here.
    PERFORM pg_catalog.set_config('enable_seqscan', 'off', true);
    UPDATE rls_tenant.tenant_run_step s SET row_count = affected, sqlstate = state, error = message, finished_at = pg_catalog.clock_timestamp()
    WHERE (s.run_by, s.run, s.tenant) = (current_user, run_name, current_one);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', own_path, true);
    IF state IS NULL THEN
      done := done + 1;
      touched := touched + coalesce(affected, 0);
    ELSIF $4 = 'stop' THEN
      RAISE EXCEPTION 'the statement failed for tenant "%": %', current_one, message
        USING ERRCODE = state, DETAIL = pg_catalog.format('%s of %s tenants are done, and stay so.', already + done, total),
          HINT = 'Mend the cause and call it again in the same way: it goes on here. Or pass such tenants over: on_error => ''continue''.';
    ELSE
      failed := failed + 1;
      RAISE WARNING 'the statement failed for tenant "%": %', current_one, message;
    END IF;
    instant := pg_catalog.clock_timestamp();
    IF instant - reported >= interval '5 seconds' THEN
      reported := instant;
      RAISE NOTICE '% of % tenants done, % failed, % a second', already + done, total, failed,
        pg_catalog.round((done / extract(epoch FROM instant - started))::pg_catalog.numeric, 1);
    END IF;
  END LOOP;

  RAISE NOTICE '% of % tenants done, % failed, % rows, % a second', already + done, total, failed, touched,
    pg_catalog.round((done / greatest(extract(epoch FROM pg_catalog.clock_timestamp() - started), 0.001))::pg_catalog.numeric, 1);
  IF failed > 0 THEN
    RAISE EXCEPTION 'the statement failed for % of % tenants', failed, total
      USING ERRCODE = 'raise_exception', DETAIL = 'The others are done, and stay so.',
        HINT = pg_catalog.format('SELECT tenant, error FROM rls_tenant.tenant_run_step WHERE run = %L AND sqlstate IS NOT NULL; then call it again in the same way: it tries these anew.', run_name);
  END IF;
  -- A run without a name is over, and the next call of it begins anew.
  IF $3 IS NULL THEN
    DELETE FROM rls_tenant.tenant_run r WHERE (r.run_by, r.run) = (current_user, run_name);
  END IF;
END
$$;
COMMENT ON PROCEDURE rls_tenant.for_each_tenant(text, text, text, text, name) IS 'runs an SQL statement for each tenant that a query gives (its first column; each once), in a transaction of its own with that tenant as its context, and notes it there, so that a run that was stopped goes on when it is called again in the same way; under a name (run) each tenant is done once for ever, without one the next call after the last tenant begins anew. on_error: stop (default) or continue, which raises at the end. as_role: the role that runs the statement, held by policies (default: the caller). Reports by NOTICE and in tenant_runs(). Not in a transaction block. 22004: NULL; 22023: on_error; 42704: no such role; 55000: policies do not hold the role, the run was begun with another statement, or has been deleted meanwhile; else the statement''s own error';
