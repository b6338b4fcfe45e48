-- What the parts of audit() share: which tables count, who can reach them, statements that take rights back.

CREATE FUNCTION rls_tenant.usual_tenant_column() RETURNS name
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_usual_tenant_column';
REVOKE ALL ON FUNCTION rls_tenant.usual_tenant_column() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.usual_tenant_column() IS
  'part of audit(): rls_tenant.tenant_column, also where the library was not loaded before';

CREATE FUNCTION rls_tenant.relation_findings(OUT relation regclass, OUT rule text, OUT detail text,
  OUT remedy text) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_relation_findings';
REVOKE ALL ON FUNCTION rls_tenant.relation_findings() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.relation_findings() IS
  'part of audit(): the rules that each table and view breaks, by its catalogs and the trees of its policies';

CREATE FUNCTION rls_tenant.audited_tables(OUT relation regclass, OUT tenant_column name,
  OUT ancestor regclass) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_audited_tables';
REVOKE ALL ON FUNCTION rls_tenant.audited_tables() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audited_tables() IS
  'part of audit(): tenant_tables() and those that should be, without those that cannot be judged; read once for a '
  'statement';

CREATE FUNCTION rls_tenant.policy_reads(relation regclass, OUT policy name, OUT reads regclass) RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_policy_reads';
REVOKE ALL ON FUNCTION rls_tenant.policy_reads(regclass) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.policy_reads(regclass) IS
  'part of audit(): the relations that a table''s policies read in sub-selects';

CREATE FUNCTION rls_tenant.of_extension(catalog regclass, object oid) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_roles r ON r.oid = e.extowner
                 WHERE d.classid = $1 AND d.objid = $2 AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
                   AND r.rolsuper)
$$;
REVOKE ALL ON FUNCTION rls_tenant.of_extension(regclass, oid) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.of_extension(regclass, oid) IS
  'part of audit(): whether an object belongs to an extension of a superuser''s';

CREATE FUNCTION rls_tenant.tenant_grants(OUT relation oid, OUT grantee oid, OUT privilege text, OUT grantor oid,
  OUT grantable boolean) RETURNS SETOF record
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
COMMENT ON FUNCTION rls_tenant.tenant_grants() IS
  'part of audit(): who has which privilege on tenant tables from whom, their owners excepted; 0 is PUBLIC';

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
COMMENT ON FUNCTION rls_tenant.logins() IS
  'part of audit(): the roles that can log in, with each role whose rights they have, and whether they can become '
  'it by SET ROLE';

CREATE FUNCTION rls_tenant.application_roles() RETURNS SETOF oid
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH granted AS MATERIALIZED (SELECT DISTINCT g.grantee FROM rls_tenant.tenant_grants() g)
  SELECT DISTINCT l.login
  FROM rls_tenant.logins() l JOIN pg_roles r ON r.oid = l.login
  WHERE NOT r.rolsuper AND (l.role IN (SELECT grantee FROM granted) OR 0 IN (SELECT grantee FROM granted))
$$;
REVOKE ALL ON FUNCTION rls_tenant.application_roles() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.application_roles() IS
  'part of audit(): the roles that can log in and have privileges on tenant tables, superusers excepted';

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
    CASE WHEN current_setting('server_version_num')::int >= 160000 AND $3 <> 10
      THEN format(' GRANTED BY %I', pg_get_userbyid($3)) ELSE '' END)
$$;
REVOKE ALL ON FUNCTION rls_tenant.revoke_membership(oid, oid, oid) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.revoke_membership(oid, oid, oid) IS
  'part of audit(): the statement that ends a membership in a role';

CREATE FUNCTION rls_tenant.revoke_as(grantor oid, owner oid, privileges text, relation text, grantees text,
  cascades boolean) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  -- A privilege can only be taken back as the role that gave it.
  SELECT format(CASE WHEN $1 = $2 THEN '%2$s' ELSE 'SET ROLE %1$I; %2$s RESET ROLE;' END, pg_get_userbyid($1),
    format('REVOKE %s ON %s FROM %s%s;', $3, $4, $5, CASE WHEN $6 THEN ' CASCADE' ELSE '' END))
$$;
REVOKE ALL ON FUNCTION rls_tenant.revoke_as(oid, oid, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.revoke_as(oid, oid, text, text, text, boolean) IS
  'part of audit(): the statement that takes privileges back, as who granted them';

CREATE FUNCTION rls_tenant.is_outdated(version_number integer, OUT major integer, OUT minor integer) RETURNS record
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT f.major, f.minor FROM (VALUES (15, 20), (16, 16), (17, 12), (18, 7)) f(major, minor) WHERE f.major = $1 / 10000
    AND $1 % 10000 < f.minor
$$;
REVOKE ALL ON FUNCTION rls_tenant.is_outdated(integer) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.is_outdated(integer) IS
  'part of audit(): the minor release that a server (server_version_num) should have for its fixes of row-level '
  'security; NULL if it has them';

CREATE FUNCTION rls_tenant.public_condition(relation regclass) RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_public_condition';
REVOKE ALL ON FUNCTION rls_tenant.public_condition(regclass) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.public_condition(regclass) IS
  'part of audit(): the condition under which every tenant may read rows of a table, where it has the form that '
  'protect() makes; NULL: no row, or no such table';
