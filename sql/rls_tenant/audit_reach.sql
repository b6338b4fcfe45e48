-- Part of audit(): who can reach a tenant table, and how. All rules about roles ask here.

-- Written so that it can be inlined: it is asked for each relation.
CREATE FUNCTION rls_tenant.grants_on(relation oid) RETURNS TABLE (grantee oid, privilege text, grantor oid,
  grantable boolean)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT a.grantee, a.privilege_type, a.grantor, a.is_grantable
  FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE c.oid = $1 AND a.grantee <> c.relowner
  UNION
  SELECT a.grantee, a.privilege_type, a.grantor, a.is_grantable
  FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
  WHERE c.oid = $1 AND t.attacl IS NOT NULL AND a.grantee <> c.relowner;
END;
REVOKE ALL ON FUNCTION rls_tenant.grants_on(oid) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.grants_on(oid) IS
  'part of audit(): who has which privilege on a relation or its columns from whom, its owner excepted; 0 is PUBLIC';

CREATE FUNCTION rls_tenant.tenant_grants(OUT relation oid, OUT grantee oid, OUT privilege text, OUT grantor oid,
  OUT grantable boolean) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT t.relation, g.grantee, g.privilege, g.grantor, g.grantable
  FROM rls_tenant.audited_tables() t CROSS JOIN LATERAL rls_tenant.grants_on(t.relation) g
$$;
REVOKE ALL ON FUNCTION rls_tenant.tenant_grants() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.tenant_grants() IS 'part of audit(): grants_on() of all tenant tables';

CREATE FUNCTION rls_tenant.logins(OUT login oid, OUT role oid, OUT by_set boolean) RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  -- Before PostgreSQL 16 every membership allows SET ROLE, and whether it is inherited is the member's own matter. The
  -- owner of the database is a member of pg_database_owner without a row that says so.
  WITH RECURSIVE member AS MATERIALIZED (
    SELECT m.member, m.roleid, coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS may_set,
      coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit) AS inherits
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
    UNION ALL
    SELECT d.datdba, 'pg_database_owner'::regrole, true,
      r.rolinherit OR current_setting('server_version_num')::int >= 160000
    FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = current_database()),
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

CREATE FUNCTION rls_tenant.tenant_reach(OUT login oid, OUT role oid, OUT by_set boolean, OUT via text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH able(role, via) AS MATERIALIZED (
    SELECT DISTINCT g.grantee, 'grant' FROM rls_tenant.tenant_grants() g
    UNION ALL
    SELECT DISTINCT c.relowner, 'owner' FROM rls_tenant.audited_tables() t JOIN pg_class c ON c.oid = t.relation
    UNION ALL
    SELECT r.oid, 'all data' FROM pg_roles r
    WHERE r.rolname IN ('pg_read_all_data', 'pg_write_all_data') AND EXISTS (SELECT FROM rls_tenant.audited_tables()))
  SELECT l.login, l.role, l.by_set, a.via FROM rls_tenant.logins() l JOIN able a ON a.role = l.role
  UNION ALL
  SELECT r.oid, 0, false, 'grant' FROM pg_roles r WHERE r.rolcanlogin AND EXISTS (SELECT FROM able WHERE role = 0)
$$;
REVOKE ALL ON FUNCTION rls_tenant.tenant_reach() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.tenant_reach() IS
  'part of audit(): the roles that can log in and reach a tenant table, by which of their roles (0 is PUBLIC) and how: '
  'grant, owner, all data (pg_read_all_data, pg_write_all_data)';

CREATE FUNCTION rls_tenant.application_roles() RETURNS SETOF oid
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  -- An owner that logs in itself is the subject of owner_login.
  SELECT DISTINCT a.login FROM rls_tenant.tenant_reach() a JOIN pg_roles r ON r.oid = a.login
  WHERE NOT r.rolsuper AND NOT (a.via = 'owner' AND a.role = a.login)
$$;
REVOKE ALL ON FUNCTION rls_tenant.application_roles() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.application_roles() IS
  'part of audit(): the roles that can log in and reach tenant tables, superusers and owners themselves excepted';

CREATE FUNCTION rls_tenant.application_grantees() RETURNS SETOF oid
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 0::oid
  UNION
  SELECT l.role FROM rls_tenant.logins() l JOIN rls_tenant.application_roles() a(oid) ON a.oid = l.login
$$;
REVOKE ALL ON FUNCTION rls_tenant.application_grantees() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.application_grantees() IS
  'part of audit(): those by a grant to whom an application role gets a privilege: PUBLIC (0), itself, and the roles '
  'whose rights it has';
