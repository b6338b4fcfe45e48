-- Part of audit(): indexes, membership sources, and policies that cost more than they need to.

CREATE FUNCTION rls_tenant.audit_speed(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name,
  OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH tenant AS MATERIALIZED (SELECT * FROM rls_tenant.tenant_relations()),
  source AS MATERIALIZED (
    SELECT s.name, s.user_column, c.oid, c.relname, c.relkind, n.nspname,
      format('%I.%I', n.nspname, c.relname) AS full_name
    FROM rls_tenant.membership_source s
    JOIN pg_class c ON c.oid = s.relation JOIN pg_namespace n ON n.oid = c.relnamespace),
  written AS (
    SELECT s.source, c.oid, c.relname, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name,
      string_agg(DISTINCT g.privilege, ', ') AS privileges,
      string_agg(DISTINCT rls_tenant.grantee_name(g.grantee), ', ') AS grantees
    FROM rls_tenant.source_relations() s
    JOIN pg_class c ON c.oid = s.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL rls_tenant.grants_on(c.oid) g
    WHERE c.relkind IN ('r', 'p', 'v') AND NOT c.relrowsecurity AND g.privilege IN ('INSERT', 'UPDATE', 'DELETE')
      AND g.grantee IN (SELECT rls_tenant.application_grantees())
    GROUP BY s.source, c.oid, c.relname, n.nspname),
  permissive AS (
    SELECT p.polrelid, p.polname, r.role, c.command
    FROM pg_policy p CROSS JOIN LATERAL unnest(p.polroles) r(role)
    CROSS JOIN LATERAL unnest(CASE p.polcmd WHEN '*' THEN '{r,a,w,d}' ELSE ARRAY[p.polcmd]::text[] END) c(command)
    -- Of a table with public rows tenant_public is one of two that protect() makes.
    WHERE p.polpermissive AND CASE WHEN p.polname = 'tenant_public'
      THEN rls_tenant.public_condition(p.polrelid) IS NULL ELSE true END),
  several AS (
    SELECT p.polrelid, array_agg(DISTINCT q.polname) AS names, p.command
    FROM permissive p JOIN permissive q ON q.polrelid = p.polrelid AND q.command = p.command
      AND (q.role = p.role OR q.role = 0 OR p.role = 0)
    GROUP BY p.polrelid, p.polname, p.role, p.command HAVING count(DISTINCT q.polname) > 1)
  SELECT 'writable_membership', NULL::text, 'table', w.nspname, w.relname, w.full_name,
    format('%s may %s it, and no policy says which rows; membership source "%s" reads it', w.grantees, w.privileges,
      w.source),
    format('REVOKE %s ON %s FROM %s;', w.privileges, w.full_name, w.grantees)
  FROM written w
  UNION ALL
  SELECT 'no_tenant_index', NULL, 'table', t.nspname, t.relname, t.full_name,
    format('no index leads with %I', t.tenant_column),
    CASE WHEN t.attgenerated = 'v'
        THEN '/* make the tenant column a stored one: no index can hold a virtual generated column */'
      ELSE format('CREATE INDEX ON %s (%I);', t.full_name, t.tenant_column) END
  FROM tenant t
  WHERE t.ancestor IS NULL AND t.tenant_attribute IS NOT NULL
    AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid)  -- else protect() will make one
    AND NOT EXISTS (
      SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
      WHERE i.indrelid = t.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = t.tenant_attribute
        AND m.amname = 'btree')
  UNION ALL
  SELECT 'membership_index', NULL, 'table', s.nspname, s.relname, s.full_name,
    format('no index leads with %I, by which membership source "%s" looks a user up', s.user_column, s.name),
    format('CREATE INDEX ON %s (%I);', s.full_name, s.user_column)
  FROM source s JOIN pg_attribute a ON a.attrelid = s.oid AND a.attname = s.user_column
  WHERE s.relkind IN ('r', 'p') AND NOT EXISTS (
    SELECT FROM pg_index i
    WHERE i.indrelid = s.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum)
  UNION ALL
  SELECT 'many_permissive', NULL, 'table', n.nspname, c.relname, format('%I.%I', n.nspname, c.relname),
    format('policies %s are all asked for one command and role', array_to_string(s.names, ', ')),
    '/* join them by OR in one policy */'
  FROM (SELECT DISTINCT polrelid, names FROM several) s
  JOIN pg_class c ON c.oid = s.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT rls_tenant.of_extension('pg_class', c.oid)
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_speed() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_speed() IS
  'part of audit(): indexes, membership sources, and policies that are many';
