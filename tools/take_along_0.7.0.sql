-- What of a database depends on rls_tenant 0.7.0, as statements that make it again under 1.0.0 (doc/operations.md). It
-- changes nothing:
--   psql -XAtq -d DATABASE -f tools/take_along_0.7.0.sql >again.sql

\set ON_ERROR_STOP 1
SET search_path = pg_catalog, pg_temp;

-- What cannot be taken along by itself is refused here, before anything is dropped.
DO $$
DECLARE
  others text;
BEGIN
  SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO others
  FROM pg_depend m
  JOIN pg_depend d ON (d.refclassid, d.refobjid) = (m.classid, m.objid) AND d.deptype = 'n'
  WHERE m.deptype = 'e' AND m.refclassid = 'pg_extension'::regclass
    AND m.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'rls_tenant')
    AND d.classid NOT IN ('pg_policy'::regclass, 'pg_attrdef'::regclass, 'pg_trigger'::regclass)
    AND NOT EXISTS (SELECT FROM pg_depend o WHERE (o.classid, o.objid) = (d.classid, d.objid) AND o.deptype = 'e')
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
                      AND c.connamespace = 'rls_tenant'::regnamespace);
  IF others IS NOT NULL THEN
    RAISE EXCEPTION 'more than policies, defaults and triggers depends on rls_tenant'
      USING DETAIL = others, HINT = 'Drop it before, and make it again afterwards.';
  END IF;
END
$$;

CREATE TEMP VIEW member AS
SELECT classid, objid FROM pg_depend
WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'rls_tenant');

CREATE TEMP VIEW dependent AS
SELECT DISTINCT d.classid, d.objid FROM pg_depend d JOIN member m ON (m.classid, m.objid) = (d.refclassid, d.refobjid);

-- Defaults, without those of partitions: they have their own, which is printed, too.
SELECT format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s;', a.adrelid::regclass, c.attname, pg_get_expr(a.adbin, a.adrelid))
FROM dependent d JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
JOIN pg_attribute c ON c.attrelid = a.adrelid AND c.attnum = a.adnum
WHERE (SELECT relnamespace FROM pg_class WHERE oid = a.adrelid) <> 'rls_tenant'::regnamespace
ORDER BY a.adrelid::regclass::text, c.attnum;

SELECT replace(format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s;', p.polname, p.polrelid::regclass,
    CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) r),
    ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
  'rls_tenant.isolated()', 'rls_tenant.with_tenant_isolation()')
FROM dependent d JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
WHERE (SELECT relnamespace FROM pg_class WHERE oid = p.polrelid) <> 'rls_tenant'::regnamespace
ORDER BY p.polrelid::regclass::text, p.polname;

-- Sources before the triggers on their tables.
SELECT format('INSERT INTO rls_tenant.membership_source VALUES (%L, %L, %L, %L, %L, %L);', name, relation::text, user_column, group_column,
  role_column, active)
FROM rls_tenant.membership_source ORDER BY name;

SELECT pg_get_triggerdef(t.oid) || ';' || CASE t.tgenabled WHEN 'O' THEN '' ELSE format(' ALTER TABLE %s %s TRIGGER %I;', t.tgrelid::regclass,
  CASE t.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'DISABLE' END, t.tgname) END
FROM dependent d JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
WHERE NOT t.tgisinternal AND t.tgparentid = 0
  AND (SELECT relnamespace FROM pg_class WHERE oid = t.tgrelid) <> 'rls_tenant'::regnamespace
ORDER BY t.tgrelid::regclass::text, t.tgname;

SELECT format('INSERT INTO rls_tenant.exemption VALUES (%L, %L, %L, %L, %L, %L, %L);', schema_name, relation_pattern, rules, reason, added_by,
  added_at, baseline)
FROM rls_tenant.exemption ORDER BY schema_name, relation_pattern;
