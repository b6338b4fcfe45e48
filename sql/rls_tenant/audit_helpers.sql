-- What the parts of audit() share: which tables count, statements that take rights back.

CREATE FUNCTION rls_tenant.usual_tenant_column() RETURNS name
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_usual_tenant_column';
REVOKE ALL ON FUNCTION rls_tenant.usual_tenant_column() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.usual_tenant_column() IS
  'part of audit(): rls_tenant.tenant_column, also where the library was not loaded before';

CREATE FUNCTION rls_tenant.relation_findings(OUT relation regclass, OUT rule text, OUT detail text, OUT remedy text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_relation_findings';
REVOKE ALL ON FUNCTION rls_tenant.relation_findings() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.relation_findings() IS
  'part of audit(): the rules that each table and view breaks, by its catalogs and the trees of its policies';

CREATE FUNCTION rls_tenant.audited_tables(OUT relation regclass, OUT tenant_column name, OUT ancestor regclass)
RETURNS SETOF record
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

CREATE FUNCTION rls_tenant.tenant_relations(OUT oid oid, OUT relname name, OUT nspname name, OUT full_name text,
  OUT relowner oid, OUT forced boolean, OUT tenant_column name, OUT tenant_attribute smallint, OUT attgenerated "char",
  OUT ancestor oid) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.oid, c.relname, n.nspname, format('%I.%I', n.nspname, c.relname), c.relowner, c.relforcerowsecurity,
    t.tenant_column, a.attnum, a.attgenerated, t.ancestor
  FROM rls_tenant.audited_tables() t
  JOIN pg_class c ON c.oid = t.relation JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = t.tenant_column
$$;
REVOKE ALL ON FUNCTION rls_tenant.tenant_relations() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.tenant_relations() IS
  'part of audit(): audited_tables() with what the catalogs say of them and of their tenant columns';

CREATE FUNCTION rls_tenant.source_relations(OUT source text, OUT relation oid) RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE reads(source, oid) AS (
    SELECT s.name, s.relation::oid FROM rls_tenant.membership_source s
    UNION
    SELECT r.source, d.refobjid FROM reads r JOIN pg_rewrite w ON w.ev_class = r.oid AND w.rulename = '_RETURN'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass)
  SELECT source, oid FROM reads
$$;
REVOKE ALL ON FUNCTION rls_tenant.source_relations() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.source_relations() IS
  'part of audit(): the relation of each membership source, and those that its views read';

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

CREATE FUNCTION rls_tenant.stored_settings(OUT object_type text, OUT object_name name, OUT object text, OUT role oid,
  OUT setting text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN 'database' ELSE 'role' END,
    CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) ELSE coalesce(d.datname, 'ALL') END,
    concat_ws(' in ', CASE WHEN s.setrole <> 0 THEN 'role ' || pg_get_userbyid(s.setrole)
                        WHEN s.setdatabase = 0 THEN 'all roles' END, 'database ' || d.datname),
    s.setrole, c.setting,
    format('ALTER %s RESET %s;',
      CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN format('DATABASE %I', d.datname)
        ELSE concat_ws(' IN DATABASE ',
          'ROLE ' || CASE WHEN s.setrole = 0 THEN 'ALL' ELSE quote_ident(pg_get_userbyid(s.setrole)) END,
          quote_ident(d.datname)) END,
      split_part(c.setting, '=', 1))
  FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase
  CROSS JOIN LATERAL unnest(s.setconfig) c(setting)
  WHERE s.setdatabase = 0 OR d.datname = current_database()
$$;
REVOKE ALL ON FUNCTION rls_tenant.stored_settings() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.stored_settings() IS
  'part of audit(): the settings (name=value) that ALTER ROLE and ALTER DATABASE have stored for sessions of this '
  'database, and the statement that takes each back';

CREATE FUNCTION rls_tenant.is_outdated(version_number integer, OUT major integer, OUT minor integer) RETURNS record
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT f.major, f.minor FROM (VALUES (15, 20), (16, 16), (17, 12), (18, 7)) f(major, minor)
  WHERE f.major = $1 / 10000 AND $1 % 10000 < f.minor
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
