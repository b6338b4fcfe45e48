-- Work over all tenants
--
-- Each row of tenant_run_step commits together with what was done for its tenant, so that a run that was stopped goes
-- on where it was. Everybody may keep runs, and sees and changes no other role's.
CREATE TABLE rls_tenant.tenant_run (
  run_by name NOT NULL DEFAULT current_user,
  run text NOT NULL CHECK (run <> ''),
  statement text NOT NULL,
  tenants bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run_by, run)
);
COMMENT ON TABLE rls_tenant.tenant_run IS 'runs of for_each_tenant(), each role''s own. DELETE forgets one';
COMMENT ON COLUMN rls_tenant.tenant_run.run_by IS 'the role that called for_each_tenant()';
COMMENT ON COLUMN rls_tenant.tenant_run.run IS
  'the name of the run; for one without a name, a checksum of what it was called with';
COMMENT ON COLUMN rls_tenant.tenant_run.statement IS 'what it does for each tenant';
COMMENT ON COLUMN rls_tenant.tenant_run.tenants IS 'how many tenants the query gave when it was last called';
COMMENT ON COLUMN rls_tenant.tenant_run.started_at IS 'when it was first called';

CREATE TABLE rls_tenant.tenant_run_step (
  run_by name NOT NULL DEFAULT current_user,
  run text NOT NULL,
  tenant text NOT NULL,
  row_count bigint,
  sqlstate text,
  error text,
  finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run_by, run, tenant),
  FOREIGN KEY (run_by, run) REFERENCES rls_tenant.tenant_run ON DELETE CASCADE
);
COMMENT ON TABLE rls_tenant.tenant_run_step IS
  'the tenants that runs of for_each_tenant() are done with, and those that failed';
COMMENT ON COLUMN rls_tenant.tenant_run_step.run_by IS 'the role that called for_each_tenant()';
COMMENT ON COLUMN rls_tenant.tenant_run_step.run IS 'the name of the run';
COMMENT ON COLUMN rls_tenant.tenant_run_step.tenant IS 'the tenant';
COMMENT ON COLUMN rls_tenant.tenant_run_step.row_count IS 'how many rows the statement''s last command touched';
COMMENT ON COLUMN rls_tenant.tenant_run_step.sqlstate IS 'the error''s SQLSTATE; NULL: it is done';
COMMENT ON COLUMN rls_tenant.tenant_run_step.error IS 'the error''s message';
COMMENT ON COLUMN rls_tenant.tenant_run_step.finished_at IS 'when';

ALTER TABLE rls_tenant.tenant_run ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE rls_tenant.tenant_run_step ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own_runs ON rls_tenant.tenant_run USING (run_by = current_user);
CREATE POLICY own_runs ON rls_tenant.tenant_run_step USING (run_by = current_user);
COMMENT ON POLICY own_runs ON rls_tenant.tenant_run IS 'a role has its own runs';
COMMENT ON POLICY own_runs ON rls_tenant.tenant_run_step IS 'a role has its own runs';
GRANT SELECT, INSERT, UPDATE, DELETE ON rls_tenant.tenant_run, rls_tenant.tenant_run_step TO PUBLIC;

-- For everybody: policies show a role its own runs.
CREATE FUNCTION rls_tenant.tenant_runs(OUT run_by name, OUT run text, OUT started_at timestamptz, OUT tenants bigint,
  OUT done bigint, OUT failed bigint, OUT row_count bigint, OUT last_at timestamptz, OUT tenants_per_second numeric,
  OUT statement text) RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT r.run_by, r.run, r.started_at, r.tenants, s.done, s.failed, s.row_count, s.last_at,
    round(s.done / nullif(extract(epoch FROM s.last_at - r.started_at), 0), 1), r.statement
  FROM rls_tenant.tenant_run r CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE t.sqlstate IS NULL) AS done, count(t.sqlstate) AS failed,
      coalesce(sum(t.row_count), 0)::bigint AS row_count,
      max(t.finished_at) AS last_at
    FROM rls_tenant.tenant_run_step t WHERE (t.run_by, t.run) = (r.run_by, r.run)) s
  ORDER BY 3;
END;
COMMENT ON FUNCTION rls_tenant.tenant_runs() IS
  'how far the runs of for_each_tenant() are, also while they run: tenants in all, done and failed, rows touched, '
  'tenants a second since the first call. A role sees its own; who bypasses row-level security, all';

