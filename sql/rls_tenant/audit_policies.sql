-- Part of audit(): what policies call and read.

CREATE FUNCTION rls_tenant.audit_policies(OUT rule text, OUT severity text, OUT object_type text, OUT schema_name name,
  OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE policy AS MATERIALIZED (
    SELECT p.*, c.relname, c.relowner, n.nspname, format('%I.%I', n.nspname, c.relname) AS full_name, n.nspowner,
      CASE WHEN n.nspowner = 'pg_database_owner'::regrole
        THEN (SELECT datdba FROM pg_database WHERE datname = current_database()) END AS database_owner
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT rls_tenant.of_extension('pg_class', c.oid)),
  helper AS MATERIALIZED (  -- functions of users that policies call
    SELECT DISTINCT p.oid AS policy, d.refobjid AS function, NULL::oid AS operator
    FROM policy p
    JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
    UNION
    SELECT p.oid, o.oprcode, o.oid
    FROM policy p
    JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_operator'::regclass
    JOIN pg_operator o ON o.oid = d.refobjid),
  function AS MATERIALIZED (
    SELECT f.*, n.nspname, f.oid::regprocedure::text AS full_name, l.lanname,
      coalesce(pg_get_function_sqlbody(f.oid), f.prosrc) AS body,
      EXISTS (SELECT FROM unnest(f.proconfig) c WHERE c LIKE 'search\_path=%') AS has_path
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'rls_tenant')
      AND NOT rls_tenant.of_extension('pg_proc', f.oid)),
  use AS (  -- where a function that reads a setting must not be taken for immutable
    SELECT h.function, format('policy %I on %s', p.polname, p.full_name) AS where_used, false AS index
    FROM helper h JOIN policy p ON p.oid = h.policy
    UNION ALL
    SELECT d.refobjid,
      CASE WHEN i.indexrelid IS NOT NULL THEN format('index %s', d.objid::regclass)
        ELSE format('a default of %s', a.adrelid::regclass) END,
      i.indexrelid IS NOT NULL
    FROM pg_depend d LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
    LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
    WHERE d.refclassid = 'pg_proc'::regclass AND (i.indexrelid IS NOT NULL OR a.oid IS NOT NULL)),
  setting(pattern) AS (VALUES (
    '\m(current_setting|tenant_setting|account_setting|user_setting)\M'
    '|\mcurrent_(tenant|account|user)_(uuid|bigint|text)\M'
    '|\m(is_member|has_role|member_role|member_groups_\w+)\M')),
  reader AS MATERIALIZED (  -- functions that read a setting, as others call them
    SELECT f.oid, '\m' || f.proname || '\s*\(' AS word FROM function f CROSS JOIN setting r
    WHERE f.body ~* r.pattern AND f.proname ~ '^\w+$'),
  reads AS MATERIALIZED (
    SELECT DISTINCT p.polrelid AS relation, r.reads::oid AS reads
    FROM (SELECT DISTINCT polrelid FROM policy) p CROSS JOIN LATERAL rls_tenant.policy_reads(p.polrelid) r),
  reach(relation, reads) AS (
    SELECT relation, reads FROM reads
    UNION
    SELECT a.relation, b.reads FROM reach a JOIN reads b ON b.relation = a.reads)
  SELECT 'immutable_setting', NULL::text, 'function', f.nspname, f.proname, f.full_name,
    format('it is labelled IMMUTABLE, reads a setting, and is used by %s', string_agg(DISTINCT u.where_used, ', ')),
    CASE WHEN bool_or(u.index)
        THEN '/* no index can depend on a setting: drop the index, and label the function STABLE */'
      ELSE format('ALTER FUNCTION %s STABLE;', f.full_name) END
  FROM use u JOIN function f ON f.oid = u.function CROSS JOIN setting r
  WHERE f.provolatile = 'i'
    AND (f.body ~* r.pattern OR EXISTS (SELECT FROM reader WHERE reader.oid <> f.oid AND f.body ~* reader.word))
  GROUP BY f.oid, f.nspname, f.proname, f.full_name
  UNION ALL
  SELECT 'foreign_operator', NULL, 'policy', p.nspname, p.relname, format('%I on %s', p.polname, p.full_name),
    format('it calls %s, which belongs to %I', coalesce('operator ' || h.operator::regoperator::text, f.full_name),
      pg_get_userbyid(coalesce(o.oprowner, f.proowner))),
    CASE WHEN h.operator IS NULL THEN format('ALTER FUNCTION %s OWNER TO %I;', f.full_name, pg_get_userbyid(p.relowner))
      ELSE format('ALTER OPERATOR %s OWNER TO %I; ALTER FUNCTION %s OWNER TO %2$I;', h.operator::regoperator,
        pg_get_userbyid(p.relowner), f.full_name) END
  FROM helper h JOIN policy p ON p.oid = h.policy JOIN function f ON f.oid = h.function
  LEFT JOIN pg_operator o ON o.oid = h.operator
  WHERE EXISTS (SELECT FROM unnest(ARRAY[f.proowner, o.oprowner]) w(owner) JOIN pg_roles r ON r.oid = w.owner
                WHERE NOT r.rolsuper AND w.owner NOT IN (p.relowner, p.nspowner)
                  AND w.owner IS DISTINCT FROM p.database_owner)
  UNION ALL
  SELECT 'search_path_helper', NULL, 'function', f.nspname, f.proname, f.full_name,
    format('names in its body mean what the caller''s search_path says; called by %s',
      string_agg(DISTINCT format('policy %I on %s', p.polname, p.full_name), ', ')),
    format('ALTER FUNCTION %s SET search_path = pg_catalog, %s pg_temp;', f.full_name,
      CASE WHEN f.nspname = 'pg_catalog' THEN '' ELSE format('%I,', f.nspname) END)
  FROM helper h JOIN policy p ON p.oid = h.policy JOIN function f ON f.oid = h.function
  WHERE NOT f.has_path AND f.prosqlbody IS NULL AND f.lanname NOT IN ('c', 'internal')
  GROUP BY f.oid, f.nspname, f.proname, f.full_name
  UNION ALL
  SELECT 'recursive_policy', NULL, 'table', n.nspname, c.relname, format('%I.%I', n.nspname, c.relname),
    'its policies read it again' || coalesce(', by way of ' || (
      SELECT string_agg(DISTINCT r.reads::regclass::text, ', ')
      FROM reads r JOIN reach b ON b.relation = r.reads AND b.reads = c.oid
      WHERE r.relation = c.oid AND r.reads <> c.oid), ''),
    '/* ask one of the tables by is_member(), or by a function that its owner makes SECURITY DEFINER */'
  FROM reach JOIN pg_class c ON c.oid = reach.relation JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE reach.relation = reach.reads
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_policies() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_policies() IS 'part of audit(): what policies call and read';
