-- What functions read that PostgreSQL evaluates while it makes a plan is in the plan: it holds for that context alone.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_plan_reads;
CREATE SCHEMA pr;
GRANT USAGE ON SCHEMA pr TO regress_plan_reads;
SET search_path = pr;
BEGIN;
CREATE TABLE doc (tenant_id text, id int, secret text, PRIMARY KEY (tenant_id, id));
CREATE TABLE team_doc (team_id int, secret text);
CREATE TABLE member (user_id text, team_id int);
SELECT rls_tenant.protect('doc');
SELECT rls_tenant.exempt('pr', 'team\_doc', 'a test'), rls_tenant.exempt('pr', 'member', 'a test');
COMMIT;
SELECT rls_tenant.add_membership('pr_teams', 'pr.member', 'user_id', 'team_id');
ALTER TABLE team_doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY members ON team_doc USING (rls_tenant.is_member(team_id, 'pr_teams'));
INSERT INTO doc SELECT t, i, format('%s-%s', t, i) FROM unnest('{A,B}'::text[]) t, generate_series(1, 2) i;
INSERT INTO team_doc VALUES (1, 'one'), (2, 'two');
INSERT INTO member VALUES ('u', 1), ('v', 2);
GRANT ALL ON doc, team_doc TO regress_plan_reads;
-- Wrongly labelled, in each language, and what calls them.
CREATE FUNCTION best() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT min(secret) FROM pr.doc';
CREATE FUNCTION best_plpgsql() RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT min(secret) FROM pr.doc); END';
CREATE FUNCTION tenant() RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN rls_tenant.current_tenant_text(); END';
CREATE FUNCTION tenant_or_none() RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  $$ BEGIN RETURN rls_tenant.current_tenant_text(); EXCEPTION WHEN object_not_in_prerequisite_state THEN RETURN 'none'; END $$;
CREATE FUNCTION pair() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT pr.best() || ' ' || pr.tenant() $$;
CREATE FUNCTION teams() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT string_agg(secret, ' ' ORDER BY secret) FROM pr.team_doc $$;
CREATE FUNCTION report() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN pr.best(); END';
CREATE FUNCTION report_sql() RETURNS SETOF text LANGUAGE sql VOLATILE AS $$ SELECT pr.best_plpgsql() || ' ' || pr.pair() $$;
CREATE FUNCTION report_row(OUT best text, OUT tenant text) LANGUAGE plpgsql AS 'BEGIN SELECT pr.best(), pr.tenant() INTO best, tenant; END';
CREATE FUNCTION report_teams() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN pr.teams(); END';
SET ROLE regress_plan_reads;
PREPARE p AS SELECT best(), best_plpgsql(), tenant(), pair();
PREPARE q(int) AS SELECT tenant() || $1;
\set step 'SELECT report(); SELECT * FROM report_sql(); SELECT * FROM report_row(); EXECUTE p; EXECUTE q(1);'
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; :step :step COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'B'; :step ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; :step COMMIT;
-- Without a context each raises.
SELECT report();
SELECT * FROM report_sql();
SELECT * FROM report_row();
EXECUTE p;
EXECUTE q(1);
-- What has a value without one has another with one, and the other way round.
PREPARE n AS SELECT tenant_or_none();
EXECUTE n;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; EXECUTE n; COMMIT;
EXECUTE n;
BEGIN; SAVEPOINT s; SET LOCAL rls_tenant.tenant_id = 'B'; EXECUTE n; ROLLBACK TO s; SET LOCAL rls_tenant.tenant_id = 'B'; EXECUTE n; COMMIT;
-- General plans.
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; EXECUTE q(1); EXECUTE q(2); COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'B'; EXECUTE q(1); COMMIT;
RESET plan_cache_mode;
-- Where values are not put into plans, or a transaction may change its tenant.
SET rls_tenant.plan_constants = off;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; :step COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'B'; :step COMMIT;
RESET rls_tenant.plan_constants;
RESET ROLE;
SET rls_tenant.one_tenant_per_transaction = off;
SET ROLE regress_plan_reads;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; :step SET LOCAL rls_tenant.tenant_id = 'B'; :step COMMIT;
DO $$ DECLARE found text := ''; BEGIN
  FOR i IN 1..2 LOOP
    PERFORM set_config('rls_tenant.tenant_id', chr(64 + i), true);
    found := found || pr.report() || ' ' || (SELECT string_agg(r, '') FROM pr.report_sql() r) || ' ' || pr.tenant() || ', ';
  END LOOP;
  RAISE NOTICE '%', found;
