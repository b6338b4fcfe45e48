-- Trying
--
-- A stage is what the attempts on a relation have in common, as jsonb:
--   relation, column   the relation's qualified name and its tenant column's, quoted
--   role, caller, path the role that tries; the setting role of the caller, and its search_path
--   sees_all           whether the caller sees all rows: it then looks at what an attempt has done; else the tenant
--                      itself does
--   superuser          whether the caller can switch off triggers
--   member             whether the relation's policies ask for memberships: then rows of more tenants than one's own
--                      may be seen
--   kind, row, insert, update, key, default, identity, may: what statements can be made, see _tenant_stage()
CREATE FUNCTION @extschema@._tenant_stage(relation regclass, as_role name, tenant_column name, caller_path text)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  class pg_class;
  role pg_roles;
  tried name := coalesce(as_role, current_user);
  chosen name := tenant_column;
  stage jsonb;
BEGIN
  PERFORM @extschema@._tenant_unbind();
  SELECT * INTO class FROM pg_class WHERE oid = relation;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no relation to test'
      USING ERRCODE = 'null_value_not_allowed', HINT = 'Name a table or view: tenant_isolated(''invoice'').';
  END IF;
  SELECT * INTO role FROM pg_roles WHERE rolname = tried;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'role "%" does not exist', tried
      USING ERRCODE = 'undefined_object', HINT = 'Name the role of the application: as_role => ''web''.';
  ELSIF role.rolsuper OR role.rolbypassrls THEN
    RAISE EXCEPTION 'role "%" bypasses row-level security, so nothing can be tested as it', tried
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It is a superuser, or has BYPASSRLS.',
        HINT = 'Name the role of the application: as_role => ''web''.';
  END IF;
  -- Here, since an attempt would take the refusal for one of a policy.
  BEGIN
    PERFORM set_config('role', tried, true);
    RAISE EXCEPTION USING ERRCODE = 'RTTAP';
  EXCEPTION WHEN SQLSTATE 'RTTAP' THEN NULL;
  END;
  -- The usual name first: a policy that confines another column must be seen to be wrong.
  IF chosen IS NULL THEN
    SELECT attname INTO chosen FROM pg_attribute
    WHERE attrelid = relation AND attname = current_setting('rls_tenant.tenant_column') AND attnum > 0
      AND NOT attisdropped;
  END IF;
  IF chosen IS NULL THEN
    SELECT t.tenant_column INTO chosen FROM rls_tenant.tenant_tables() t WHERE t.relation = $1;
  END IF;
  IF chosen IS NULL OR NOT EXISTS (
      SELECT FROM pg_attribute WHERE attrelid = relation AND attname = chosen AND attnum > 0 AND NOT attisdropped) THEN
    RAISE EXCEPTION '% has no tenant column%', relation, coalesce(' "' || chosen || '"', '')
      USING ERRCODE = 'undefined_column',
        HINT = 'Name it: tenant_column => ''…''. A table that belongs to tenants through another is tested by '
               'policies_confine().';
  END IF;
  IF NOT has_any_column_privilege(relation, 'SELECT') OR NOT has_schema_privilege(class.relnamespace, 'USAGE') THEN
    RAISE EXCEPTION 'role "%" may not read %, so that it cannot tell what was done to it', current_user, relation
      USING ERRCODE = 'insufficient_privilege',
        HINT = 'Run the test as a superuser, and name the application''s role: as_role => ''web''.';
  END IF;

  SELECT jsonb_build_object(
      'relation', format('%I.%I', class.relnamespace::regnamespace::name, class.relname), 'name', class.relname,
      'column', chosen, 'role', tried, 'caller', current_setting('role'), 'path', caller_path, 'kind', class.relkind,
      'sees_all', NOT row_security_active(relation),
      'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
      'member', EXISTS (
        SELECT FROM pg_policy p JOIN pg_depend d ON (d.classid, d.objid) = ('pg_policy'::regclass, p.oid)
        JOIN pg_proc f ON (d.refclassid, d.refobjid) = ('pg_proc'::regclass, f.oid)
        WHERE p.polrelid = relation AND f.pronamespace = 'rls_tenant'::regnamespace AND f.proname = 'is_member'),
      'part', EXISTS (SELECT FROM rls_tenant.tenant_tables() t WHERE t.relation = $1 AND t.ancestor IS NOT NULL),
      'type', max(format_type(atttypid, atttypmod)) FILTER (WHERE attname = chosen),
      'default', coalesce(bool_or(atthasdef) FILTER (WHERE attname = chosen), false),
      'identity', bool_or(attidentity = 'a'),
      'row', jsonb_agg(attname ORDER BY attnum) FILTER (WHERE has_column_privilege(relation, attnum, 'SELECT')),
      'readable', min(attname::text) FILTER (WHERE has_column_privilege(tried, relation, attnum, 'SELECT')),
      'insert', coalesce(jsonb_agg(attname ORDER BY attnum) FILTER (
        WHERE attgenerated = '' AND has_column_privilege(tried, relation, attnum, 'INSERT')
          AND has_column_privilege(relation, attnum, 'SELECT')), '[]'),
      -- To be changed without breaking a key or a constraint, if there is such a column.
      'update', coalesce(jsonb_agg(attname ORDER BY kept, attnum) FILTER (
        WHERE attgenerated = '' AND attidentity <> 'a' AND has_column_privilege(tried, relation, attnum, 'UPDATE')
          AND has_column_privilege(relation, attnum, 'SELECT')), '[]'))
  INTO stage
  FROM (SELECT *, EXISTS (SELECT FROM pg_constraint WHERE conrelid = relation AND a.attnum = ANY (conkey))
               OR EXISTS (SELECT FROM pg_index WHERE indrelid = relation AND a.attnum = ANY (indkey)) AS kept
        FROM pg_attribute a WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped) a;
  stage := stage || jsonb_build_object('key', (
    SELECT coalesce(jsonb_agg(attname ORDER BY n), '[]')
    FROM (SELECT indexrelid, indkey, indnkeyatts FROM pg_index
          WHERE indrelid = relation AND indisunique AND indimmediate AND indisvalid AND indpred IS NULL
            AND 0 <> ALL (indkey)
          ORDER BY (SELECT attnum FROM pg_attribute WHERE attrelid = relation AND attname = chosen) = ANY (indkey),
            indexrelid LIMIT 1) i
    CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY k(attnum, n)
    JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.attnum
    WHERE n <= indnkeyatts));
  RETURN stage || jsonb_build_object('may',
    CASE WHEN has_schema_privilege(tried, class.relnamespace, 'USAGE') THEN jsonb_build_object(
      'SELECT', has_column_privilege(tried, relation, chosen, 'SELECT'),
      'INSERT', stage->'insert' <> '[]',
      'UPDATE', stage->'update' <> '[]',
      'DELETE', has_table_privilege(tried, relation, 'DELETE'),
      'COPY', has_table_privilege(tried, relation, 'SELECT')) ELSE '{}' END);
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_stage(regclass, name, name, text) IS
  'part of the tests: what the attempts on a relation have in common; raises where nothing can be tried';

