-- Part of audit(): roles, settings and the server; pins.

-- Files, programs and the log of the server hold the rows of all tenants, and so do TOAST tables, which have no
-- policies; who hands out roles can take one that bypasses policies.
CREATE FUNCTION rls_tenant.audit_server_access(OUT rule text, OUT severity text, OUT object_type text,
  OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH held AS MATERIALIZED (  -- the roles of the application
    SELECT l.role, bool_or(l.by_set) AS by_set
    FROM rls_tenant.logins() l JOIN rls_tenant.application_roles() a(oid) ON a.oid = l.login GROUP BY l.role),
  owner AS MATERIALIZED (
    SELECT DISTINCT c.relowner AS role FROM rls_tenant.audited_tables() t JOIN pg_class c ON c.oid = t.relation)
  SELECT 'server_access', NULL::text, 'role', '*'::name, pg_get_userbyid(m.member),
    quote_ident(pg_get_userbyid(m.member)),
    format('it is a member of %I, and an application role has its rights: the server''s files hold the rows of all '
           'tenants', r.rolname),
    string_agg(rls_tenant.revoke_membership(m.roleid, m.member, m.grantor), ' ' ORDER BY m.grantor)
  FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN held h ON h.role = m.member
  WHERE r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
    AND r.oid IN (SELECT role FROM held)
  GROUP BY m.member, r.rolname
  UNION ALL
  SELECT 'server_access', NULL, 'function', n.nspname, f.proname, f.oid::regprocedure::text,
    format('%s may execute it: it reads or writes files of the server, or connects as the server''s user',
      string_agg(DISTINCT rls_tenant.grantee_name(a.grantee), ', ')),
    string_agg(DISTINCT rls_tenant.revoke_as(a.grantor, f.proowner, 'EXECUTE',
      'FUNCTION ' || f.oid::regprocedure::text, rls_tenant.grantee_name(a.grantee), a.is_grantable), ' ')
  FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
  CROSS JOIN LATERAL aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
  WHERE f.proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'lo_import', 'lo_export', 'dblink_connect_u',
      'pg_file_write', 'pg_file_read', 'pg_file_rename', 'pg_file_unlink')
    AND (f.oid < 16384 OR rls_tenant.of_extension('pg_proc', f.oid))
    AND a.grantee <> f.proowner
    AND ((a.grantee = 0 AND EXISTS (SELECT FROM held)) OR a.grantee IN (SELECT role FROM held))
  GROUP BY f.oid, n.nspname, f.proname
  UNION ALL
  SELECT 'replication_login', NULL, 'role', '*', r.rolname, quote_ident(r.rolname),
    'it has REPLICATION, and an application role is it or can become it: a replication slot shows the rows of all '
    'tenants', format('ALTER ROLE %I NOREPLICATION;', r.rolname)
  FROM pg_roles r JOIN held h ON h.role = r.oid AND h.by_set WHERE r.rolreplication AND NOT r.rolsuper
  UNION ALL
  SELECT 'toast_access', NULL, 'role', '*', pg_get_userbyid(m.member), quote_ident(pg_get_userbyid(m.member)),
    'it is a member of pg_read_all_data, and an application role has its rights: TOAST tables have no policies',
    string_agg(rls_tenant.revoke_membership(m.roleid, m.member, m.grantor), ' ' ORDER BY m.grantor)
  FROM pg_auth_members m JOIN held h ON h.role = m.member
  WHERE m.roleid = 'pg_read_all_data'::regrole AND m.roleid IN (SELECT role FROM held)
  GROUP BY m.member
  UNION ALL
  SELECT 'toast_access', NULL, 'schema', '*', n.nspname, n.nspname,
    format('%s has USAGE on it: the owner of a tenant table reads its TOAST table, which has no policies',
      string_agg(DISTINCT rls_tenant.grantee_name(a.grantee), ', ')),
    string_agg(DISTINCT rls_tenant.revoke_as(a.grantor, n.nspowner, 'USAGE', 'SCHEMA pg_toast',
      rls_tenant.grantee_name(a.grantee), a.is_grantable), ' ')
  FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
  WHERE n.nspname = 'pg_toast' AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner
    AND NOT coalesce(r.rolsuper, false) AND (EXISTS (SELECT FROM held) OR EXISTS (SELECT FROM owner))
  GROUP BY n.oid, n.nspname
  UNION ALL
  SELECT 'role_admin', NULL, 'role', '*', r.rolname, quote_ident(r.rolname),
    'it has CREATEROLE, and an application role is it or can become it: it can grant itself any role that is not a '
    'superuser', format('ALTER ROLE %I NOCREATEROLE;', r.rolname)
  FROM pg_roles r JOIN held h ON h.role = r.oid AND h.by_set
  WHERE r.rolcreaterole AND NOT r.rolsuper AND current_setting('server_version_num')::int < 160000
  UNION ALL
  SELECT 'role_admin', NULL, 'role', '*', pg_get_userbyid(m.member), quote_ident(pg_get_userbyid(m.member)),
    format('it may grant %I, %s, and an application role has its rights', r.rolname,
      CASE WHEN r.rolsuper OR r.rolbypassrls THEN 'to whom no policy applies' ELSE 'who owns tenant tables' END),
    string_agg(regexp_replace(rls_tenant.revoke_membership(m.roleid, m.member, m.grantor), '^REVOKE ',
      'REVOKE ADMIN OPTION FOR '), ' ' ORDER BY m.grantor)
  FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN held h ON h.role = m.member
  WHERE m.admin_option AND (r.rolsuper OR r.rolbypassrls OR r.oid IN (SELECT role FROM owner))
  GROUP BY m.member, r.rolname, r.rolsuper, r.rolbypassrls
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_server_access() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_server_access() IS
  'part of audit(): application roles that reach what holds the rows of all tenants, or other roles';