END $$;
RESET ROLE;
RESET rls_tenant.one_tenant_per_transaction;
-- Where a missing context gives NULL.
SET rls_tenant.missing_context = 'null';
SET ROLE regress_plan_reads;
EXECUTE p;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; EXECUTE p; COMMIT;
EXECUTE p;
SELECT report() IS NULL;
RESET ROLE;
RESET rls_tenant.missing_context;
SET ROLE regress_plan_reads;
EXECUTE p;
SELECT report();
-- Rows that outlive the transaction.
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; DECLARE h CURSOR WITH HOLD FOR SELECT best(); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; DECLARE h CURSOR WITH HOLD FOR SELECT 1 WHERE tenant() = 'A'; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; SELECT report(); DECLARE h CURSOR WITH HOLD FOR SELECT report(); SELECT report(); COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; SELECT report(); DECLARE h CURSOR WITH HOLD FOR SELECT * FROM report_row(); COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; DECLARE c CURSOR FOR SELECT best(); FETCH c; COMMIT;
-- To plan is to read.
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; EXPLAIN (COSTS OFF) SELECT best(); SET LOCAL rls_tenant.tenant_id = 'B'; ROLLBACK;
-- A function with a context of its own.
RESET ROLE;
CREATE FUNCTION of_b() RETURNS text LANGUAGE sql IMMUTABLE SET rls_tenant.tenant_id = 'B' AS 'SELECT min(secret) FROM pr.doc';
SET ROLE regress_plan_reads;
PREPARE b AS SELECT of_b();
EXECUTE b;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'B'; EXECUTE b; COMMIT;
EXECUTE b;
BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT of_b(); ROLLBACK;
-- Memberships, also those that end in the transaction.
PREPARE t AS SELECT teams();
BEGIN; SET LOCAL rls_tenant.user_id = 'u'; EXECUTE t; SELECT report_teams(); COMMIT;
BEGIN; SET LOCAL rls_tenant.user_id = 'v'; EXECUTE t; SELECT report_teams(); COMMIT;
EXECUTE t;
SELECT report_teams();
RESET ROLE;
BEGIN;
SET LOCAL rls_tenant.user_id = 'u';
SET LOCAL ROLE regress_plan_reads;
EXECUTE t; SELECT report_teams();
RESET ROLE;
DELETE FROM member WHERE user_id = 'u';
SET LOCAL ROLE regress_plan_reads;
EXECUTE t; SELECT report_teams();
ROLLBACK;
-- A function with the right label is evaluated for estimates alone: nothing is refused, and all is right.
RESET ROLE;
CREATE FUNCTION stable_tenant() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN rls_tenant.current_tenant_text(); END';
CREATE FUNCTION stable_best() RETURNS text LANGUAGE sql STABLE AS 'SELECT min(secret) FROM pr.doc';
ANALYZE doc;
SET ROLE regress_plan_reads;
PREPARE s AS SELECT secret FROM doc WHERE tenant_id = stable_tenant() AND secret >= stable_best() ORDER BY 1;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'A'; EXECUTE s; EXECUTE s; COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'B'; EXECUTE s; COMMIT;
EXECUTE s;
DO $$ DECLARE r text; BEGIN
  PERFORM set_config('rls_tenant.tenant_id', 'A', true);
  SELECT string_agg(secret, ' ') INTO r FROM pr.doc, generate_series(1, 2) WHERE secret = pr.stable_best() AND pr.stable_tenant() = 'A';
  RAISE NOTICE '%', r;
END $$;
-- Plans that read the context when they run are kept from one tenant to the next, as before.
PREPARE k AS SELECT count(*) FROM doc;
SELECT format('BEGIN; SET LOCAL rls_tenant.tenant_id = %L; EXECUTE k; COMMIT', t) FROM unnest('{A,B,A}'::text[]) t \gexec
SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE name = 'k';
RESET ROLE;
SET client_min_messages = warning;
SELECT rls_tenant.drop_membership('pr_teams');
DROP SCHEMA pr CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'pr';
DROP OWNED BY regress_plan_reads;
DROP ROLE regress_plan_reads;