-- For everybody: it does what its caller may do. It commits, so that no SET clause can pin its search_path: it does so
-- itself in each of its transactions, but for what the caller gave. Types are qualified, since they are looked up
-- before. The role is taken only for the tenant's statement, since runs belong to the caller.
CREATE PROCEDURE rls_tenant.for_each_tenant(tenants_query text, statement text, run text DEFAULT NULL,
  on_error text DEFAULT 'stop', as_role name DEFAULT NULL)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  worker pg_catalog.name := coalesce($5, current_user);
  caller_role pg_catalog.text := pg_catalog.current_setting('role');
  caller_path pg_catalog.text := pg_catalog.current_setting('search_path');
  own_path CONSTANT pg_catalog.text := 'pg_catalog, pg_temp';
  run_name pg_catalog.text := coalesce($3, pg_catalog.md5(pg_catalog.concat_ws(E'\n', $1, $2, $5::pg_catalog.text)));
  tenants pg_catalog.text[];
  current_one pg_catalog.text;
  total bigint;
  already bigint;
  done bigint := 0;
  failed bigint := 0;
  touched bigint := 0;
  affected bigint;
  known pg_catalog.text;
  state pg_catalog.text;
  message pg_catalog.text;
  started pg_catalog.timestamptz := pg_catalog.clock_timestamp();
  reported pg_catalog.timestamptz := started;
  instant pg_catalog.timestamptz;
