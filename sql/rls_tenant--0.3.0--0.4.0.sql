-- rls_tenant 0.3.0 to 0.4.0: finding out.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.4.0'" to load this file. \quit

-- Guard and audit: two more names of faults that the guard refuses

CREATE OR REPLACE FUNCTION rls_tenant.table_rules() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{no_tenant_column,tenant_nullable,rls_off,rls_off_with_policies,rls_not_forced,no_policy,only_restrictive,not_confined,always_true,check_wider,null_matches,floor_not_public,child_unprotected,unlike_parent,fk_crosses,rule_rewrite,view_bypass,matview,bypass_login}'::text[];
COMMENT ON FUNCTION rls_tenant.table_rules() IS 'the names of the rules that the guard knows; audit_rules() has all';

-- What audit() finds can be accepted.

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
  DO UPDATE SET rules = excluded.rules, reason = excluded.reason, added_by = excluded.added_by, added_at = excluded.added_at;
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
COMMENT ON TABLE rls_tenant.exemption IS 'what the guard lets be and audit() takes as accepted, each with a reason; written by exempt() and baseline()';
COMMENT ON COLUMN rls_tenant.exemption.schema_name IS 'the schema''s name, to the letter; * for roles, settings and the server';
COMMENT ON COLUMN rls_tenant.exemption.relation_pattern IS 'a LIKE pattern for the names of tables, views, functions or, with schema *, roles and settings; \_ is an underscore to the letter';
COMMENT ON FUNCTION rls_tenant.exempt(name, text, text, text[]) IS 'lets the tables, views and functions of a schema (* for roles and settings) whose name is LIKE the pattern be, for a reason; rules: those that are waived, NULL for all; raises 22004, 22023 or 22025';

-- Audit
--
-- audit_relations() and the four that follow find, each in its part of the catalogs; audit() puts them together with the
-- rules and with what has been accepted. All run as the extension's owner, so that nothing is hidden from them; they are
-- granted to nobody. Without JIT, which would take longer than all the rest. No name stands in a comment of a remedy: whoever named the object could end the comment.

CREATE FUNCTION rls_tenant.audit_rules(OUT rule text, OUT severity text, OUT meaning text) RETURNS SETOF record
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
  ('tenant_type', 'note', 'the tenant column is none of uuid, bigint, integer, smallint, text, varchar'),
  ('exempt_but_tenant', 'note', 'an exempt table that has the tenant column'),
  ('pinned_context', 'note', 'ALTER ROLE or ALTER DATABASE sets a context: who is held to whom'),
  ('not_preloaded', 'note', 'the library is not preloaded: until it is loaded the guard sees less')
$$;
COMMENT ON FUNCTION rls_tenant.audit_rules() IS 'the rules of audit(), with their severity (leak: rows cross tenants; risk: they would after one ordinary mistake, or something shows; speed; note) and meaning';

CREATE FUNCTION rls_tenant.usual_tenant_column() RETURNS name
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_usual_tenant_column';
REVOKE ALL ON FUNCTION rls_tenant.usual_tenant_column() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.usual_tenant_column() IS 'part of audit(): rls_tenant.tenant_column, also where the library was not loaded before';

CREATE FUNCTION rls_tenant.relation_findings(OUT relation regclass, OUT rule text, OUT detail text, OUT remedy text) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_relation_findings';
REVOKE ALL ON FUNCTION rls_tenant.relation_findings() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.relation_findings() IS 'part of audit(): the rules that each table and view breaks, by its catalogs and the trees of its policies';

CREATE FUNCTION rls_tenant.audited_tables(OUT relation regclass, OUT tenant_column name, OUT ancestor regclass) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_audited_tables';
REVOKE ALL ON FUNCTION rls_tenant.audited_tables() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audited_tables() IS 'part of audit(): tenant_tables() and those that should be, without those that cannot be judged; read once for a statement';

CREATE FUNCTION rls_tenant.policy_reads(relation regclass, OUT policy name, OUT reads regclass) RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_policy_reads';
REVOKE ALL ON FUNCTION rls_tenant.policy_reads(regclass) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.policy_reads(regclass) IS 'part of audit(): the relations that a table''s policies read in sub-selects';

CREATE FUNCTION rls_tenant.of_extension(catalog regclass, object oid) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_roles r ON r.oid = e.extowner
                 WHERE d.classid = $1 AND d.objid = $2 AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND r.rolsuper)
$$;
REVOKE ALL ON FUNCTION rls_tenant.of_extension(regclass, oid) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.of_extension(regclass, oid) IS 'part of audit(): whether an object belongs to an extension of a superuser''s';

CREATE FUNCTION rls_tenant.tenant_grants(OUT relation oid, OUT grantee oid, OUT privilege text, OUT grantor oid, OUT grantable boolean) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH tables AS MATERIALIZED (SELECT t.relation::oid AS oid FROM rls_tenant.audited_tables() t)
  SELECT c.oid, a.grantee, a.privilege_type, a.grantor, a.is_grantable
  FROM tables JOIN pg_class c USING (oid) CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE a.grantee <> c.relowner
  UNION
  SELECT c.oid, a.grantee, a.privilege_type, a.grantor, a.is_grantable
  FROM tables JOIN pg_class c USING (oid) JOIN pg_attribute t ON t.attrelid = c.oid AND t.attacl IS NOT NULL
  CROSS JOIN LATERAL aclexplode(t.attacl) a WHERE a.grantee <> c.relowner
$$;
REVOKE ALL ON FUNCTION rls_tenant.tenant_grants() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.tenant_grants() IS 'part of audit(): who has which privilege on tenant tables from whom, their owners excepted; 0 is PUBLIC';

CREATE FUNCTION rls_tenant.logins(OUT login oid, OUT role oid, OUT by_set boolean) RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  -- Before PostgreSQL 16 every membership allows SET ROLE.
  WITH RECURSIVE member AS MATERIALIZED (
    SELECT m.member, m.roleid, coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS may_set,
      coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit) AS inherits
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member),
  reach AS (
    SELECT r.oid AS login, r.oid AS role, true AS by_set FROM pg_roles r WHERE r.rolcanlogin
    UNION
    SELECT reach.login, m.roleid, reach.by_set AND m.may_set
    FROM reach JOIN member m ON m.member = reach.role WHERE (reach.by_set AND m.may_set) OR m.inherits)
  SELECT reach.login, reach.role, bool_or(reach.by_set) FROM reach GROUP BY 1, 2