-- What the rows of a tenant are like, told by who can see them, and all that are not one's own, where the caller sees
-- them and no membership may let one change them. A change of any shows: an UPDATE gives a row a new ctid.
CREATE FUNCTION @extschema@._tenant_picture(stage jsonb, context jsonb, own text, OUT rows bigint, OUT hash numeric,
  OUT others bigint, OUT others_hash numeric)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM set_config('role', stage->>'caller', true);
  IF NOT (stage->>'sees_all')::boolean THEN PERFORM @extschema@._tenant_enter(context); END IF;
  PERFORM set_config('search_path', stage->>'path', true);
  EXECUTE format('SELECT count(*) FILTER (WHERE its), sum(hash) FILTER (WHERE its), count(*), sum(hash)
      FROM (SELECT pg_catalog.hashtextextended(ROW(%s)::text, 0) AS hash,
              t.%3$I::text OPERATOR(pg_catalog.=) %4$L AS its
            FROM %2$s t WHERE %5$s) p',
    (SELECT pg_catalog.string_agg(pg_catalog.format('t.%I', c), ', ')
     FROM pg_catalog.jsonb_array_elements_text((stage->'row')
       || CASE WHEN stage->>'kind' IN ('r', 'p') AND pg_catalog.has_table_privilege(stage->>'relation', 'SELECT')
            THEN '["ctid"]'::jsonb ELSE '[]'::jsonb END) c),
    stage->>'relation', stage->>'column', context->>'tenant',
    pg_catalog.format(CASE WHEN (stage->>'sees_all')::boolean AND NOT (stage->>'member')::boolean
        THEN '(t.%1$I::text OPERATOR(pg_catalog.=) %2$L) IS NOT TRUE'
      ELSE 't.%1$I::text OPERATOR(pg_catalog.=) %3$L' END, stage->>'column', own, context->>'tenant'))
  INTO rows, hash, others, others_hash;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_picture(jsonb, jsonb, text) IS
  'part of the tests: how many rows a tenant has, and a hash of them; the same of all rows that are not one''s own';