BEGIN
  PERFORM pg_catalog.set_config('search_path', own_path, true);
  IF $1 IS NULL OR $2 IS NULL OR $4 IS NULL OR $3 = '' THEN
    RAISE EXCEPTION 'for_each_tenant() needs a query for the tenants and a statement'
      USING ERRCODE = 'null_value_not_allowed',
        DETAIL = 'One of them or on_error is NULL, or the run''s name is empty.',
        HINT = 'CALL rls_tenant.for_each_tenant(''SELECT id FROM tenant'', ''UPDATE invoice SET total = net + tax'');';
  ELSIF $4 NOT IN ('stop', 'continue') THEN
    RAISE EXCEPTION 'on_error cannot be "%"', $4
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It says what an error for one tenant does to the rest.',
        HINT = 'Use ''stop'' or ''continue''.';
  ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = worker) THEN
    RAISE EXCEPTION 'role "%" does not exist', worker
      USING ERRCODE = 'undefined_object', DETAIL = 'as_role is the role that runs the statement.',
        HINT = 'Name a role to which policies apply.';
  ELSIF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = worker AND (r.rolsuper OR r.rolbypassrls)) THEN
    RAISE EXCEPTION 'row-level security does not apply to role "%"', worker
      USING ERRCODE = 'object_not_in_prerequisite_state',
        DETAIL = 'The statement would work on the rows of all tenants each time.',
        HINT = 'Name a role to which policies apply: as_role => ''tenant_worker''. '
               'Or run the statement once, without for_each_tenant().';
  END IF;
  SELECT r.statement INTO known FROM rls_tenant.tenant_run r WHERE (r.run_by, r.run) = (current_user, run_name);
  IF known <> $2 THEN
    RAISE EXCEPTION 'run "%" was started with another statement', run_name
      USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = pg_catalog.format('It was: %s', known),
        HINT = pg_catalog.format(
          'Name another run, or forget this one: DELETE FROM rls_tenant.tenant_run WHERE run = %L;', run_name);
  END IF;
  PERFORM pg_catalog.set_config('search_path', caller_path, true);
  EXECUTE pg_catalog.format('SELECT pg_catalog.array_agg(t.tenant ORDER BY t.number) FROM (
      SELECT q.tenant::pg_catalog.text AS tenant, pg_catalog.min(q.number) AS number
      FROM (SELECT r.tenant, pg_catalog.row_number() OVER () AS number FROM (%s
      ) AS r(tenant)) q GROUP BY 1) t', pg_catalog.rtrim($1, E'; \t\n')) INTO tenants;
  PERFORM pg_catalog.set_config('search_path', own_path, true);
  total := coalesce(pg_catalog.cardinality(tenants), 0);
  IF pg_catalog.array_position(tenants, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'the query for the tenants gave NULL'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'Its first column is the tenant''s id.',
        HINT = 'Leave such rows out: WHERE id IS NOT NULL.';
  END IF;
  INSERT INTO rls_tenant.tenant_run (run, statement, tenants) VALUES (run_name, $2, total)
  ON CONFLICT (run_by, run) DO UPDATE SET tenants = excluded.tenants;
  SELECT pg_catalog.count(*) INTO already FROM rls_tenant.tenant_run_step s
  WHERE (s.run_by, s.run) = (current_user, run_name) AND s.sqlstate IS NULL AND s.tenant = ANY (tenants);
  COMMIT;
  PERFORM pg_catalog.set_config('search_path', own_path, true);
  IF already > 0 THEN
    RAISE NOTICE '% of % tenants were done before', already, total;
  END IF;

  FOREACH current_one IN ARRAY coalesce(tenants, '{}') LOOP
    -- Whoever runs this at the same time waits here until the tenant is done, and then passes it over.
    INSERT INTO rls_tenant.tenant_run_step (run, tenant)
    SELECT r.run, current_one FROM rls_tenant.tenant_run r
    WHERE (r.run_by, r.run) = (current_user, run_name) FOR KEY SHARE
    ON CONFLICT (run_by, run, tenant) DO UPDATE SET sqlstate = NULL, error = NULL, row_count = NULL
    WHERE tenant_run_step.sqlstate IS NOT NULL;
    IF NOT FOUND THEN
      IF NOT EXISTS (SELECT FROM rls_tenant.tenant_run r WHERE (r.run_by, r.run) = (current_user, run_name)) THEN
        RAISE EXCEPTION 'run "%" is over', run_name
          USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'Another session has come to its end, or has deleted it.',
            HINT = 'See what is done before you call it again: without the run each tenant would be done again.';
      END IF;
      COMMIT;
      PERFORM pg_catalog.set_config('search_path', own_path, true);
      CONTINUE;
    END IF;
    state := NULL;
    message := NULL;
    affected := NULL;
    BEGIN
      IF $5 IS NOT NULL THEN
        PERFORM pg_catalog.set_config('role', $5, true);
      END IF;
      PERFORM rls_tenant.set_context(current_one), pg_catalog.set_config('search_path', caller_path, true);
      EXECUTE $2;
      GET DIAGNOSTICS affected = ROW_COUNT;
      -- What is deferred to the COMMIT would fail there, where nothing can be noted.
      SET CONSTRAINTS ALL IMMEDIATE;
      -- Whoever the statement has become, for itself or for the session.
      PERFORM pg_catalog.set_config('role', caller_role, false), pg_catalog.set_config('search_path', own_path, true);
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
      affected := NULL;
    END;
    -- Planned while the table is small this would stay a sequential scan. To the end of the transaction, which is here.
    PERFORM pg_catalog.set_config('enable_seqscan', 'off', true);
    UPDATE rls_tenant.tenant_run_step s SET row_count = affected, sqlstate = state, error = message,
      finished_at = pg_catalog.clock_timestamp()
    WHERE (s.run_by, s.run, s.tenant) = (current_user, run_name, current_one);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', own_path, true);
    IF state IS NULL THEN
      done := done + 1;
      touched := touched + coalesce(affected, 0);
    ELSIF $4 = 'stop' THEN
      RAISE EXCEPTION 'the statement failed for tenant "%": %', current_one, message
        USING ERRCODE = state,
          DETAIL = pg_catalog.format('%s of %s tenants are done, and stay so.', already + done, total),
          HINT = 'Fix the cause and call it again in the same way: it goes on here. '
                 'Or skip such tenants: on_error => ''continue''.';
    ELSE
      failed := failed + 1;
      RAISE WARNING 'the statement failed for tenant "%": %', current_one, message;
    END IF;
    instant := pg_catalog.clock_timestamp();
    IF instant - reported >= interval '5 seconds' THEN
      reported := instant;
      RAISE NOTICE '% of % tenants done, % failed, % a second', already + done, total, failed,
        pg_catalog.round((done / extract(epoch FROM instant - started))::pg_catalog.numeric, 1);
    END IF;
  END LOOP;

  RAISE NOTICE '% of % tenants done, % failed, % rows, % a second', already + done, total, failed, touched,
    pg_catalog.round((done
      / greatest(extract(epoch FROM pg_catalog.clock_timestamp() - started), 0.001))::pg_catalog.numeric, 1);
  IF failed > 0 THEN
    RAISE EXCEPTION 'the statement failed for % of % tenants', failed, total
      USING ERRCODE = 'raise_exception', DETAIL = 'The others are done, and stay so.',
        HINT = pg_catalog.format(
          'SELECT tenant, error FROM rls_tenant.tenant_run_step WHERE run = %L AND sqlstate IS NOT NULL; '
          'then call it again in the same way: it tries these again.', run_name);
  END IF;
  -- A run without a name is over, and the next call of it starts again.
  IF $3 IS NULL THEN
    DELETE FROM rls_tenant.tenant_run r WHERE (r.run_by, r.run) = (current_user, run_name);
  END IF;
END
$$;
COMMENT ON PROCEDURE rls_tenant.for_each_tenant(text, text, text, text, name) IS
  'runs an SQL statement for each tenant that a query gives (its first column; each once), in a transaction of its '
  'own with that tenant as its context, and notes it there, so that a run that was stopped goes on when it is called '
  'again in the same way; under a name (run) each tenant is done once for ever, without one the next call after the '
  'last tenant starts again. on_error: stop (default) or continue, which raises at the end. as_role: the role that '
  'runs the statement, to which policies apply (default: the caller). Reports by NOTICE and in tenant_runs(). Not in '
  'a transaction block. 22004: NULL; 22023: on_error; 42704: no such role; 55000: policies do not apply to the role, '
  'the run was started with another statement, or has been deleted meanwhile; else the statement''s own error';