$$;
REVOKE ALL ON FUNCTION rls_tenant.logins() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.logins() IS 'part of audit(): the roles that can log in, with each role whose rights they have, and whether they can become it by SET ROLE';

CREATE FUNCTION rls_tenant.application_roles() RETURNS SETOF oid
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH granted AS MATERIALIZED (SELECT DISTINCT g.grantee FROM rls_tenant.tenant_grants() g)
  SELECT DISTINCT l.login
  FROM rls_tenant.logins() l JOIN pg_roles r ON r.oid = l.login
  WHERE NOT r.rolsuper AND (l.role IN (SELECT grantee FROM granted) OR 0 IN (SELECT grantee FROM granted))
$$;
REVOKE ALL ON FUNCTION rls_tenant.application_roles() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.application_roles() IS 'part of audit(): the roles that can log in and have privileges on tenant tables, superusers excepted';

CREATE FUNCTION rls_tenant.grantee_name(role oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN $1 = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid($1)) END $$;
REVOKE ALL ON FUNCTION rls_tenant.grantee_name(oid) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.grantee_name(oid) IS 'part of audit(): a role''s name as GRANT takes it';

CREATE FUNCTION rls_tenant.revoke_membership(role oid, member oid, grantor oid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  -- From PostgreSQL 16 a membership is its grantor's.
  SELECT format('REVOKE %I FROM %I%s;', pg_get_userbyid($1), pg_get_userbyid($2),
    CASE WHEN current_setting('server_version_num')::int >= 160000 AND $3 <> 10 THEN format(' GRANTED BY %I', pg_get_userbyid($3)) ELSE '' END)
$$;
REVOKE ALL ON FUNCTION rls_tenant.revoke_membership(oid, oid, oid) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.revoke_membership(oid, oid, oid) IS 'part of audit(): the statement that ends a membership in a role';

CREATE FUNCTION rls_tenant.revoke_as(grantor oid, owner oid, privileges text, relation text, grantees text, cascades boolean) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  -- A privilege can only be taken back as the role that gave it.
  SELECT format(CASE WHEN $1 = $2 THEN '%2$s' ELSE 'SET ROLE %1$I; %2$s RESET ROLE;' END, pg_get_userbyid($1),
    format('REVOKE %s ON %s FROM %s%s;', $3, $4, $5, CASE WHEN $6 THEN ' CASCADE' ELSE '' END))
$$;
REVOKE ALL ON FUNCTION rls_tenant.revoke_as(oid, oid, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.revoke_as(oid, oid, text, text, text, boolean) IS 'part of audit(): the statement that takes privileges back, as who granted them';

CREATE FUNCTION rls_tenant.is_outdated(version_number integer, OUT major integer, OUT minor integer) RETURNS record
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT f.major, f.minor FROM (VALUES (15, 20), (16, 16), (17, 12), (18, 7)) f(major, minor) WHERE f.major = $1 / 10000 AND $1 % 10000 < f.minor
$$;
REVOKE ALL ON FUNCTION rls_tenant.is_outdated(integer) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.is_outdated(integer) IS 'part of audit(): the minor release that a server (server_version_num) should have for its fixes of row-level security; NULL if it has them';

CREATE FUNCTION rls_tenant.audit_relations(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tenant AS MATERIALIZED (SELECT t.relation::oid AS oid, t.tenant_column, t.ancestor::oid AS ancestor FROM rls_tenant.audited_tables() t),
  relation AS MATERIALIZED (
    SELECT c.*, n.nspname, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
      format('%I.%I', n.nspname, c.relname) AS full_name,
      (SELECT string_agg(DISTINCT rls_tenant.grantee_name(x.grantee), ', ')
       FROM (SELECT a.grantee, a.privilege_type FROM aclexplode(c.relacl) a UNION ALL
             SELECT a.grantee, a.privilege_type FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) a WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL) x
       WHERE x.grantee <> c.relowner AND x.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) AS grantees
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
      AND n.nspname <> 'rls_tenant' AND (n.oid >= 16384 OR n.nspname = 'public')
      AND NOT rls_tenant.of_extension('pg_class', c.oid) AND NOT rls_tenant.of_extension('pg_namespace', n.oid)),
  source(oid) AS (  -- membership sources have the column by their nature, and so have the tables that their views read
    SELECT s.relation::oid FROM rls_tenant.membership_source s
    UNION
    SELECT d.refobjid FROM source s JOIN pg_rewrite w ON w.ev_class = s.oid AND w.rulename = '_RETURN'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass),
  base(oid, base) AS (
    SELECT t.oid, t.oid FROM pg_type t WHERE t.typtype <> 'd'
    UNION ALL SELECT t.oid, b.base FROM pg_type t JOIN base b ON b.oid = t.typbasetype WHERE t.typtype = 'd'),
  used AS MATERIALIZED (  -- roles whose rights some login has
    SELECT DISTINCT l.role FROM rls_tenant.logins() l JOIN pg_roles o ON o.oid = l.login WHERE l.role = l.login OR NOT o.rolsuper),
  odd_type AS MATERIALIZED (
    SELECT r.oid, a.attname, a.atttypid, a.atttypmod
    FROM relation r LEFT JOIN tenant t USING (oid)
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = coalesce(t.tenant_column, rls_tenant.usual_tenant_column()) AND NOT a.attisdropped
    JOIN base b ON b.oid = a.atttypid
    WHERE r.relkind IN ('r', 'p') AND t.ancestor IS NULL AND NOT r.relispartition
      AND b.base NOT IN ('uuid'::regtype, 'bigint'::regtype, 'integer'::regtype, 'smallint'::regtype, 'text'::regtype, 'varchar'::regtype)),
  found AS (
    SELECT f.rule, CASE WHEN f.rule = 'rls_not_forced' AND r.relowner NOT IN (SELECT role FROM used) THEN 'risk' END AS severity, r.oid, f.detail AS finding,
      CASE WHEN f.rule = 'no_tenant_column' THEN '/* give it the column and protect() it, or exempt() it with the reason why it belongs to no tenant */'
           WHEN f.rule = 'matview' THEN format('REVOKE ALL ON %s FROM %s;', r.full_name, r.grantees)
           WHEN f.rule = 'rls_off' AND r.oid IN (SELECT oid FROM odd_type) THEN '/* give the tenant column one of the types that tenant_type names, and protect() the table */'
           ELSE f.remedy END AS remedy
    FROM rls_tenant.relation_findings() f JOIN relation r ON r.oid = f.relation
    WHERE f.rule NOT IN ('child_unprotected', 'matview') OR r.grantees IS NOT NULL
    UNION ALL
    SELECT 'tenant_type', NULL, o.oid, format('column %I is of type %s', o.attname, format_type(o.atttypid, o.atttypmod)),
      '/* use uuid, bigint, integer, smallint, text or varchar */'
    FROM odd_type o
    UNION ALL
    SELECT 'foreign_table', NULL, r.oid, 'row-level security cannot hold its readers: ' || r.grantees, format('REVOKE ALL ON %s FROM %s;', r.full_name, r.grantees)
    FROM relation r
    WHERE r.relkind = 'f' AND r.grantees IS NOT NULL
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attname = rls_tenant.usual_tenant_column() AND NOT a.attisdropped)
    UNION ALL
    SELECT DISTINCT 'published', NULL, r.oid, format('publication %I carries it to its subscribers without a row filter', p.pubname),
      CASE WHEN pr.oid IS NOT NULL THEN format('ALTER PUBLICATION %I DROP TABLE %s;', p.pubname, r.full_name)
           ELSE '/* name the tables of the publication one by one, with WHERE; or exempt those that shall be published whole */' END
    FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
    JOIN tenant t ON t.oid = c.oid JOIN pg_publication b ON b.pubname = p.pubname
    -- A part is published by itself, or by way of one of those above it.
    LEFT JOIN LATERAL (SELECT pr.oid, pr.prrelid FROM pg_publication_rel pr WHERE pr.prpubid = b.oid
                       AND (pr.prrelid = c.oid OR pr.prrelid IN (SELECT a.relid FROM pg_partition_ancestors(c.oid) a)) ORDER BY pr.prrelid = c.oid DESC LIMIT 1) pr ON true
    JOIN relation r ON r.oid = coalesce(pr.prrelid, pg_partition_root(c.oid), c.oid)
    WHERE p.rowfilter IS NULL
    UNION ALL
    SELECT 'exempt_but_tenant', NULL, r.oid, format('exempt (%s), and it has the column %I', e.reason, rls_tenant.usual_tenant_column()),
      CASE WHEN (SELECT count(*) FROM relation o WHERE o.nspname = e.schema_name AND o.relname LIKE e.relation_pattern) = 1 AND r.oid NOT IN (SELECT oid FROM odd_type)
           THEN format('DELETE FROM rls_tenant.exemption WHERE schema_name = %L AND relation_pattern = %L; SELECT rls_tenant.protect(%L);', e.schema_name, e.relation_pattern, r.full_name)
           ELSE '/* exempt the other tables by narrower patterns, DELETE this one from rls_tenant.exemption, and protect() the table */' END
    FROM relation r JOIN rls_tenant.exemption e ON e.schema_name = r.nspname AND r.relname LIKE e.relation_pattern
    WHERE r.relkind IN ('r', 'p') AND (e.rules IS NULL OR e.rules && '{rls_off,rls_off_with_policies,rls_not_forced,not_confined,always_true,null_matches,no_tenant_column}')
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attname = rls_tenant.usual_tenant_column() AND NOT a.attisdropped)
      AND r.oid NOT IN (SELECT oid FROM source))
  SELECT f.rule, f.severity, r.kind, r.nspname, r.relname, r.full_name, f.finding, f.remedy
  FROM found f JOIN relation r USING (oid)
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_relations() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_relations() IS 'part of audit(): tables, views and the expressions of policies';