CREATE FUNCTION rls_tenant.audit_roles(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name,
  OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH tenant AS MATERIALIZED (
    SELECT t.*, o.rolname AS owner_name, o.rolsuper OR o.rolbypassrls AS owner_passes
    FROM rls_tenant.tenant_relations() t JOIN pg_roles o ON o.oid = t.relowner),
  tenant_grant AS MATERIALIZED (SELECT * FROM rls_tenant.tenant_grants()),
  login AS MATERIALIZED (
    SELECT l.*, r.rolname, r.rolsuper, r.rolbypassrls FROM rls_tenant.logins() l JOIN pg_roles r ON r.oid = l.login),
  granted AS MATERIALIZED (  -- logins with explicit grants
    SELECT DISTINCT l.login FROM login l WHERE l.role IN (SELECT grantee FROM tenant_grant)),
  reaching AS MATERIALIZED (
    -- A superuser that owns tables administers the database; that it can log in says nothing about the application.
    SELECT a.login, bool_or(a.via = 'grant') AS by_grant
    FROM rls_tenant.tenant_reach() a JOIN pg_roles r ON r.oid = a.role
    WHERE a.via <> 'owner' OR NOT r.rolsuper GROUP BY a.login),
  passing AS (
    SELECT l.login, l.rolname,
      min(CASE WHEN l.role = l.login THEN CASE WHEN r.rolsuper THEN 'superuser' ELSE 'BYPASSRLS' END END) AS itself,
      min(r.rolname) FILTER (WHERE l.role <> l.login) AS other, a.by_grant
    FROM login l JOIN pg_roles r ON r.oid = l.role JOIN reaching a ON a.login = l.login
    WHERE l.by_set AND (r.rolsuper OR r.rolbypassrls) AND l.login <> 10 AND (a.by_grant OR NOT l.rolsuper)
    GROUP BY l.login, l.rolname, a.by_grant),
  owning AS (  -- logins that are, or can become, the owner of tenant tables
    SELECT l.login, l.rolname, t.relowner, t.owner_name, l.role = l.login AS itself, array_agg(t.oid) AS tables,
      string_agg(t.full_name, ', ' ORDER BY t.full_name) AS names,
      string_agg(DISTINCT quote_ident(t.nspname), ', ') AS schemas,
      (array_agg(t.full_name ORDER BY t.full_name))[:10] AS first_names, count(*) AS number
    FROM login l JOIN tenant t ON t.relowner = l.role
    WHERE l.by_set AND NOT l.rolsuper AND NOT t.owner_passes
    GROUP BY l.login, l.rolname, t.relowner, t.owner_name, l.role = l.login),
  default_grant AS (
    SELECT d.oid, pg_get_userbyid(d.defaclrole) AS owner, n.nspname,
      string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    CROSS JOIN LATERAL aclexplode(d.defaclacl) a
    WHERE d.defaclobjtype = 'r' AND a.grantee = 0 GROUP BY d.oid, d.defaclrole, n.nspname)
  SELECT 'bypass_login', NULL::text, 'role', '*'::name, p.rolname, quote_ident(p.rolname),
    format('it can log in, %s, and %s',
      CASE WHEN p.by_grant THEN 'has grants on tenant tables'
        ELSE 'reaches tenant tables as their owner or by pg_read_all_data or pg_write_all_data' END,
      CASE WHEN p.itself = 'BYPASSRLS' THEN 'has BYPASSRLS' WHEN p.itself IS NOT NULL THEN 'is a superuser'
        ELSE format('can become %I, to whom no policy applies', p.other) END),
    CASE p.itself
      WHEN 'superuser' THEN format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS;', p.rolname)
      WHEN 'BYPASSRLS' THEN format('ALTER ROLE %I NOBYPASSRLS;', p.rolname)
      ELSE (
        SELECT string_agg(rls_tenant.revoke_membership(m.roleid, m.member, m.grantor), ' ' ORDER BY m.roleid, m.member)
        FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles b ON b.oid = m.member
        JOIN login l ON l.role = m.member AND l.login = p.login AND l.by_set
        WHERE (r.rolsuper OR r.rolbypassrls) AND NOT (b.rolsuper OR b.rolbypassrls)) END
  FROM passing p
  UNION ALL
  -- An owner that nobody else shares its tables with is what the application logs in as.
  SELECT 'owner_login', NULL, 'role', '*', o.rolname, quote_ident(o.rolname),
    CASE WHEN o.itself
        THEN format('it can log in and owns %s tenant tables (%s%s), so it can disable row-level security; %s',
          o.number, array_to_string(o.first_names, ', '), CASE WHEN o.number > 10 THEN ', …' END,
          CASE WHEN o.login IN (SELECT login FROM granted) THEN 'it is used for others'' tables, too'
            ELSE 'no other login has privileges on them' END)
      ELSE format('it can log in, has grants on tenant tables, and can become their owner %I, who can disable '
                  'row-level security', o.owner_name) END,
    CASE
      WHEN NOT o.itself THEN (
        SELECT string_agg(rls_tenant.revoke_membership(m.roleid, m.member, m.grantor), ' ' ORDER BY m.member)
        FROM pg_auth_members m JOIN login l ON l.role = m.member AND l.login = o.login AND l.by_set
        WHERE m.roleid = o.relowner)
      WHEN n.name IS NULL
        THEN '/* make a role that cannot log in the owner of the tables, and grant what the login needs */'
      ELSE format('CREATE ROLE %1$I NOLOGIN; GRANT USAGE ON SCHEMA %2$s TO %1$I; %3$s '
                  'GRANT SELECT, INSERT, UPDATE, DELETE ON %4$s TO %5$I;%6$s', n.name, o.schemas,
        (SELECT string_agg(format('ALTER TABLE %s OWNER TO %I;', t.full_name, n.name), ' ' ORDER BY t.full_name)
         FROM tenant t WHERE t.oid = ANY (o.tables)),
        o.names, o.rolname,
        (SELECT format(' GRANT USAGE ON SEQUENCE %s TO %I;', string_agg(DISTINCT d.objid::regclass::text, ', '),
           o.rolname)
         FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
           AND d.refobjid = ANY (o.tables) AND d.deptype = 'a' HAVING count(*) > 0)) END
  FROM owning o LEFT JOIN LATERAL (
    SELECT o.rolname || '_owner' AS name
    WHERE octet_length(o.rolname) <= 57
      AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = o.rolname || '_owner')) n ON true
  WHERE o.login IN (SELECT login FROM granted) OR (o.itself AND NOT EXISTS (
    SELECT FROM tenant_grant g JOIN login l ON l.role = g.grantee AND NOT l.rolsuper AND l.login <> o.login
    WHERE g.relation = ANY (o.tables)))
  UNION ALL
  SELECT 'public_grant', NULL, 'table', t.nspname, t.relname, t.full_name,
    format('%s granted to PUBLIC', string_agg(g.privileges, ', ')),
    string_agg(rls_tenant.revoke_as(g.grantor, t.relowner, g.privileges, t.full_name, 'PUBLIC', false), ' ')
  FROM (SELECT g.relation, g.grantor, string_agg(DISTINCT g.privilege, ', ') AS privileges FROM tenant_grant g
        WHERE g.grantee = 0 AND g.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
        GROUP BY g.relation, g.grantor) g JOIN tenant t ON t.oid = g.relation
  GROUP BY t.nspname, t.relname, t.full_name
  UNION ALL
  SELECT 'public_grant', NULL, 'default privileges', '*', d.owner,
    concat_ws(' in schema ', 'tables of ' || quote_ident(d.owner), quote_ident(d.nspname)),
    format('%s on new tables is granted to PUBLIC', d.privileges),
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON TABLES FROM PUBLIC;', d.owner,
      coalesce(' IN SCHEMA ' || quote_ident(d.nspname), ''), d.privileges)
  FROM default_grant d
  UNION ALL
  -- What ALTER ROLE and ALTER DATABASE have set is told below.
  SELECT 'guard_off', NULL, 'setting', '*', s.name, s.name, s.finding, s.remedy
  FROM (VALUES
    ('rls_tenant.guard', '{off,warn}'::text[],
      format('the guard''s mode is %s', current_setting('rls_tenant.guard', true)),
      '/* set rls_tenant.guard to refuse where it is set: in this session or its connection options, by ALTER SYSTEM, '
      'or in postgresql.conf */'),
    ('event_triggers', '{off}', 'no event trigger fires', '/* set event_triggers to on where it is set */')
  ) s(name, off, finding, remedy)
  WHERE current_setting(s.name, true) = ANY (s.off) AND NOT EXISTS (
    SELECT FROM pg_settings g
    WHERE g.name = s.name AND g.source IN ('database', 'user', 'database user', 'global'))
  UNION ALL
  SELECT 'guard_off', NULL, s.object_type, '*', s.object_name, s.object,
    format('its sessions start with %s', s.setting), s.remedy
  FROM rls_tenant.stored_settings() s
  WHERE s.setting ~* '^(rls_tenant\.guard=(off|warn)|event_triggers=(off|of|f|fa|fal|fals|false|n|no|0))$'
  UNION ALL
  SELECT 'guard_off', NULL, 'event trigger', '*', t.name, t.name,
    CASE WHEN t.enabled IS NULL THEN 'it is not there' WHEN t.enabled = 'D' THEN 'it is disabled'
      ELSE 'it does not fire always' END,
    CASE WHEN t.enabled IS NULL THEN '/* drop the extension and create it again */'
      ELSE format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', t.name) END
  FROM rls_tenant.guard_triggers() t WHERE t.enabled IS DISTINCT FROM 'A'
  UNION ALL
  SELECT 'not_preloaded', NULL, 'setting', '*', 'session_preload_libraries', 'session_preload_libraries',
    'a session loads the library when it first needs it; until then the guard does not see EXPLAIN ANALYZE CREATE '
    'TABLE AS, nor a refused SET',
    CASE WHEN current_setting('session_preload_libraries') = ''
        THEN format('ALTER DATABASE %I SET session_preload_libraries = ''rls_tenant'';', current_database())
      ELSE '/* add rls_tenant to session_preload_libraries */' END
  WHERE NOT rls_tenant.is_preloaded() AND NOT EXISTS (
    SELECT FROM rls_tenant.stored_settings() s
    WHERE s.object_type = 'database' AND s.setting ~ '^session_preload_libraries=.*\mrls_tenant\M')
  UNION ALL
  SELECT 'server_outdated', NULL, 'server', '*', 'server_version',
    format('PostgreSQL %s', current_setting('server_version')),
    format('%s.%s and later close known holes in row-level security', f.major, f.minor),
    '/* install the latest minor release, and restart */'
  FROM rls_tenant.is_outdated(current_setting('server_version_num')::int) f WHERE f.major IS NOT NULL
  UNION ALL
  SELECT CASE p.parname WHEN 'session_replication_role' THEN 'replica_role_grant' ELSE 'loose_setting' END, NULL,
    'role', '*', coalesce(r.rolname, 'PUBLIC'), rls_tenant.grantee_name(a.grantee),
    CASE p.parname WHEN 'session_replication_role'
        THEN 'it may set session_replication_role, which silences triggers that do not fire always'
      ELSE format('it may set %s, on which the tenant boundary depends', p.parname) END,
    format('REVOKE %s ON PARAMETER %s FROM %s;', string_agg(DISTINCT a.privilege_type, ', '), p.parname,
      rls_tenant.grantee_name(a.grantee))
  FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
  WHERE p.parname ~ ('^(session_replication_role|event_triggers|(session|shared)_preload_libraries|'
      'rls_tenant\.(guard|tenant_column|(tenant|account|user)_type|missing_context|one_tenant_per_transaction))$')
    AND NOT coalesce(r.rolsuper, false)
  GROUP BY p.parname, r.rolname, a.grantee
  UNION ALL
  SELECT 'loose_setting', NULL, s.object_type, '*', s.object_name, s.object,
    format('its sessions start with %s', s.setting), s.remedy
  FROM rls_tenant.stored_settings() s
  WHERE s.setting ~* ('^(session_replication_role=(replica|local)|'
    'rls_tenant\.one_tenant_per_transaction=(off|of|f|fa|fal|fals|false|n|no|0))$')
  UNION ALL
  SELECT * FROM rls_tenant.audit_server_access()
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_roles() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_roles() IS 'part of audit(): roles, settings and the server';

