CREATE FUNCTION @extschema@._tenant_isolation(relation regclass, tenant_a text, tenant_b text, as_role name,
  public_read boolean, tenant_column name, user_a text, user_b text, caller_path text,
  OUT failures text[], OUT notes text[], OUT tried integer)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  stage jsonb := @extschema@._tenant_stage(relation, as_role, tenant_column, caller_path);
  pair text[] := @extschema@._tenant_pair(stage, tenant_a, tenant_b);
  contexts jsonb[];
  rows jsonb[];
  lacking text;
  round integer;
  own integer;
  context jsonb;
  attempt record;
  outcome jsonb;
  undecided boolean;
  untried text;
  seen bigint;
  who text;
  line text;
BEGIN
  failures := ARRAY(SELECT @extschema@._tenant_openings(relation, stage->>'role'));
  notes := '{}';
  tried := 0;
  contexts := ARRAY[jsonb_build_object('tenant', pair[1], 'user', user_a),
    jsonb_build_object('tenant', pair[2], 'user', user_b)];
  FOR own IN 1 .. 2 LOOP
    IF pair[own] IS NOT NULL THEN rows[own] := @extschema@._tenant_row(stage, contexts[own]); END IF;
  END LOOP;
  IF rows[1] IS NULL OR rows[2] IS NULL OR pair[1] = pair[2] THEN
    failures := failures || CASE
      WHEN (pair[1] IS NULL OR pair[2] IS NULL) AND NOT (stage->>'sees_all')::boolean
        THEN format('policies apply to %I, so it cannot tell which tenants have rows: name two tenants, '
                    'tenant_isolated(%L, ''…'', ''…''), or run the test as a superuser', current_user, relation)
      ELSE format('%s needs a row of each of two tenants, and has one of %s: '
                  'SELECT as_tenant(''…''); INSERT INTO %1$s …; for each, before the test', relation,
        coalesce((SELECT string_agg(DISTINCT pair[n], ' and of ')
                  FROM unnest(rows) WITH ORDINALITY u(row, n) WHERE row IS NOT NULL), 'none')) END;
    RETURN;
  END IF;
  SELECT string_agg(CASE WHEN p = 'SELECT' AND stage->>'readable' IS NOT NULL
      THEN format('SELECT of %I', stage->>'column') ELSE p END, ', ' ORDER BY n) INTO lacking
  FROM (VALUES (1, 'SELECT'), (2, 'INSERT'), (3, 'UPDATE'), (4, 'DELETE')) v(n, p)
  WHERE NOT coalesce((stage->'may'->>p)::boolean, false);
  IF lacking IS NOT NULL THEN
    notes := notes || format('%I is not permitted to %s', stage->>'role', lacking);
  END IF;
  SELECT string_agg(format('%s of %I', upper(p), stage->>'column'), ', ' ORDER BY p) INTO lacking
  FROM unnest('{insert,update}'::text[]) p
  WHERE (stage->'may'->>upper(p))::boolean AND NOT stage->p ? (stage->>'column');
  IF lacking IS NOT NULL THEN
    notes := notes || format('%I is not permitted to %s', stage->>'role', lacking);
  END IF;

  FOR round IN 1 .. 3 LOOP  -- the first tenant, the second, nobody
    own := CASE round WHEN 2 THEN 2 ELSE 1 END;
    context := CASE WHEN round < 3 THEN contexts[own] END;
    who := format('%I %s', stage->>'role', coalesce('as tenant ' || (context->>'tenant'), 'without a context'));
    seen := 0;
    FOR attempt IN
      SELECT * FROM @extschema@._tenant_statements(stage, pair[own], pair[3 - own], rows[own], rows[3 - own])
    LOOP
      tried := tried + 1;
      outcome := @extschema@._tenant_attempt(stage, context, pair[own], contexts[3 - own], attempt.kind,
        attempt.statement);
      -- What stopped it was no policy, or was nothing at all: once more, without what stood in the way.
      undecided := CASE
        WHEN outcome ? 'state'
          THEN NOT (outcome->>'refused')::boolean OR outcome->>'state' <> '42501' AND context IS NOT NULL
        ELSE attempt.kind = 'nothing' AND outcome->>'change' IS NULL END;
      IF undecided AND attempt.clear IS NOT NULL
          AND (stage->>'superuser')::boolean AND stage->>'kind' IN ('r', 'p') THEN
        outcome := @extschema@._tenant_attempt(stage, context, pair[own], contexts[3 - own], attempt.kind,
          attempt.statement, attempt.clear);
      END IF;
      IF attempt.kind = 'count' THEN  -- without one's own rows nothing may be left to see
        outcome := CASE
          WHEN (stage->>'superuser')::boolean AND stage->>'kind' IN ('r', 'p')
              AND NOT (stage->>'member')::boolean AND NOT public_read
            THEN @extschema@._tenant_attempt(stage, context, pair[own], contexts[3 - own], attempt.kind,
              attempt.statement, CASE WHEN context IS NOT NULL THEN attempt.clear ELSE '{}' END)
          ELSE '{}' END;
      END IF;
      IF attempt.kind = 'read' AND public_read THEN outcome := outcome || '{"foreign": 0}'; END IF;
      -- Some statements take a superuser's test: a copy of one's own row meets its key, and files are not for all.
      untried := CASE
        WHEN attempt.kind IN ('export', 'import') AND outcome->>'state' = '42501'
          THEN 'COPY was not tried, which takes a superuser, or a role with pg_read_server_files and '
               'pg_write_server_files'
        WHEN attempt.kind = 'count' AND outcome = '{}'
          THEN format('SELECT without %I could not be tried: a superuser''s test can, of a table without memberships '
                      'and public rows', stage->>'column')
        WHEN attempt.kind = 'default' AND NOT (stage->>'superuser')::boolean AND NOT (outcome->>'refused')::boolean
          THEN format('INSERT with the default of %I could not be tried: a superuser''s test can', stage->>'column')
        END;
      line := CASE
        WHEN untried IS NOT NULL THEN NULL
        WHEN outcome ? 'state' AND NOT (outcome->>'refused')::boolean
          THEN format('not decided: no policy refuses it, and it fails with %s: %s%s', outcome->>'state',
            outcome->>'message',
            CASE WHEN (stage->>'superuser')::boolean THEN '' ELSE '; a superuser''s test goes on without triggers' END)
        WHEN attempt.kind = 'import' AND NOT outcome ? 'state' THEN 'could write rows of any tenant'
        WHEN attempt.kind = 'export' AND (outcome->>'given')::bigint > seen
          THEN format('gets %s rows, and should get %s', outcome->>'given', seen)
        WHEN attempt.kind = 'count' AND (outcome->>'given')::bigint > 0
          THEN format('gets %s rows that are not its own', outcome->>'given')
        WHEN (outcome->>'foreign')::bigint > 0 THEN format('gets rows of tenant %s', outcome->>'whose')
        WHEN outcome->>'change' IS NOT NULL THEN format('%s tenant %s', outcome->>'change', pair[3 - own])
        WHEN (outcome->>'elsewhere')::boolean
          THEN format('makes, changes or takes away rows of other tenants than %s and %s', pair[1], pair[2])
        WHEN attempt.kind = 'read' AND context IS NOT NULL AND NOT (stage->>'part')::boolean
            AND coalesce((outcome->>'own')::bigint, 0) = 0
          THEN 'does not see its own rows' || coalesce(' (' || (outcome->>'message') || ')', '') END;
      IF line IS NOT NULL THEN failures := failures || format('%s %s: %s', who, line, attempt.statement); END IF;
      IF attempt.kind = 'read' THEN
        seen := coalesce((outcome->>'given')::bigint - (outcome->>'foreign')::bigint, 0);
      END IF;
      notes := notes || untried;
    END LOOP;
  END LOOP;
  notes := ARRAY(SELECT DISTINCT n FROM unnest(notes) n WHERE n IS NOT NULL ORDER BY n);
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_isolation(regclass, text, text, name, boolean, name, text, text, text) IS
  'part of the tests: what crosses between two tenants of a relation, what to know, and how many statements were '
  'tried';