CREATE FUNCTION rls_tenant.audit_policies(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE policy AS MATERIALIZED (
    SELECT p.*, c.relname, c.relowner, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name, n.nspowner,
      CASE WHEN n.nspowner = 'pg_database_owner'::regrole THEN (SELECT datdba FROM pg_database WHERE datname = current_database()) END AS database_owner
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT rls_tenant.of_extension('pg_class', c.oid)),
  helper AS MATERIALIZED (  -- functions of users that policies call
    SELECT DISTINCT p.oid AS policy, d.refobjid AS function, NULL::oid AS operator
    FROM policy p JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
    UNION
    SELECT p.oid, o.oprcode, o.oid
    FROM policy p JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_operator'::regclass
    JOIN pg_operator o ON o.oid = d.refobjid),
  function AS MATERIALIZED (
    SELECT f.*, n.nspname, f.oid::regprocedure::text AS full_name, l.lanname, coalesce(pg_get_function_sqlbody(f.oid), f.prosrc) AS body,
      EXISTS (SELECT FROM unnest(f.proconfig) c WHERE c LIKE 'search\_path=%') AS has_path
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'rls_tenant') AND NOT rls_tenant.of_extension('pg_proc', f.oid)),
  use AS (  -- where a function that reads a setting must not be taken for immutable
    SELECT h.function, format('policy %I on %s', p.polname, p.full_name) AS where_used, false AS index FROM helper h JOIN policy p ON p.oid = h.policy
    UNION ALL
    SELECT d.refobjid, CASE WHEN i.indexrelid IS NOT NULL THEN format('index %s', d.objid::regclass) ELSE format('a default of %s', a.adrelid::regclass) END, i.indexrelid IS NOT NULL
    FROM pg_depend d LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
    LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
    WHERE d.refclassid = 'pg_proc'::regclass AND (i.indexrelid IS NOT NULL OR a.oid IS NOT NULL)),
  setting(pattern) AS (VALUES ('\m(current_setting|tenant_setting|account_setting|user_setting)\M|\mcurrent_(tenant|account|user)_(uuid|bigint|text)\M|\m(is_member|has_role|member_role|member_groups_\w+)\M')),
  reader AS MATERIALIZED (  -- functions that read a setting, as others call them
    SELECT f.oid, '\m' || f.proname || '\s*\(' AS word FROM function f CROSS JOIN setting r WHERE f.body ~* r.pattern AND f.proname ~ '^\w+$'),
  reads AS MATERIALIZED (
    SELECT DISTINCT p.polrelid AS relation, r.reads::oid AS reads FROM (SELECT DISTINCT polrelid FROM policy) p CROSS JOIN LATERAL rls_tenant.policy_reads(p.polrelid) r),
  reach(relation, reads) AS (SELECT relation, reads FROM reads UNION SELECT a.relation, b.reads FROM reach a JOIN reads b ON b.relation = a.reads)
  SELECT 'immutable_setting', NULL::text, 'function', f.nspname, f.proname, f.full_name,
    format('it is labelled IMMUTABLE, reads a setting, and is used by %s', string_agg(DISTINCT u.where_used, ', ')),
    CASE WHEN bool_or(u.index) THEN '/* no index can depend on a setting: drop the index, and label the function STABLE */'
         ELSE format('ALTER FUNCTION %s STABLE;', f.full_name) END
  FROM use u JOIN function f ON f.oid = u.function CROSS JOIN setting r
  WHERE f.provolatile = 'i' AND (f.body ~* r.pattern OR EXISTS (SELECT FROM reader WHERE reader.oid <> f.oid AND f.body ~* reader.word))
  GROUP BY f.oid, f.nspname, f.proname, f.full_name
  UNION ALL
  SELECT 'foreign_operator', NULL, 'policy', p.nspname, p.relname, format('%I on %s', p.polname, p.full_name),
    format('it calls %s, which belongs to %I', coalesce('operator ' || h.operator::regoperator::text, f.full_name), pg_get_userbyid(coalesce(o.oprowner, f.proowner))),
    CASE WHEN h.operator IS NULL THEN format('ALTER FUNCTION %s OWNER TO %I;', f.full_name, pg_get_userbyid(p.relowner))
         ELSE format('ALTER OPERATOR %s OWNER TO %I; ALTER FUNCTION %s OWNER TO %2$I;', h.operator::regoperator, pg_get_userbyid(p.relowner), f.full_name) END
  FROM helper h JOIN policy p ON p.oid = h.policy JOIN function f ON f.oid = h.function LEFT JOIN pg_operator o ON o.oid = h.operator
  WHERE EXISTS (SELECT FROM unnest(ARRAY[f.proowner, o.oprowner]) w(owner) JOIN pg_roles r ON r.oid = w.owner
                WHERE NOT r.rolsuper AND w.owner NOT IN (p.relowner, p.nspowner) AND w.owner IS DISTINCT FROM p.database_owner)
  UNION ALL
  SELECT 'search_path_helper', NULL, 'function', f.nspname, f.proname, f.full_name,
    format('names in its body mean what the caller''s search_path says; called by %s', string_agg(DISTINCT format('policy %I on %s', p.polname, p.full_name), ', ')),
    format('ALTER FUNCTION %s SET search_path = pg_catalog, %s pg_temp;', f.full_name, CASE WHEN f.nspname = 'pg_catalog' THEN '' ELSE format('%I,', f.nspname) END)
  FROM helper h JOIN policy p ON p.oid = h.policy JOIN function f ON f.oid = h.function
  WHERE NOT f.has_path AND f.prosqlbody IS NULL AND f.lanname NOT IN ('c', 'internal')
  GROUP BY f.oid, f.nspname, f.proname, f.full_name
  UNION ALL
  SELECT 'recursive_policy', NULL, 'table', n.nspname, c.relname, format('%I.%I', n.nspname, c.relname),
    'its policies read it again' || coalesce(', by way of ' || (SELECT string_agg(DISTINCT r.reads::regclass::text, ', ') FROM reads r JOIN reach b ON b.relation = r.reads AND b.reads = c.oid
                                                               WHERE r.relation = c.oid AND r.reads <> c.oid), ''),
    '/* ask one of the tables by is_member(), or by a function that its owner makes SECURITY DEFINER */'
  FROM reach JOIN pg_class c ON c.oid = reach.relation JOIN pg_namespace n ON n.oid = c.relnamespace WHERE reach.relation = reach.reads
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_policies() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_policies() IS 'part of audit(): what policies call and read';

