-- What of a database depends on rls_tenant 0.7.0, as statements that make it again under 1.0.0 (doc/operations.md). It
-- changes nothing:
--   psql -XAtq -d DATABASE -f tools/take_along_0.7.0.sql >again.sql

\set ON_ERROR_STOP 1
SET search_path = pg_catalog, pg_temp;

CREATE TEMP VIEW member AS  -- what belongs to the extensions, and they themselves
SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND e.extname IN ('rls_tenant', 'rls_tenant_tap')
UNION ALL
SELECT 'pg_extension'::regclass, oid FROM pg_extension WHERE extname IN ('rls_tenant', 'rls_tenant_tap');

CREATE TEMP VIEW dependent AS  -- what DROP EXTENSION ... CASCADE drops beside them
SELECT DISTINCT d.classid, d.objid, d.objsubid
FROM member m JOIN pg_depend d ON (d.refclassid, d.refobjid) = (m.classid, m.objid) AND d.deptype IN ('n', 'a', 'x')
WHERE (d.classid, d.objid) NOT IN (SELECT classid, objid FROM member)
  -- What belongs to a table of theirs: defaults, constraints, policies, triggers.
  AND NOT EXISTS (
    SELECT FROM pg_depend p JOIN member o ON (o.classid, o.objid) = (p.refclassid, p.refobjid)
    WHERE (p.classid, p.objid) = (d.classid, d.objid) AND p.deptype IN ('a', 'i') AND o.classid = 'pg_class'::regclass);

-- What cannot be taken along is refused here, before anything is dropped.
DO $$
DECLARE
  others text;
BEGIN
  SELECT string_agg(DISTINCT pg_describe_object(classid, objid, objsubid), ', ') INTO others
  FROM dependent WHERE classid NOT IN ('pg_policy'::regclass, 'pg_attrdef'::regclass, 'pg_trigger'::regclass);
  IF others IS NOT NULL THEN
    RAISE EXCEPTION 'more than policies, defaults and triggers depends on rls_tenant'
      USING DETAIL = others, HINT = 'Drop it before, and create it again afterwards.';
  END IF;
END
$$;

-- ONLY: a partition or child may have a default of another kind.
SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s;', a.adrelid::regclass, c.attname,
  pg_get_expr(a.adbin, a.adrelid))
FROM dependent d JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
JOIN pg_attribute c ON c.attrelid = a.adrelid AND c.attnum = a.adnum
ORDER BY a.adrelid::regclass::text, c.attnum;

SELECT replace(format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s;', p.polname, p.polrelid::regclass,
    CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
      ELSE 'ALL' END,
    (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
     FROM unnest(p.polroles) r),
    ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
    ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
  'rls_tenant.isolated()', 'rls_tenant.with_tenant_isolation()')
  || coalesce(format(' COMMENT ON POLICY %I ON %s IS %L;', p.polname, p.polrelid::regclass,
    obj_description(p.oid, 'pg_policy')), '')
FROM dependent d JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
ORDER BY p.polrelid::regclass::text, p.polname;

-- Sources before the triggers on their tables.
SELECT format('INSERT INTO rls_tenant.membership_source VALUES (%L, %L, %L, %L, %L, %L);', name, relation::text,
  user_column, group_column, role_column, active)
FROM rls_tenant.membership_source ORDER BY name;

SELECT pg_get_triggerdef(t.oid) || ';' || CASE t.tgenabled WHEN 'O' THEN ''
  ELSE format(' ALTER TABLE %s %s TRIGGER %I;', t.tgrelid::regclass,
    CASE t.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'DISABLE' END, t.tgname) END
  || coalesce(format(' COMMENT ON TRIGGER %I ON %s IS %L;', t.tgname, t.tgrelid::regclass,
    obj_description(t.oid, 'pg_trigger')), '')
FROM dependent d JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
WHERE NOT t.tgisinternal AND t.tgparentid = 0
ORDER BY t.tgrelid::regclass::text, t.tgname;

SELECT format('INSERT INTO rls_tenant.exemption VALUES (%L, %L, %L, %L, %L, %L, %L);', schema_name, relation_pattern,
  rules, reason, added_by, added_at, baseline)
FROM rls_tenant.exemption ORDER BY schema_name, relation_pattern;

-- Who was granted functions that CREATE EXTENSION grants to nobody.
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %s%s;',
  replace(f.oid::regprocedure::text, 'rls_tenant.guard_status()', 'rls_tenant.status()'),
  CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM member m JOIN pg_proc f ON m.classid = 'pg_proc'::regclass AND f.oid = m.objid
LEFT JOIN pg_init_privs i ON (i.classoid, i.objoid) = (m.classid, m.objid), aclexplode(f.proacl) a
WHERE f.pronamespace = 'rls_tenant'::regnamespace AND a.grantee NOT IN (
  SELECT o.grantee FROM aclexplode(coalesce(i.initprivs, acldefault('f', f.proowner))) o)
ORDER BY f.oid::regprocedure::text, a.grantee;

SELECT format('CREATE EXTENSION rls_tenant_tap SCHEMA %I;', n.nspname)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'rls_tenant_tap';