CREATE FUNCTION @extschema@._tenant_enter(context jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF context IS NULL THEN
    PERFORM rls_tenant.clear_context();
  ELSE
    PERFORM set_config('rls_tenant.tenant_id', context->>'tenant', true);
    PERFORM set_config('rls_tenant.user_id', context->>'user', true) WHERE context->>'user' IS NOT NULL;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_enter(jsonb) IS
  'part of the tests: sets tenant and user; NULL clears the context';

-- One statement, tried as the role in a context, and undone. clear: the tenants whose rows go before, and with that no
-- trigger fires, so that no constraint of their making stops what a policy lets through.
CREATE FUNCTION @extschema@._tenant_attempt(stage jsonb, context jsonb, own text, other jsonb, kind text,
  statement text, clear text[] DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  begun boolean := false;
  ended boolean := false;
  before record;
  after record;
  foreigner text := CASE WHEN context IS NULL THEN 'true'
    WHEN (stage->>'member')::boolean THEN format('tenant::text OPERATOR(pg_catalog.=) %L', other->>'tenant')
    ELSE format('(tenant::text OPERATOR(pg_catalog.=) %L) IS NOT TRUE', own) END;
  given bigint;
  mine bigint;
  theirs bigint;
  whose text[];
BEGIN
  IF (stage->>'superuser')::boolean THEN
    PERFORM set_config('lc_messages', 'C', true);
    IF kind IN ('export', 'import') THEN
      EXECUTE format('GRANT pg_read_server_files, pg_write_server_files TO %I', stage->>'role');
    END IF;
  END IF;
  IF clear IS NOT NULL THEN
    PERFORM set_config('session_replication_role', 'replica', true);
    EXECUTE format('DELETE FROM %s t WHERE t.%I::text OPERATOR(pg_catalog.=) ANY (%L)', stage->>'relation',
      stage->>'column', clear);
  END IF;
  SELECT * INTO before FROM @extschema@._tenant_picture(stage, other, own);
  PERFORM @extschema@._tenant_enter(context);
  PERFORM set_config('role', stage->>'role', true), set_config('search_path', stage->>'path', true);
  begun := true;
  IF kind IN ('read', 'rows') THEN
    EXECUTE pg_catalog.format('WITH given(tenant) AS (%s)
        SELECT count(*), count(*) FILTER (WHERE tenant::text OPERATOR(pg_catalog.=) %L), count(*) FILTER (WHERE %s),
          array_agg(DISTINCT coalesce(tenant::text, ''NULL'')) FILTER (WHERE %s)
        FROM given', statement, own, foreigner, foreigner)
    INTO given, mine, theirs, whose;
  ELSE
    EXECUTE statement;
    GET DIAGNOSTICS given = ROW_COUNT;
  END IF;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begun := false;
  PERFORM set_config('role', stage->>'caller', true);
  SELECT * INTO after FROM @extschema@._tenant_picture(stage, other, own);
  ended := true;
  RAISE EXCEPTION USING ERRCODE = 'RTTAP';
EXCEPTION WHEN OTHERS THEN
  IF ended THEN
    RETURN jsonb_build_object('given', given, 'own', mine, 'foreign', theirs, 'whose',
      array_to_string(whose[:3], ', ') || CASE WHEN cardinality(whose) > 3 THEN ' and others' ELSE '' END,
      'change', CASE WHEN after.rows < before.rows THEN 'takes rows away from'
                     WHEN after.rows > before.rows THEN 'makes rows of'
                     WHEN after.hash <> before.hash THEN 'changes rows of' END,
      'elsewhere', (before.others, before.others_hash) IS DISTINCT FROM (after.others, after.others_hash));
  ELSIF NOT begun AND clear IS NULL THEN
    RAISE;
  END IF;
  -- A view, a rule, COPY FROM: it cannot be done at all. A missing context raises 55000. 42501 must be of a policy of
  -- this table, which the message tells; where it may be in another language, it is taken to be.
  RETURN jsonb_build_object('state', SQLSTATE, 'message', SQLERRM, 'refused', SQLSTATE IN ('55000', '0A000', '42809')
    OR SQLSTATE = '42501' AND CASE
      WHEN NOT (stage->>'superuser')::boolean AND current_setting('lc_messages') !~ '^(en|C|POSIX)' THEN true
      WHEN stage->>'kind' IN ('r', 'p')
        THEN strpos(SQLERRM, 'row-level security') > 0 AND strpos(SQLERRM, format('for table "%s"', stage->>'name')) > 0
      ELSE strpos(SQLERRM, 'row-level security') > 0 END);
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_attempt(jsonb, jsonb, text, jsonb, text, text, text[]) IS
  'part of the tests: tries a statement, undoes it, and tells whose rows it gave and what became of the other '
  'tenant''s';

CREATE FUNCTION @extschema@._tenant_insert(stage jsonb, values_of jsonb, columns jsonb, target text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('INSERT %s(%s) %sVALUES (%s)', target, string_agg(quote_ident(c), ', ' ORDER BY n),
    CASE WHEN (stage->>'identity')::boolean THEN 'OVERRIDING SYSTEM VALUE ' ELSE '' END,
      string_agg(values_of->>c, ', ' ORDER BY n))
  FROM jsonb_array_elements_text(columns) WITH ORDINALITY e(c, n)
$$;
COMMENT ON FUNCTION @extschema@._tenant_insert(jsonb, jsonb, jsonb, text) IS
  'part of the tests: INSERT of a row whose values are literals';

-- The statements that are tried with the rows of two tenants. None reads a column that it need not: where one does,
-- PostgreSQL also asks the policies for SELECT, which would cover a hole. kind: read (a plain SELECT), count (one of
-- columns that do not tell whose a row is), rows (gives rows, too), write, nothing (does nothing where a key is there),
-- default (leaves the tenant column out), export, import (COPY). clear: whose rows stand in the way of the statement,
-- if constraints stop it.
CREATE FUNCTION @extschema@._tenant_statements(stage jsonb, own text, other text, own_row jsonb, other_row jsonb)
  RETURNS TABLE (kind text, statement text, clear text[])
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  r text := stage->>'relation';
  c text := quote_ident(stage->>'column');
  tenant name := stage->>'column';
  may jsonb := stage->'may';
  reads boolean := coalesce((may->>'SELECT')::boolean, false);
  deletes boolean := coalesce((may->>'DELETE')::boolean, false);
  inserts boolean := coalesce((may->>'INSERT')::boolean, false);
  moves boolean := coalesce((may->>'UPDATE')::boolean, false) AND stage->'update' ? tenant;
  -- A column beside the tenant's, with a value that it may have.
  touched name := (SELECT u FROM jsonb_array_elements_text(stage->'update') WITH ORDINALITY e(u, n)
                   WHERE u <> tenant AND (may->>'UPDATE')::boolean ORDER BY n LIMIT 1);
  touch text := quote_ident(touched) || ' = ' || (own_row->>touched);
  take text := format('%s = %L', c, own);
  whole boolean := inserts AND stage->'insert' ? tenant;
  key text := (SELECT string_agg(quote_ident(k), ', ' ORDER BY n)
               FROM jsonb_array_elements_text(stage->'key') WITH ORDINALITY e(k, n));
  merges boolean := reads AND (stage->>'kind' IN ('r', 'p') OR current_setting('server_version_num')::int >= 170000);
  all_of text := format('MERGE INTO %s USING (SELECT 1) one ON true WHEN MATCHED THEN ', r);
  into_it text := format('INTO %s ', r);
  alien text := @extschema@._tenant_insert(stage, other_row, stage->'insert', into_it);
  mine CONSTANT text[] := ARRAY[own];
  theirs CONSTANT text[] := ARRAY[other];
BEGIN
  IF reads THEN RETURN QUERY VALUES ('read', format('SELECT %s FROM %s', c, r), NULL::text[]); END IF;
  IF NOT reads AND may <> '{}' AND stage->>'readable' IS NOT NULL THEN
    RETURN QUERY VALUES ('count', format('SELECT %I FROM %s', stage->>'readable', r), mine);
  END IF;
  IF reads AND coalesce(touched IS NOT NULL OR moves, false) THEN
    RETURN QUERY VALUES ('rows', format('SELECT %s FROM %s FOR UPDATE', c, r), NULL::text[]);
  END IF;
  IF touched IS NOT NULL THEN
    RETURN QUERY VALUES ('write', format('UPDATE %s SET %s', r, touch), mine);
    IF reads THEN RETURN QUERY VALUES ('rows', format('UPDATE %s SET %s RETURNING %s', r, touch, c), mine); END IF;
    IF merges THEN RETURN QUERY VALUES ('write', all_of || 'UPDATE SET ' || touch, mine); END IF;
  END IF;
  IF moves THEN
    RETURN QUERY VALUES ('write', format('UPDATE %s SET %s', r, take), mine),
      ('write', format('UPDATE %s SET %s = %L', r, c, other), theirs);
    IF merges THEN RETURN QUERY VALUES ('write', all_of || 'UPDATE SET ' || take, mine); END IF;
  END IF;
  IF deletes THEN
    RETURN QUERY VALUES ('write', format('DELETE FROM %s', r), mine);
    IF reads THEN RETURN QUERY VALUES ('rows', format('DELETE FROM %s RETURNING %s', r, c), mine); END IF;
    IF merges THEN RETURN QUERY VALUES ('write', all_of || 'DELETE', mine); END IF;
  END IF;
  IF whole THEN
    RETURN QUERY VALUES ('write', alien, theirs), ('nothing', alien || ' ON CONFLICT DO NOTHING', theirs);
    IF key IS NOT NULL AND reads AND (moves OR touched IS NOT NULL) THEN
      RETURN QUERY VALUES ('write',
        @extschema@._tenant_insert(stage,
          CASE WHEN stage->'key' ? tenant THEN other_row
            ELSE other_row || jsonb_build_object(tenant, quote_literal(own)) END, stage->'insert', into_it)
        || format(' ON CONFLICT (%s) DO UPDATE SET %s', key, CASE WHEN moves THEN take ELSE touch END), mine);
    END IF;
    IF merges THEN
      RETURN QUERY VALUES ('write',
        format('MERGE INTO %s USING (SELECT 1) one ON false WHEN NOT MATCHED THEN %s', r,
          @extschema@._tenant_insert(stage, other_row, stage->'insert', '')), theirs);
    END IF;
  END IF;
  -- The tenant that the column's default gives.
  IF inserts AND (stage->>'default')::boolean AND stage->'insert' <> to_jsonb(ARRAY[tenant]) THEN
    RETURN QUERY VALUES ('default',
      @extschema@._tenant_insert(stage, own_row, (stage->'insert') - tenant::text, into_it), mine || theirs);
  END IF;
  IF stage->>'kind' IN ('r', 'p') THEN
    IF (may->>'COPY')::boolean THEN
      RETURN QUERY VALUES ('export', format('COPY %s TO ''/dev/null''', r), NULL::text[]);
    END IF;
    IF whole THEN
      RETURN QUERY VALUES ('import', format('COPY %s FROM ''/dev/null''', r), NULL::text[]);
    END IF;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_statements(jsonb, text, text, jsonb, jsonb) IS
  'part of the tests: the statements that are tried';

-- A row of a tenant, as a jsonb object of literals; NULL if it has none.
CREATE FUNCTION @extschema@._tenant_row(stage jsonb, context jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  query text := (
    SELECT format('SELECT pg_catalog.jsonb_object(ARRAY[%s], ARRAY[%s]) FROM %s t '
                  'WHERE t.%I::text OPERATOR(pg_catalog.=) %L LIMIT 1',
      string_agg(quote_literal(c), ', ' ORDER BY n),
      string_agg(format('pg_catalog.format(''%%L'', t.%I)', c), ', ' ORDER BY n),
      stage->>'relation', stage->>'column', context->>'tenant')
    FROM jsonb_array_elements_text(stage->'row') WITH ORDINALITY e(c, n));
  result jsonb;
BEGIN
  BEGIN
    IF NOT (stage->>'sees_all')::boolean THEN PERFORM @extschema@._tenant_enter(context); END IF;
    PERFORM set_config('search_path', stage->>'path', true);
    EXECUTE query INTO result;
    RAISE EXCEPTION USING ERRCODE = 'RTTAP';
  EXCEPTION WHEN SQLSTATE 'RTTAP' THEN NULL;
  END;
  RETURN result;
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_row(jsonb, jsonb) IS
  'part of the tests: a row of a tenant, each value as a literal; NULL if there is none';

-- The ids as their column's type writes them; where none are given and the caller sees all rows, two that have rows.
CREATE FUNCTION @extschema@._tenant_pair(stage jsonb, tenant_a text, tenant_b text) RETURNS text[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  given text[];
  found text[] := '{}';
BEGIN
  EXECUTE format('SELECT ARRAY[(%L::%s)::text, (%L::%2$s)::text]', tenant_a, stage->>'type', tenant_b) INTO given;
  IF (stage->>'sees_all')::boolean AND (tenant_a IS NULL OR tenant_b IS NULL) THEN
    EXECUTE format('SELECT ARRAY(SELECT DISTINCT t.%I::text COLLATE pg_catalog."C" AS tenant FROM %s t '
                   'WHERE t.%1$I IS NOT NULL ORDER BY tenant LIMIT 3)', stage->>'column', stage->>'relation')
    INTO found;
    SELECT array_agg(f ORDER BY n) INTO found FROM unnest(found) WITH ORDINALITY u(f, n)
    WHERE given[1] IS DISTINCT FROM f AND given[2] IS DISTINCT FROM f;
  END IF;
  RETURN ARRAY[coalesce(given[1], found[1]), coalesce(given[2], found[CASE WHEN given[1] IS NULL THEN 2 ELSE 1 END])];
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_pair(jsonb, text, text) IS
  'part of the tests: the two tenants, NULL where there is none';

-- Testing

-- What the catalogs say against a table, whatever an attempt does.
CREATE FUNCTION @extschema@._tenant_openings(relation regclass, tried name) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT v.line
  FROM pg_class c CROSS JOIN LATERAL (VALUES
    (1, NOT relrowsecurity,
      format('row-level security is not enabled on %s: SELECT rls_tenant.protect(%L);', relation, relation)),
    (2, NOT relforcerowsecurity,
      format('row-level security is not forced on %s, so that its owner %I passes every policy: '
             'ALTER TABLE %1$s FORCE ROW LEVEL SECURITY;', relation, relowner::regrole::name)),
    (3, pg_has_role(tried, relowner, 'MEMBER'),
      format('%I owns %s, or can become its owner %I, who may switch row-level security off', tried, relation,
        relowner::regrole::name)),
    (4, has_table_privilege(tried, c.oid, 'TRUNCATE'),
      format('%I may TRUNCATE %s, to which no policy applies: REVOKE TRUNCATE ON %2$s FROM %1$I;', tried, relation))
  ) v(n, stands, line)
  WHERE c.oid = relation AND relkind IN ('r', 'p') AND v.stands ORDER BY n
$$;
COMMENT ON FUNCTION @extschema@._tenant_openings(regclass, name) IS
  'part of the tests: what the catalogs say against a table';