CREATE FUNCTION rls_tenant.audit_surroundings(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH tenant AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relowner, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name, t.tenant_column, t.ancestor::oid AS ancestor, a.attnum AS tenant_attribute, c.relforcerowsecurity AS forced
    FROM rls_tenant.audited_tables() t JOIN pg_class c ON c.oid = t.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = t.tenant_column),
  application AS MATERIALIZED (SELECT oid FROM rls_tenant.application_roles() a(oid)),
  definer AS MATERIALIZED (
    SELECT f.*, n.nspname, f.oid::regprocedure::text AS full_name, l.lanname, (SELECT substr(c, 13) FROM unnest(f.proconfig) c WHERE c LIKE 'search\_path=%') AS path,
      CASE f.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind, o.rolsuper OR o.rolbypassrls AS passes,
      -- A line that is a comment names nothing.
      regexp_replace(coalesce(pg_get_function_sqlbody(f.oid), f.prosrc), '^\s*--.*$', '', 'gn') AS body
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang JOIN pg_roles o ON o.oid = f.proowner
    WHERE f.prosecdef AND f.oid >= 16384 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'rls_tenant') AND NOT rls_tenant.of_extension('pg_proc', f.oid)),
  word AS (SELECT d.oid, w.word FROM definer d CROSS JOIN LATERAL regexp_split_to_table(lower(d.body), '[^\w$]+') w(word)),
  statistic AS (
    -- Without a target nothing is gathered; what had been gathered goes with the index.
    SELECT t.oid AS relation, 'index' AS kind, i.indexrelid::regclass::text AS name,
      CASE WHEN x.relkind = 'i' AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
             THEN format('DROP INDEX %s; %s; %s', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid),
                         (SELECT string_agg(format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS 0;', i.indexrelid::regclass, a.attnum), ' ' ORDER BY a.attnum)
                          FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND i.indkey[a.attnum - 1] = 0))
           ELSE '/* make the index anew, and SET STATISTICS 0 for the columns that are expressions, of each part of it */' END AS remedy
    FROM tenant t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indexprs IS NOT NULL AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
      AND (x.relkind = 'I' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attnum <= i.indnkeyatts AND i.indkey[a.attnum - 1] = 0 AND a.attstattarget IS DISTINCT FROM 0)
        OR EXISTS (SELECT FROM pg_statistic g WHERE g.starelid = i.indexrelid))
    UNION ALL
    SELECT t.oid, 'statistics', format('%I.%I', n.nspname, s.stxname), format('DROP STATISTICS %I.%I;', n.nspname, s.stxname)
    FROM tenant t JOIN pg_statistic_ext s ON s.stxrelid = t.oid JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxexprs IS NOT NULL),
  local_mapping AS (
    SELECT m.umuser, m.usename, s.srvname, w.fdwname,
      (SELECT split_part(o, '=', 2) FROM unnest(m.umoptions) o WHERE o LIKE 'user=%') AS remote,
      w.fdwname = 'postgres_fdw'
        AND coalesce((SELECT substr(o, 8) FROM unnest(s.srvoptions) o WHERE o LIKE 'dbname=%'), current_database()) = current_database()
        AND coalesce((SELECT substr(o, 6) FROM unnest(s.srvoptions) o WHERE o LIKE 'port=%'), current_setting('port')) = current_setting('port')
        AND coalesce((SELECT substr(o, 6) FROM unnest(s.srvoptions) o WHERE o LIKE 'host=%'), '') ~ '^(|localhost|127\..*|::1|/.*)$' AS here
    FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
    WHERE m.umuser IN (SELECT oid FROM application) OR (m.umuser = 0 AND EXISTS (SELECT FROM application)))
  SELECT 'definer_function', NULL::text, d.kind, d.nspname, d.proname, d.full_name,
    format('it runs as %I, whom no policy holds, and names %s', pg_get_userbyid(d.proowner), string_agg(DISTINCT t.full_name, ', ')),
    format('ALTER %s %s SECURITY INVOKER;', upper(d.kind), d.full_name)
  FROM definer d JOIN tenant t ON EXISTS (SELECT FROM word w WHERE w.oid = d.oid AND w.word = lower(t.relname))
    OR (t.relname !~ '^[\w$]+$' AND strpos(d.body, t.relname) > 0)
  WHERE (d.passes OR (NOT t.forced AND pg_has_role(d.proowner, t.relowner, 'USAGE'))) AND d.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
    AND EXISTS (SELECT FROM application a WHERE has_function_privilege(a.oid, d.oid, 'EXECUTE'))
  GROUP BY d.oid, d.kind, d.nspname, d.proname, d.full_name, d.proowner
  UNION ALL
  SELECT 'definer_search_path', NULL, d.kind, d.nspname, d.proname, d.full_name,
    CASE WHEN d.path IS NULL THEN 'it runs with its owner''s rights and the caller''s search_path' ELSE 'its search_path does not end in pg_temp, so that temporary tables come first' END,
    format('ALTER %s %s SET search_path = %s, pg_temp;', upper(d.kind), d.full_name,
      CASE WHEN d.path IN ('', '""') THEN 'pg_catalog' WHEN d.path IS NULL THEN format('pg_catalog, %I', d.nspname)
           ELSE regexp_replace(d.path, '(^|,\s*)"?pg_temp"?(?=\s*,)\s*,?', '\1', 'g') END)
  FROM definer d
  WHERE d.prosqlbody IS NULL AND d.lanname NOT IN ('c', 'internal') AND (d.path IS NULL OR d.path !~ '(^|,)\s*"?pg_temp"?\s*$')
  UNION ALL
  SELECT 'rule_rewrite', NULL, 'rule', n.nspname, c.relname, format('%I on %I.%I', r.rulename, n.nspname, c.relname),
    format('it reads or writes %s with the rights of the owner of %I.%I', string_agg(DISTINCT t.full_name, ', '), n.nspname, c.relname),
    format('DROP RULE %I ON %I.%I;', r.rulename, n.nspname, c.relname)
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass JOIN tenant t ON t.oid = d.refobjid
  WHERE r.rulename <> '_RETURN' AND t.oid <> c.oid AND c.oid NOT IN (SELECT oid FROM tenant) AND NOT rls_tenant.of_extension('pg_class', c.oid)
  GROUP BY r.oid, r.rulename, n.nspname, c.relname
  UNION ALL
  SELECT 'unique_oracle', NULL, 'table', u.nspname, u.relname, u.full_name,
    format('%s leaves %I out: a refused row tells of another tenant''s', coalesce('constraint ' || quote_ident(u.conname), 'index ' || quote_ident(u.index_name)), u.tenant_column),
    CASE WHEN u.contype IN ('p', 'u') AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = u.indexrelid)
           THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s;', u.full_name, u.conname,
                       regexp_replace(u.constraint_definition, '\(', format('(%s, ', replace(quote_ident(u.tenant_column), '\', '\\'))))
         WHEN u.contype IS NULL AND starts_with(u.index_definition, u.index_head)
           THEN format('DROP INDEX %s; %s%I, %s;', u.indexrelid::regclass, u.index_head, u.tenant_column, substr(u.index_definition, length(u.index_head) + 1))
         ELSE '/* put the tenant column first into the key, and into the foreign keys that refer to it */' END
  FROM (
    SELECT t.*, i.indexrelid, k.conname, k.contype, x.relname AS index_name, pg_get_constraintdef(k.oid) AS constraint_definition, pg_get_indexdef(i.indexrelid) AS index_definition,
      format('CREATE UNIQUE INDEX %I ON %s%s USING %s (', x.relname, CASE x.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END, t.full_name, m.amname) AS index_head
    FROM tenant t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
    WHERE (i.indisunique OR i.indisexclusion) AND t.ancestor IS NULL AND t.tenant_attribute IS NOT NULL
      AND t.tenant_attribute <> ALL ((i.indkey::int2[])[0:i.indnkeyatts - 1])
      -- A key with a column that is generated tells nothing; nor does a uuid that refers to nothing, which nobody guesses.
      AND NOT EXISTS (
        SELECT FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = t.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
          AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\(|uuid'
               OR (a.atttypid = 'uuid'::regtype AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = t.oid AND a.attnum = ANY (f.conkey)))))) u
  UNION ALL
  SELECT CASE g.privilege WHEN 'TRUNCATE' THEN 'truncate_grant' WHEN 'REFERENCES' THEN 'references_grant' ELSE 'trigger_grant' END, NULL, 'table', t.nspname, t.relname, t.full_name,
    format('%s granted to %s', g.privilege, string_agg(g.grantees, ', ' ORDER BY g.grantees)), string_agg(rls_tenant.revoke_as(g.grantor, t.relowner, g.privilege, t.full_name, g.grantees, g.grantable), ' ')
  FROM (
    SELECT g.relation, g.privilege, g.grantor, string_agg(DISTINCT rls_tenant.grantee_name(g.grantee), ', ') AS grantees, bool_or(g.grantable) AS grantable
    FROM rls_tenant.tenant_grants() g
    WHERE g.privilege IN ('TRUNCATE', 'REFERENCES', 'TRIGGER')
      AND (g.grantee = 0 OR EXISTS (SELECT FROM rls_tenant.logins() l JOIN application a ON a.oid = l.login WHERE l.role = g.grantee))
    GROUP BY g.relation, g.privilege, g.grantor) g JOIN tenant t ON t.oid = g.relation
  GROUP BY g.privilege, t.nspname, t.relname, t.full_name
  UNION ALL
  SELECT 'leakproof_function', NULL, 'function', n.nspname, f.proname, f.oid::regprocedure::text, 'it is marked LEAKPROOF, so that it may see rows before policies hide them',
    format('ALTER FUNCTION %s NOT LEAKPROOF;', f.oid::regprocedure)
  FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
  WHERE f.proleakproof AND f.oid >= 16384 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'rls_tenant') AND NOT rls_tenant.of_extension('pg_proc', f.oid)
  UNION ALL
  SELECT 'expression_statistics', NULL, s.kind, t.nspname, t.relname, s.name, format('its statistics show values of all tenants of %s to its owner', t.full_name), s.remedy
  FROM statistic s JOIN tenant t ON t.oid = s.relation
  UNION ALL
  SELECT 'fdw_mapping', CASE WHEN NOT m.here OR r.oid IS NULL OR NOT (r.rolsuper OR r.rolbypassrls) THEN 'note' END, 'user mapping', '*', m.srvname, format('%s on server %I', m.usename, m.srvname),
    CASE WHEN m.here AND (r.rolsuper OR r.rolbypassrls) THEN format('it leads back into this database as %I, whom no policy holds', m.remote)
         WHEN m.here AND r.oid IS NOT NULL THEN format('it leads back into this database as %I', m.remote)
         ELSE format('it leads to the role %s elsewhere; whether policies hold it there cannot be seen from here', coalesce(quote_ident(m.remote), '(not named)')) END,
    CASE WHEN m.here AND (r.rolsuper OR r.rolbypassrls) THEN format('DROP USER MAPPING FOR %s SERVER %I;', rls_tenant.grantee_name(m.umuser), m.srvname)
         ELSE '/* see on the remote side that its tables have policies which hold this role */' END
  FROM local_mapping m LEFT JOIN pg_roles r ON r.rolname = m.remote AND m.here
  UNION ALL
  SELECT 'pinned_context', NULL, CASE WHEN s.setrole <> 0 THEN 'role' ELSE 'database' END, '*', CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) ELSE d.datname END,
    concat_ws(' in ', CASE WHEN s.setrole <> 0 THEN 'role ' || pg_get_userbyid(s.setrole)::text END, 'database ' || d.datname),
    format('its sessions start with %s', c.setting),
    format('ALTER %s RESET %s;', CASE WHEN s.setrole = 0 THEN format('DATABASE %I', d.datname) ELSE format('ROLE %I', pg_get_userbyid(s.setrole)) || coalesce(' IN DATABASE ' || quote_ident(d.datname), '') END, split_part(c.setting, '=', 1))
  FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase CROSS JOIN LATERAL unnest(s.setconfig) c(setting)
  WHERE c.setting ~ '^rls_tenant\.(tenant|account|user)_id=' AND (s.setdatabase = 0 OR d.datname = current_database())
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_surroundings() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_surroundings() IS 'part of audit(): functions, constraints, privileges, statistics and mappings around tenant tables';

