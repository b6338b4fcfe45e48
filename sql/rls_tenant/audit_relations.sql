-- Part of audit(): tables, views and the expressions of policies.

CREATE FUNCTION rls_tenant.audit_relations(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name,
  OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tenant AS MATERIALIZED (
    SELECT t.relation::oid AS oid, t.tenant_column, t.ancestor::oid AS ancestor FROM rls_tenant.audited_tables() t),
  relation AS MATERIALIZED (
    SELECT c.*, n.nspname, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                                WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
      format('%I.%I', n.nspname, c.relname) AS full_name,
      EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = rls_tenant.usual_tenant_column()
                AND NOT a.attisdropped) AS has_tenant_column,
      (SELECT string_agg(DISTINCT rls_tenant.grantee_name(g.grantee), ', ') FROM rls_tenant.grants_on(c.oid) g
       WHERE g.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) AS grantees
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
      AND n.nspname <> 'rls_tenant' AND (n.oid >= 16384 OR n.nspname = 'public')
      AND NOT rls_tenant.of_extension('pg_class', c.oid) AND NOT rls_tenant.of_extension('pg_namespace', n.oid)),
  base(oid, base) AS (
    SELECT t.oid, t.oid FROM pg_type t WHERE t.typtype <> 'd'
    UNION ALL
    SELECT t.oid, b.base FROM pg_type t JOIN base b ON b.oid = t.typbasetype WHERE t.typtype = 'd'),
  used AS MATERIALIZED (  -- roles whose rights some login has
    SELECT DISTINCT l.role FROM rls_tenant.logins() l JOIN pg_roles o ON o.oid = l.login
    WHERE l.role = l.login OR NOT o.rolsuper),
  odd_type AS MATERIALIZED (
    SELECT r.oid, a.attname, a.atttypid, a.atttypmod
    FROM relation r LEFT JOIN tenant t USING (oid)
    JOIN pg_attribute a ON a.attrelid = r.oid
      AND a.attname = coalesce(t.tenant_column, rls_tenant.usual_tenant_column()) AND NOT a.attisdropped
    JOIN base b ON b.oid = a.atttypid
    WHERE r.relkind IN ('r', 'p') AND t.ancestor IS NULL AND NOT r.relispartition
      AND b.base NOT IN ('uuid'::regtype, 'bigint'::regtype, 'integer'::regtype, 'smallint'::regtype, 'text'::regtype,
        'varchar'::regtype)),
  found AS (
    SELECT f.rule,
      CASE WHEN f.rule = 'rls_not_forced' AND r.relowner NOT IN (SELECT role FROM used) THEN 'risk' END AS severity,
      r.oid, f.detail AS finding,
      CASE
        WHEN f.rule = 'no_tenant_column'
          THEN '/* give it the column and protect() it, or exempt() it with the reason why it belongs to no tenant */'
        WHEN f.rule = 'matview' THEN format('REVOKE ALL ON %s FROM %s;', r.full_name, r.grantees)
        WHEN f.rule = 'rls_off' AND r.oid IN (SELECT oid FROM odd_type)
          THEN '/* give the tenant column one of the types that tenant_type names, and protect() the table */'
        ELSE f.remedy END AS remedy
    FROM rls_tenant.relation_findings() f JOIN relation r ON r.oid = f.relation
    WHERE f.rule NOT IN ('child_unprotected', 'matview') OR r.grantees IS NOT NULL
    UNION ALL
    SELECT 'tenant_type', NULL, o.oid,
      format('column %I is of type %s', o.attname, format_type(o.atttypid, o.atttypmod)),
      '/* use uuid, bigint, integer, smallint, text or varchar */'
    FROM odd_type o
    UNION ALL
    SELECT 'foreign_table', NULL, r.oid, 'row-level security cannot hold its readers: ' || r.grantees,
      format('REVOKE ALL ON %s FROM %s;', r.full_name, r.grantees)
    FROM relation r
    WHERE r.relkind = 'f' AND r.grantees IS NOT NULL AND r.has_tenant_column
    UNION ALL
    SELECT DISTINCT 'published', NULL, r.oid,
      format('publication %I carries it to its subscribers without a row filter', p.pubname),
      CASE WHEN pr.oid IS NOT NULL THEN format('ALTER PUBLICATION %I DROP TABLE %s;', p.pubname, r.full_name)
        ELSE '/* name the tables of the publication one by one, with WHERE; or exempt those that are to be published '
             'whole */' END
    FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
    JOIN tenant t ON t.oid = c.oid JOIN pg_publication b ON b.pubname = p.pubname
    -- A partition is published by itself, or by way of one of those above it.
    LEFT JOIN LATERAL (
      SELECT pr.oid, pr.prrelid FROM pg_publication_rel pr
      WHERE pr.prpubid = b.oid
        AND (pr.prrelid = c.oid OR pr.prrelid IN (SELECT a.relid FROM pg_partition_ancestors(c.oid) a))
      ORDER BY pr.prrelid = c.oid DESC LIMIT 1) pr ON true
    JOIN relation r ON r.oid = coalesce(pr.prrelid, pg_partition_root(c.oid), c.oid)
    WHERE p.rowfilter IS NULL
    UNION ALL
    SELECT 'exempt_but_tenant', NULL, r.oid,
      format('exempt (%s), and it has the column %I', e.reason, rls_tenant.usual_tenant_column()),
      CASE WHEN r.oid NOT IN (SELECT oid FROM odd_type) AND 1 = (
            SELECT count(*) FROM relation o WHERE o.nspname = e.schema_name AND o.relname LIKE e.relation_pattern)
          THEN format('DELETE FROM rls_tenant.exemption WHERE schema_name = %L AND relation_pattern = %L; '
                      'SELECT rls_tenant.protect(%L);', e.schema_name, e.relation_pattern, r.full_name)
        ELSE '/* exempt the other tables by narrower patterns, DELETE this one from rls_tenant.exemption, and '
             'protect() the table */' END
    FROM relation r JOIN rls_tenant.exemption e ON e.schema_name = r.nspname AND r.relname LIKE e.relation_pattern
    WHERE r.relkind IN ('r', 'p') AND r.has_tenant_column
      AND (e.rules IS NULL OR e.rules && '{rls_off,rls_off_with_policies,rls_not_forced,not_confined,always_true,'
                                         'null_matches,no_tenant_column}')
      -- Membership sources have the column by their nature, and so have the tables that their views read.
      AND r.oid NOT IN (SELECT s.relation FROM rls_tenant.source_relations() s))
  SELECT f.rule, f.severity, r.kind, r.nspname, r.relname, r.full_name, f.finding, f.remedy
  FROM found f JOIN relation r USING (oid)
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_relations() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_relations() IS 'part of audit(): tables, views and the expressions of policies';
