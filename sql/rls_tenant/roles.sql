-- Roles

-- For superusers: what it makes, only they may. Its statements are returned as they are run, so that nothing is done
-- unseen.
CREATE FUNCTION rls_tenant.setup_roles(schema_name name DEFAULT 'public') RETURNS SETOF text
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  held text[] := '{tenant_user,tenant_worker}';
  wanted record;
  statement text;
BEGIN
  IF current_setting('is_superuser') <> 'on' THEN
    RAISE EXCEPTION 'permission denied to set up roles'
      USING ERRCODE = 'insufficient_privilege',
        DETAIL = 'One of them has BYPASSRLS, and default privileges are set for another.',
        HINT = 'Call setup_roles() as a superuser.';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = schema_name) THEN
    RAISE EXCEPTION 'schema "%" does not exist', schema_name
      USING ERRCODE = 'invalid_schema_name',
        DETAIL = 'setup_roles() grants privileges in the schema of the tenant tables.',
        HINT = format('Create it first: CREATE SCHEMA %I;', schema_name);
  END IF;
  -- Policies must apply to the roles that exist already: one that bypasses them, or may become one that does, is
  -- refused.
  FOR wanted IN
    SELECT r.rolname AS role, other.rolname AS reached,
      CASE WHEN other.rolsuper THEN 'is a superuser' WHEN other.rolbypassrls THEN 'has BYPASSRLS'
        ELSE 'has CREATEROLE' END AS attribute
    FROM pg_roles r JOIN pg_roles other ON pg_has_role(r.oid, other.oid, 'MEMBER')
    WHERE r.rolname = ANY (held) AND (other.rolsuper OR other.rolbypassrls OR other.rolcreaterole)
    ORDER BY r.rolname, other.oid <> r.oid, other.rolname
  LOOP
    RAISE EXCEPTION 'policies do not apply to role "%"', wanted.role
      USING ERRCODE = 'object_not_in_prerequisite_state',
        DETAIL = CASE WHEN wanted.reached = wanted.role THEN format('It %s.', wanted.attribute)
          ELSE format('It is a member of "%s", which %s.', wanted.reached, wanted.attribute) END,
        HINT = CASE WHEN wanted.reached <> wanted.role THEN format('REVOKE %I FROM %I;', wanted.reached, wanted.role)
          ELSE format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOCREATEROLE;', wanted.role) END;
  END LOOP;
  FOR wanted IN
    SELECT r.rolname AS role, c.oid::regclass AS relation
    FROM pg_roles r JOIN pg_class c ON c.relowner = r.oid AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    WHERE r.rolname = ANY (held) ORDER BY 1, c.relname LIMIT 1
  LOOP
    RAISE EXCEPTION 'role "%" owns tables', wanted.role
      USING ERRCODE = 'object_not_in_prerequisite_state',
        DETAIL = format('One of them is %s. An owner could switch row-level security off.', wanted.relation),
        HINT = format('ALTER TABLE %s OWNER TO tenant_owner; when that role exists.', wanted.relation);
  END LOOP;

  FOR statement IN
    SELECT format('CREATE ROLE %I NOLOGIN%s', w.role, CASE WHEN w.bypasses THEN ' BYPASSRLS' END)
    FROM (VALUES (1, 'tenant_owner', false), (2, 'tenant_user', false), (3, 'tenant_worker', false),
      (4, 'platform_admin', true)) w(n, role, bypasses)
    WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = w.role) ORDER BY w.n
  LOOP
    EXECUTE statement;
    RETURN NEXT statement || ';';
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'platform_admin' AND rolbypassrls) THEN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'platform_admin' AND rolcanlogin)
        OR EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
                   WHERE m.roleid = 'platform_admin'::regrole AND NOT r.rolsuper) THEN
      RAISE EXCEPTION 'role "platform_admin" already exists and is in use'
        USING ERRCODE = 'object_not_in_prerequisite_state',
          DETAIL = 'It can log in, or has members, who would bypass policies from now on.',
          HINT = 'If that is intended: ALTER ROLE platform_admin BYPASSRLS; and call it again. Otherwise rename it.';
    END IF;
    statement := 'ALTER ROLE platform_admin BYPASSRLS';
    EXECUTE statement;
    RETURN NEXT statement || ';';
  END IF;
  FOR statement IN
    SELECT format('GRANT %s ON SCHEMA %I TO %I', w.privilege, schema_name, w.role)
    FROM (VALUES (1, 'CREATE', 'tenant_owner'), (2, 'USAGE', 'tenant_owner'), (3, 'USAGE', 'tenant_user'),
      (4, 'USAGE', 'tenant_worker'), (5, 'USAGE', 'platform_admin')) w(n, privilege, role)
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
    FROM (VALUES
      (1, 'SELECT', 'TABLES', 'r', 'tenant_user'), (2, 'INSERT', 'TABLES', 'r', 'tenant_user'),
      (3, 'UPDATE', 'TABLES', 'r', 'tenant_user'), (4, 'DELETE', 'TABLES', 'r', 'tenant_user'),
      (5, 'USAGE', 'SEQUENCES', 'S', 'tenant_user'),
      (6, 'SELECT', 'TABLES', 'r', 'tenant_worker'), (7, 'INSERT', 'TABLES', 'r', 'tenant_worker'),
      (8, 'UPDATE', 'TABLES', 'r', 'tenant_worker'), (9, 'DELETE', 'TABLES', 'r', 'tenant_worker'),
      (10, 'USAGE', 'SEQUENCES', 'S', 'tenant_worker'),
      (11, 'SELECT', 'TABLES', 'r', 'platform_admin'), (12, 'SELECT', 'SEQUENCES', 'S', 'platform_admin')
    ) w(n, privilege, kind, code, role)
    WHERE NOT EXISTS (
      SELECT FROM pg_default_acl d
      JOIN pg_roles o ON o.oid = d.defaclrole JOIN pg_namespace s ON s.oid = d.defaclnamespace
      CROSS JOIN LATERAL aclexplode(d.defaclacl) a JOIN pg_roles r ON r.oid = a.grantee
      WHERE o.rolname = 'tenant_owner' AND s.nspname = schema_name AND d.defaclobjtype::text = w.code
        AND r.rolname = w.role AND a.privilege_type = w.privilege)
    GROUP BY w.kind, w.role ORDER BY min(w.n)
  LOOP
    EXECUTE statement;
    RETURN NEXT statement || ';';
  END LOOP;
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.setup_roles(name) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.setup_roles(name) IS
  'makes the roles tenant_owner, tenant_user, tenant_worker and platform_admin (none can log in; the last has '
  'BYPASSRLS) where they are missing, and their privileges in a schema and on what tenant_owner will make there; '
  'returns the statements that it has run, none if nothing was missing. NULL does nothing. 42501: not a superuser; '
  '3F000: no such schema; 55000: tenant_user or tenant_worker exists and bypasses policies, by itself or as a member '
  'of another role, or owns tables; platform_admin exists without BYPASSRLS, and can log in or has members';