CREATE FUNCTION rls_tenant.audit_roles(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH tenant AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relowner, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name, o.rolname AS owner_name, o.rolsuper OR o.rolbypassrls AS owner_passes
    FROM rls_tenant.audited_tables() t JOIN pg_class c ON c.oid = t.relation JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner),
  tenant_grant AS MATERIALIZED (SELECT * FROM rls_tenant.tenant_grants()),
  login AS MATERIALIZED (SELECT l.*, r.rolname, r.rolsuper, r.rolbypassrls FROM rls_tenant.logins() l JOIN pg_roles r ON r.oid = l.login),
  granted AS MATERIALIZED (  -- logins with explicit grants
    SELECT DISTINCT l.login FROM login l WHERE l.role IN (SELECT grantee FROM tenant_grant)),
  passing AS (
    SELECT l.login, l.rolname, min(CASE WHEN l.role = l.login THEN CASE WHEN r.rolsuper THEN 'superuser' ELSE 'BYPASSRLS' END END) AS itself,
      min(r.rolname) FILTER (WHERE l.role <> l.login) AS other
    FROM login l JOIN pg_roles r ON r.oid = l.role
    WHERE l.by_set AND (r.rolsuper OR r.rolbypassrls) AND l.login <> 10 AND l.login IN (SELECT login FROM granted)
    GROUP BY l.login, l.rolname),
  owning AS (  -- logins that are, or can become, the owner of tenant tables
    SELECT l.login, l.rolname, t.relowner, t.owner_name, l.role = l.login AS itself, array_agg(t.oid) AS tables,
      string_agg(t.full_name, ', ' ORDER BY t.full_name) AS names, string_agg(DISTINCT quote_ident(t.nspname), ', ') AS schemas,
      (array_agg(t.full_name ORDER BY t.full_name))[:10] AS first_names, count(*) AS number
    FROM login l JOIN tenant t ON t.relowner = l.role
    WHERE l.by_set AND NOT l.rolsuper AND NOT t.owner_passes
    GROUP BY l.login, l.rolname, t.relowner, t.owner_name, l.role = l.login),
  default_grant AS (
    SELECT d.oid, pg_get_userbyid(d.defaclrole) AS owner, n.nspname, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN LATERAL aclexplode(d.defaclacl) a
    WHERE d.defaclobjtype = 'r' AND a.grantee = 0 GROUP BY d.oid, d.defaclrole, n.nspname)
  SELECT 'bypass_login', NULL::text, 'role', '*'::name, p.rolname, quote_ident(p.rolname),
    'it can log in, has grants on tenant tables, and ' || CASE WHEN p.itself IS NOT NULL THEN 'is ' || p.itself ELSE format('can become %I, whom no policy holds', p.other) END,
    CASE p.itself WHEN 'superuser' THEN format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS;', p.rolname)
                  WHEN 'BYPASSRLS' THEN format('ALTER ROLE %I NOBYPASSRLS;', p.rolname)
                  ELSE (SELECT string_agg(rls_tenant.revoke_membership(m.roleid, m.member, m.grantor), ' ' ORDER BY m.roleid, m.member)
                        FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN login l ON l.role = m.member AND l.login = p.login AND l.by_set
                        JOIN pg_roles b ON b.oid = m.member
                        WHERE (r.rolsuper OR r.rolbypassrls) AND NOT (b.rolsuper OR b.rolbypassrls)) END
  FROM passing p
  UNION ALL
  -- An owner that nobody else shares its tables with is what the application logs in as.
  SELECT 'owner_login', NULL, 'role', '*', o.rolname, quote_ident(o.rolname),
    CASE WHEN o.itself THEN format('it can log in and owns %s tenant tables (%s%s), so it can disable row-level security; %s', o.number, array_to_string(o.first_names, ', '),
           CASE WHEN o.number > 10 THEN ', …' ELSE '' END,
           CASE WHEN o.login IN (SELECT login FROM granted) THEN 'it is used for others'' tables, too' ELSE 'no other login has privileges on them' END)
         ELSE format('it can log in, has grants on tenant tables, and can become their owner %I, who can disable row-level security', o.owner_name) END,
    CASE WHEN NOT o.itself THEN (
           SELECT string_agg(rls_tenant.revoke_membership(m.roleid, m.member, m.grantor), ' ' ORDER BY m.member)
           FROM pg_auth_members m JOIN login l ON l.role = m.member AND l.login = o.login AND l.by_set WHERE m.roleid = o.relowner)
         WHEN n.name IS NULL THEN '/* make a role that cannot log in the owner of the tables, and grant what the login needs */'
         ELSE format('CREATE ROLE %1$I NOLOGIN; GRANT USAGE ON SCHEMA %2$s TO %1$I; %3$s GRANT SELECT, INSERT, UPDATE, DELETE ON %4$s TO %5$I;%6$s', n.name, o.schemas,
                     (SELECT string_agg(format('ALTER TABLE %s OWNER TO %I;', t.full_name, n.name), ' ' ORDER BY t.full_name) FROM tenant t WHERE t.oid = ANY (o.tables)),
                     o.names, o.rolname,
                     (SELECT format(' GRANT USAGE ON SEQUENCE %s TO %I;', string_agg(DISTINCT d.objid::regclass::text, ', '), o.rolname)
                      FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
                      WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (o.tables) AND d.deptype = 'a' HAVING count(*) > 0)) END
  FROM owning o LEFT JOIN LATERAL (SELECT o.rolname || '_owner' AS name
    WHERE octet_length(o.rolname) <= 57 AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = o.rolname || '_owner')) n ON true
  WHERE CASE WHEN o.itself THEN o.login IN (SELECT login FROM granted)
               OR NOT EXISTS (SELECT FROM tenant_grant g JOIN login l ON l.role = g.grantee AND NOT l.rolsuper AND l.login <> o.login WHERE g.relation = ANY (o.tables))
             ELSE o.login IN (SELECT login FROM granted) END
  UNION ALL
  SELECT 'public_grant', NULL, 'table', t.nspname, t.relname, t.full_name, format('%s granted to PUBLIC', string_agg(g.privileges, ', ')),
    string_agg(rls_tenant.revoke_as(g.grantor, t.relowner, g.privileges, t.full_name, 'PUBLIC', false), ' ')
  FROM (SELECT g.relation, g.grantor, string_agg(DISTINCT g.privilege, ', ') AS privileges FROM tenant_grant g
        WHERE g.grantee = 0 AND g.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') GROUP BY g.relation, g.grantor) g JOIN tenant t ON t.oid = g.relation
  GROUP BY t.nspname, t.relname, t.full_name
  UNION ALL
  SELECT 'public_grant', NULL, 'default privileges', '*', d.owner, concat_ws(' in schema ', 'tables of ' || quote_ident(d.owner), quote_ident(d.nspname)),
    format('%s on new tables is granted to PUBLIC', d.privileges),
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON TABLES FROM PUBLIC;', d.owner, coalesce(' IN SCHEMA ' || quote_ident(d.nspname), ''), d.privileges)
  FROM default_grant d
  UNION ALL
  SELECT 'guard_off', NULL, 'setting', '*', 'rls_tenant.guard', 'rls_tenant.guard', format('the guard''s mode is %s', current_setting('rls_tenant.guard', true)),
    '/* set rls_tenant.guard to refuse where it is set: in this session or its connection options, by ALTER SYSTEM, or in postgresql.conf */'
  WHERE current_setting('rls_tenant.guard', true) IN ('off', 'warn')
    AND NOT EXISTS (SELECT FROM pg_settings g WHERE g.name = 'rls_tenant.guard' AND g.source IN ('database', 'user', 'database user', 'global'))  -- these are told below
  UNION ALL
  SELECT 'guard_off', NULL, CASE WHEN s.setrole <> 0 THEN 'role' ELSE 'database' END, '*', CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) ELSE d.datname END,
    concat_ws(' in ', CASE WHEN s.setrole <> 0 THEN 'role ' || pg_get_userbyid(s.setrole)::text END, 'database ' || d.datname),
    format('its sessions start with %s', c.setting),
    format('ALTER %s RESET %s;', CASE WHEN s.setrole = 0 THEN format('DATABASE %I', d.datname) ELSE format('ROLE %I', pg_get_userbyid(s.setrole)) || coalesce(' IN DATABASE ' || quote_ident(d.datname), '') END, split_part(c.setting, '=', 1))
  FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase CROSS JOIN LATERAL unnest(s.setconfig) c(setting)
  WHERE c.setting ~* '^(rls_tenant\.guard=(off|warn)|event_triggers=(off|of|f|fa|fal|fals|false|n|no|0))$' AND (s.setdatabase = 0 OR d.datname = current_database())
  UNION ALL
  SELECT 'guard_off', NULL, 'event trigger', '*', t.name, t.name, CASE WHEN e.evtenabled IS NULL THEN 'it is not there' WHEN e.evtenabled = 'D' THEN 'it is disabled' ELSE 'it does not fire always' END,
    CASE WHEN e.evtenabled IS NULL THEN '/* create the extension anew */' ELSE format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', t.name) END
  FROM (VALUES ('rls_tenant_guard'::name), ('rls_tenant_guard_drop')) t(name) LEFT JOIN pg_event_trigger e ON e.evtname = t.name
  WHERE e.evtenabled IS DISTINCT FROM 'A'
  UNION ALL
  SELECT 'guard_off', NULL, 'setting', '*', 'event_triggers', 'event_triggers', 'no event trigger fires', '/* set event_triggers to on where it is set */'
  WHERE current_setting('event_triggers', true) = 'off' AND NOT EXISTS (SELECT FROM pg_settings g WHERE g.name = 'event_triggers' AND g.source IN ('database', 'user', 'database user', 'global'))
  UNION ALL
  SELECT 'not_preloaded', NULL, 'setting', '*', 'session_preload_libraries', 'session_preload_libraries', 'a session loads the library when it first needs it; until then the guard does not see EXPLAIN ANALYZE CREATE TABLE AS, nor a refused SET',
    CASE WHEN current_setting('session_preload_libraries') = '' THEN format('ALTER DATABASE %I SET session_preload_libraries = ''rls_tenant'';', current_database())
         ELSE '/* add rls_tenant to session_preload_libraries */' END
  WHERE NOT EXISTS (
    SELECT FROM (VALUES (current_setting('session_preload_libraries')), (current_setting('shared_preload_libraries'))) v(list)
    CROSS JOIN LATERAL regexp_split_to_table(v.list, '[\s,"]+') l(library) WHERE l.library ~ '(^|/)rls_tenant(\.so)?$')
    AND NOT EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase CROSS JOIN LATERAL unnest(s.setconfig) c(setting)
                    WHERE s.setrole = 0 AND d.datname = current_database() AND c.setting ~ '^session_preload_libraries=.*\mrls_tenant\M')
  UNION ALL
  SELECT 'server_outdated', NULL, 'server', '*', 'server_version', format('PostgreSQL %s', current_setting('server_version')), format('%s.%s and later close known holes in row-level security', f.major, f.minor), '/* install the latest minor release, and restart */'
  FROM rls_tenant.is_outdated(current_setting('server_version_num')::int) f WHERE f.major IS NOT NULL
  UNION ALL
  SELECT 'replica_role_grant', NULL, 'role', '*', coalesce(r.rolname, 'PUBLIC'), rls_tenant.grantee_name(a.grantee), 'it may set session_replication_role, which silences triggers that do not fire always',
    format('REVOKE %s ON PARAMETER session_replication_role FROM %s;', string_agg(a.privilege_type, ', '), rls_tenant.grantee_name(a.grantee))
  FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
  WHERE p.parname = 'session_replication_role' AND NOT coalesce(r.rolsuper, false)
  GROUP BY r.rolname, a.grantee
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_roles() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_roles() IS 'part of audit(): roles, settings and the server';

