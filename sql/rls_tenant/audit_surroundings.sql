-- Part of audit(): functions, constraints, privileges, statistics around tenant tables.

CREATE FUNCTION rls_tenant.audit_surroundings(OUT rule text, OUT severity text, OUT object_type text,
  OUT schema_name name, OUT object_name name, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH tenant AS MATERIALIZED (SELECT * FROM rls_tenant.tenant_relations()),
  application AS MATERIALIZED (SELECT oid FROM rls_tenant.application_roles() a(oid)),
  definer AS MATERIALIZED (
    SELECT f.*, n.nspname, f.oid::regprocedure::text AS full_name, l.lanname,
      (SELECT substr(c, 13) FROM unnest(f.proconfig) c WHERE c LIKE 'search\_path=%') AS path,
      CASE f.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind, o.rolsuper OR o.rolbypassrls AS passes,
      -- A line that is a comment names nothing.
      regexp_replace(coalesce(pg_get_function_sqlbody(f.oid), f.prosrc), '^\s*--.*$', '', 'gn') AS body
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang
    JOIN pg_roles o ON o.oid = f.proowner
    WHERE f.prosecdef AND f.oid >= 16384 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'rls_tenant')
      AND NOT rls_tenant.of_extension('pg_proc', f.oid)),
  word AS (
    SELECT d.oid, w.word FROM definer d CROSS JOIN LATERAL regexp_split_to_table(lower(d.body), '[^\w$]+') w(word)),
  statistic AS (
    -- Without a target nothing is gathered; what had been gathered goes with the index.
    SELECT t.oid AS relation, 'index' AS kind, i.indexrelid::regclass::text AS name,
      CASE WHEN x.relkind = 'i' AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
          THEN format('DROP INDEX %s; %s; %s', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), (
            SELECT string_agg(format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS 0;', i.indexrelid::regclass,
              a.attnum), ' ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND i.indkey[a.attnum - 1] = 0))
        ELSE '/* make the index again, and SET STATISTICS 0 for the columns that are expressions, of each part of it */'
        END AS remedy
    FROM tenant t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indexprs IS NOT NULL AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
      AND (x.relkind = 'I'
        OR EXISTS (SELECT FROM pg_attribute a
                   WHERE a.attrelid = i.indexrelid AND a.attnum <= i.indnkeyatts AND i.indkey[a.attnum - 1] = 0
                     AND a.attstattarget IS DISTINCT FROM 0)
        OR EXISTS (SELECT FROM pg_statistic g WHERE g.starelid = i.indexrelid))
    UNION ALL
    SELECT t.oid, 'statistics', format('%I.%I', n.nspname, s.stxname),
      format('DROP STATISTICS %I.%I;', n.nspname, s.stxname)
    FROM tenant t JOIN pg_statistic_ext s ON s.stxrelid = t.oid JOIN pg_namespace n ON n.oid = s.stxnamespace
    WHERE s.stxexprs IS NOT NULL),
  local_mapping AS (
    SELECT m.umuser, m.usename, s.srvname, w.fdwname,
      (SELECT split_part(o, '=', 2) FROM unnest(m.umoptions) o WHERE o LIKE 'user=%') AS remote,
      w.fdwname = 'postgres_fdw'
        AND coalesce((SELECT substr(o, 8) FROM unnest(s.srvoptions) o WHERE o LIKE 'dbname=%'),
          current_database()) = current_database()
        AND coalesce((SELECT substr(o, 6) FROM unnest(s.srvoptions) o WHERE o LIKE 'port=%'),
          current_setting('port')) = current_setting('port')
        AND coalesce((SELECT substr(o, 6) FROM unnest(s.srvoptions) o WHERE o LIKE 'host=%'), '')
          ~ '^(|localhost|127\..*|::1|/.*)$' AS here
    FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid
    JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
    WHERE m.umuser IN (SELECT oid FROM application) OR (m.umuser = 0 AND EXISTS (SELECT FROM application)))
  SELECT 'definer_function', NULL::text, d.kind, d.nspname, d.proname, d.full_name,
    format('it runs as %I, to whom no policy applies, and names %s', pg_get_userbyid(d.proowner),
      string_agg(DISTINCT t.full_name, ', ')),
    format('ALTER %s %s SECURITY INVOKER;', upper(d.kind), d.full_name)
  FROM definer d JOIN tenant t ON EXISTS (SELECT FROM word w WHERE w.oid = d.oid AND w.word = lower(t.relname))
    OR (t.relname !~ '^[\w$]+$' AND strpos(d.body, t.relname) > 0)
  WHERE (d.passes OR (NOT t.forced AND pg_has_role(d.proowner, t.relowner, 'USAGE')))
    AND d.prorettype <> 'event_trigger'::regtype
    -- Who makes a trigger fire needs no right to execute its function.
    AND CASE WHEN d.prorettype = 'trigger'::regtype THEN EXISTS (
        SELECT FROM pg_trigger g CROSS JOIN application a
        WHERE g.tgfoid = d.oid AND g.tgenabled <> 'D'
          AND (has_table_privilege(a.oid, g.tgrelid, 'INSERT, UPDATE, DELETE, TRUNCATE')
            OR has_any_column_privilege(a.oid, g.tgrelid, 'INSERT, UPDATE')))
      ELSE EXISTS (SELECT FROM application a WHERE has_function_privilege(a.oid, d.oid, 'EXECUTE')) END
  GROUP BY d.oid, d.kind, d.nspname, d.proname, d.full_name, d.proowner
  UNION ALL
  SELECT 'definer_search_path', NULL, d.kind, d.nspname, d.proname, d.full_name,
    CASE WHEN d.path IS NULL THEN 'it runs with its owner''s rights and the caller''s search_path'
      ELSE 'its search_path does not end in pg_temp, so that temporary tables come first' END,
    format('ALTER %s %s SET search_path = %s, pg_temp;', upper(d.kind), d.full_name,
      CASE WHEN d.path IN ('', '""') THEN 'pg_catalog'
        WHEN d.path IS NULL THEN format('pg_catalog, %I', d.nspname)
        ELSE regexp_replace(d.path, '(^|,\s*)"?pg_temp"?(?=\s*,)\s*,?', '\1', 'g') END)
  FROM definer d
  WHERE d.prosqlbody IS NULL AND d.lanname NOT IN ('c', 'internal')
    AND (d.path IS NULL OR d.path !~ '(^|,)\s*"?pg_temp"?\s*$')
  UNION ALL
  SELECT 'rule_rewrite', NULL, 'rule', n.nspname, c.relname, format('%I on %I.%I', r.rulename, n.nspname, c.relname),
    format('it reads or writes %s with the rights of the owner of %I.%I', string_agg(DISTINCT t.full_name, ', '),
      n.nspname, c.relname),
    format('DROP RULE %I ON %I.%I;', r.rulename, n.nspname, c.relname)
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
  JOIN tenant t ON t.oid = d.refobjid
  WHERE r.rulename <> '_RETURN' AND t.oid <> c.oid AND c.oid NOT IN (SELECT oid FROM tenant)
    AND NOT rls_tenant.of_extension('pg_class', c.oid)
  GROUP BY r.oid, r.rulename, n.nspname, c.relname
  UNION ALL
  SELECT 'fk_from_exempt', NULL, 'table', n.nspname, c.relname, format('%I.%I', n.nspname, c.relname),
    format('foreign key %I tells whether rows of %s exist, whoever''s they are', f.conname, t.full_name),
    '/* give the table the tenant column, and the key with it; or drop the key */'
  FROM pg_constraint f JOIN tenant t ON t.oid = f.confrelid
  JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE f.contype = 'f' AND f.conparentid = 0 AND c.oid NOT IN (SELECT oid FROM tenant)
    AND c.oid NOT IN (SELECT s.relation::oid FROM rls_tenant.membership_source s)
    AND EXISTS (SELECT FROM application a WHERE has_any_column_privilege(a.oid, c.oid, 'INSERT, UPDATE'))
  UNION ALL
  SELECT 'unique_oracle', NULL, 'table', u.nspname, u.relname, u.full_name,
    format('%s leaves %I out: a refused row tells of another tenant''s',
      coalesce('constraint ' || quote_ident(u.conname), 'index ' || quote_ident(u.index_name)), u.tenant_column),
    CASE
      WHEN u.contype IN ('p', 'u')
          AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = u.indexrelid)
        THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s;', u.full_name, u.conname,
          regexp_replace(u.constraint_definition, '\(',
            format('(%s, ', replace(quote_ident(u.tenant_column), '\', '\\'))))
      WHEN u.contype IS NULL AND starts_with(u.index_definition, u.index_head)
        THEN format('DROP INDEX %s; %s%I, %s;', u.indexrelid::regclass, u.index_head, u.tenant_column,
          substr(u.index_definition, length(u.index_head) + 1))
      ELSE '/* put the tenant column first into the key, and into the foreign keys that refer to it */' END
  FROM (
    SELECT t.*, i.indexrelid, k.conname, k.contype, x.relname AS index_name,
      pg_get_constraintdef(k.oid) AS constraint_definition, pg_get_indexdef(i.indexrelid) AS index_definition,
      format('CREATE UNIQUE INDEX %I ON %s%s USING %s (', x.relname, CASE x.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END,
        t.full_name, m.amname) AS index_head
    FROM tenant t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_am m ON m.oid = x.relam
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
    WHERE (i.indisunique OR i.indisexclusion) AND t.ancestor IS NULL AND t.tenant_attribute IS NOT NULL
      AND t.tenant_attribute <> ALL ((i.indkey::int2[])[0:i.indnkeyatts - 1])
      -- A key with a generated column tells nothing; nor does a uuid that refers to nothing, which nobody guesses.
      AND NOT EXISTS (
        SELECT FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = t.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
          AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\(|uuid'
            OR (a.atttypid = 'uuid'::regtype AND NOT EXISTS (
              SELECT FROM pg_constraint f
              WHERE f.contype = 'f' AND f.conrelid = t.oid AND a.attnum = ANY (f.conkey)))))) u
  UNION ALL
  SELECT CASE g.privilege WHEN 'TRUNCATE' THEN 'truncate_grant' WHEN 'REFERENCES' THEN 'references_grant'
      ELSE 'trigger_grant' END, NULL, 'table', t.nspname, t.relname, t.full_name,
    format('%s granted to %s', g.privilege, string_agg(g.grantees, ', ' ORDER BY g.grantees)),
    string_agg(rls_tenant.revoke_as(g.grantor, t.relowner, g.privilege, t.full_name, g.grantees, g.grantable), ' ')
  FROM (
    SELECT g.relation, g.privilege, g.grantor,
      string_agg(DISTINCT rls_tenant.grantee_name(g.grantee), ', ') AS grantees, bool_or(g.grantable) AS grantable
    FROM rls_tenant.tenant_grants() g
    WHERE g.privilege IN ('TRUNCATE', 'REFERENCES', 'TRIGGER')
      AND g.grantee IN (SELECT rls_tenant.application_grantees())
    GROUP BY g.relation, g.privilege, g.grantor) g JOIN tenant t ON t.oid = g.relation
  GROUP BY g.privilege, t.nspname, t.relname, t.full_name
  UNION ALL
  SELECT 'leakproof_function', NULL, 'function', n.nspname, f.proname, f.oid::regprocedure::text,
    'it is marked LEAKPROOF, so that it may see rows before policies hide them',
    format('ALTER FUNCTION %s NOT LEAKPROOF;', f.oid::regprocedure)
  FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
  -- What PostgreSQL marks so itself was written by transaction 1, at initdb. A change of its privileges writes it
  -- again, too.
  WHERE f.proleakproof AND n.nspname <> 'rls_tenant' AND (f.oid >= 16384 OR (f.xmin <> '1'::xid AND f.proacl IS NULL))
  UNION ALL
  SELECT 'expression_statistics', NULL, s.kind, t.nspname, t.relname, s.name,
    format('its statistics show values of all tenants of %s to its owner', t.full_name), s.remedy
  FROM statistic s JOIN tenant t ON t.oid = s.relation
  UNION ALL
  SELECT 'fdw_mapping', CASE WHEN NOT m.here OR r.oid IS NULL OR NOT (r.rolsuper OR r.rolbypassrls) THEN 'note' END,
    'user mapping', '*', m.srvname, format('%s on server %I', m.usename, m.srvname),
    CASE
      WHEN m.here AND (r.rolsuper OR r.rolbypassrls)
        THEN format('it leads back into this database as %I, to whom no policy applies', m.remote)
      WHEN m.here AND r.oid IS NOT NULL THEN format('it leads back into this database as %I', m.remote)
      ELSE format('it leads to the role %s elsewhere; whether policies apply to it there cannot be seen from here',
        coalesce(quote_ident(m.remote), '(not named)')) END,
    CASE WHEN m.here AND (r.rolsuper OR r.rolbypassrls)
        THEN format('DROP USER MAPPING FOR %s SERVER %I;', rls_tenant.grantee_name(m.umuser), m.srvname)
      ELSE '/* make sure on the remote server that policies apply to this role */' END
  FROM local_mapping m LEFT JOIN pg_roles r ON r.rolname = m.remote AND m.here
  UNION ALL
  SELECT 'pinned_context', NULL, s.object_type, '*', s.object_name, s.object,
    format('its sessions start with %s', s.setting), s.remedy
  FROM rls_tenant.stored_settings() s WHERE s.setting ~ '^rls_tenant\.(tenant|account|user)_id='
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_surroundings() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_surroundings() IS
  'part of audit(): functions, constraints, privileges, statistics and mappings around tenant tables';