-- Where the library is not loaded PostgreSQL knows no parameter of that name, and lets a role move its own pin only if
-- SET was granted.
CREATE FUNCTION rls_tenant.audit_pins(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name,
  OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT 'loose_pin', NULL::text, 'role', '*'::name, r.rolname, 'role ' || r.rolname,
    format('it can ALTER ROLE itself to another context from a database where the library is not loaded: SET on %s is '
           'granted to %s', p.parname, rls_tenant.grantee_name(a.grantee)),
    format('REVOKE SET ON PARAMETER %s FROM %s;', p.parname, rls_tenant.grantee_name(a.grantee))
  FROM rls_tenant.stored_settings() s JOIN pg_roles r ON r.oid = s.role
  JOIN pg_parameter_acl p ON p.parname = lower(split_part(s.setting, '=', 1)) CROSS JOIN LATERAL aclexplode(p.paracl) a
  WHERE p.parname ~ '^rls_tenant\.(tenant|account|user)_id$'
    AND r.rolcanlogin AND NOT r.rolsuper AND a.privilege_type = 'SET'
    AND (a.grantee = 0 OR pg_has_role(r.oid, a.grantee, 'USAGE'))
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_pins() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_pins() IS 'part of audit(): pinned logins whose pins do not hold everywhere';