CREATE FUNCTION rls_tenant.audit_speed(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tenant AS MATERIALIZED (
    SELECT c.oid, c.relname, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name, t.tenant_column, t.ancestor::oid AS ancestor, a.attnum AS tenant_attribute
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
    CROSS JOIN LATERAL unnest(CASE p.polcmd WHEN '*' THEN '{r,a,w,d}' ELSE ARRAY[p.polcmd]::text[] END) c(command) WHERE p.polpermissive),
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
  WHERE t.ancestor IS NULL AND t.tenant_attribute IS NOT NULL
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
REVOKE ALL ON FUNCTION rls_tenant.audit_speed() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_speed() IS 'part of audit(): indexes, membership sources, and policies that are many';

CREATE FUNCTION rls_tenant.audit(schema_pattern text DEFAULT '%', accepted boolean DEFAULT false, OUT severity text, OUT rule text, OUT object_type text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH found AS (
    SELECT * FROM rls_tenant.audit_relations() UNION ALL SELECT * FROM rls_tenant.audit_policies() UNION ALL
    SELECT * FROM rls_tenant.audit_surroundings() UNION ALL SELECT * FROM rls_tenant.audit_roles() UNION ALL SELECT * FROM rls_tenant.audit_speed()),
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
REVOKE ALL ON FUNCTION rls_tenant.audit(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit(text, boolean) IS 'every way known around the tenant boundary of this database, worst first, each with what mends it. schema_pattern: for LIKE, of the objects'' schemas (NULL: nothing but roles and server); accepted: also what exempt() has accepted. Granted to nobody';

CREATE FUNCTION rls_tenant.audit_check(severity text DEFAULT 'risk', schema_pattern text DEFAULT '%') RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  grades CONSTANT text[] := '{leak,risk,speed,note}';
  number bigint;
  list text;
BEGIN
  IF NOT coalesce($1 = ANY (grades), false) THEN
    RAISE EXCEPTION 'there is no severity "%"', $1
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'From worst to least: leak, risk, speed, note.', HINT = 'SELECT rls_tenant.audit_check(''risk'');';
  END IF;
  SELECT count(*), string_agg(format(E'%s: %s: %s %s: %s\n    %s', a.severity, a.rule, a.object_type, a.object, a.finding, a.remedy), E'\n' ORDER BY n) FILTER (WHERE n <= 100)
  INTO number, list
  FROM rls_tenant.audit($2) WITH ORDINALITY a(severity, rule, object_type, object, finding, remedy, n)
  WHERE pg_catalog.array_position(grades, a.severity) <= pg_catalog.array_position(grades, $1);
  IF number > 0 THEN
    RAISE EXCEPTION 'the audit has % finding(s) of severity % or worse', number, $1
      USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = list || CASE WHEN number > 100 THEN E'\n…' ELSE '' END,
        HINT = 'SELECT * FROM rls_tenant.audit(); What shall stay so: SELECT rls_tenant.exempt(''schema'', ''object'', ''reason'', ''{rule}''); schema * for roles and server.';
  END IF;
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_check(text, text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_check(text, text) IS 'raises 55000 if audit() has a finding of that severity (leak, risk, speed, note) or worse, and lists the first hundred: for a step of your CI. 22023: no such severity. Granted to nobody';