CREATE FUNCTION @extschema@._tenant_isolated(relation regclass, tenant_a text, tenant_b text, as_role name,
  description text, public_read boolean, tenant_column name, user_a text, user_b text, caller_path text) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  r record;
BEGIN
  SELECT * INTO r
  FROM @extschema@._tenant_isolation(relation, tenant_a, tenant_b, as_role, coalesce(public_read, false), tenant_column,
    user_a, user_b, caller_path);
  IF r.tried = 0 AND r.failures = '{}' THEN
    r.failures := ARRAY[format('%I has no privilege on %s, so that nothing was tried', coalesce(as_role, current_user),
      relation)];
  END IF;
  RETURN @extschema@._tenant_report(CASE WHEN r.failures = '{}' THEN 'ok' ELSE 'not ok' END,
    coalesce(description, format('%s keeps tenants apart', relation)), r.failures || r.notes);
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_isolated(regclass, text, text, name, text, boolean, name, text, text, text) IS
  'part of the tests: tenant_isolated(), told the search_path of its caller';

CREATE FUNCTION @extschema@.tenant_isolated(relation regclass, tenant_a text DEFAULT NULL, tenant_b text DEFAULT NULL,
  as_role name DEFAULT NULL, description text DEFAULT NULL, public_read boolean DEFAULT false,
  tenant_column name DEFAULT NULL, user_a text DEFAULT NULL, user_b text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
RETURN @extschema@._tenant_isolated(relation, tenant_a, tenant_b, as_role, description, public_read, tenant_column,
  user_a, user_b, pg_catalog.current_setting('search_path'));
COMMENT ON FUNCTION @extschema@.tenant_isolated(regclass, text, text, name, text, boolean, name, text, text) IS
  'a pgTAP test: whether a role to which policies apply (default: the current one), as each of two tenants (default: '
  'two that have rows) and without a context, can read, change, take, give away or make the other''s rows, by each '
  'kind of statement; all is undone. It also fails where a tenant sees none of its own rows, and where something '
  'cannot be decided. public_read: others'' rows may be read. user_a, user_b: users of the two, for memberships. '
  '22023: a role to which no policy applies; 42703: no tenant column; 42501: the context may not change, or the '
  'caller may not read the relation';

CREATE FUNCTION @extschema@._tenant_isolated_schema(schema name, as_role name, public_read regclass[],
  leave_out regclass[], caller_path text) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  tried name := coalesce(as_role, current_user);
  r record;
  known boolean := false;
BEGIN
  FOR r IN
    SELECT c.oid::regclass AS relation, c.relkind, u.attname IS NOT NULL OR t.tenant_column IS NOT NULL AS has_column,
      has_schema_privilege(tried, c.relnamespace, 'USAGE')
        AND (has_any_column_privilege(tried, c.oid, 'SELECT, INSERT, UPDATE')
          OR has_table_privilege(tried, c.oid, 'DELETE')) AS usable
    FROM pg_class c LEFT JOIN rls_tenant.tenant_tables() t ON t.relation = c.oid
    LEFT JOIN pg_attribute u ON u.attrelid = c.oid AND u.attname = current_setting('rls_tenant.tenant_column')
      AND u.attnum > 0 AND NOT u.attisdropped
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = schema)
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (t.relation IS NOT NULL OR u.attname IS NOT NULL)
    ORDER BY c.relname COLLATE "C"
  LOOP
    known := true;
    IF r.relation = ANY (leave_out) THEN
      RETURN NEXT @extschema@._tenant_report('skip', r.relation::text, '{left out}');
    ELSIF NOT r.has_column THEN
      RETURN NEXT @extschema@.policies_confine(r.relation);
    ELSIF NOT r.usable AND NOT EXISTS (SELECT FROM @extschema@._tenant_openings(r.relation, tried)) THEN
      RETURN NEXT @extschema@._tenant_report('skip', r.relation::text,
        ARRAY[format('%I has no privilege on it', tried)]);
    ELSE
      RETURN NEXT @extschema@._tenant_isolated(r.relation, NULL, NULL, as_role, NULL,
        coalesce(r.relation = ANY (public_read), false), NULL, NULL, NULL, caller_path);
    END IF;
  END LOOP;
  IF NOT known THEN
    RETURN NEXT @extschema@._tenant_report('not ok', format('schema %I has tenant tables', schema), '{}');
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_isolated_schema(name, name, regclass[], regclass[], text) IS
  'part of the tests: tenant_isolated_schema(), told the search_path of its caller';

CREATE FUNCTION @extschema@.tenant_isolated_schema(schema name, as_role name DEFAULT NULL,
  public_read regclass[] DEFAULT '{}', leave_out regclass[] DEFAULT '{}') RETURNS SETOF text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT t FROM @extschema@._tenant_isolated_schema(schema, as_role, public_read, leave_out,
    pg_catalog.current_setting('search_path')) t;
END;
COMMENT ON FUNCTION @extschema@.tenant_isolated_schema(name, name, regclass[], regclass[]) IS
  'pgTAP tests, one for each tenant table of a schema and each other relation there that has the usual tenant '
  'column: tenant_isolated(), or policies_confine() where a table has no tenant column of its own. public_read: '
  'those whose rows may be read by all; leave_out: those that are skipped. A schema without any fails';
