-- Plans for partitioned and foreign tables hold the value of the context, and so do plans that are run once: they prune when
-- they are made, and no plan runs for another tenant than the one it was made for.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_constants;
CREATE SCHEMA pc;
GRANT USAGE ON SCHEMA pc TO regress_constants;
SET search_path = pc;
SELECT rls_tenant.exempt('pc', 'plain\_other', 'a test'), rls_tenant.exempt('pc', 'log', 'a test');
BEGIN;
CREATE TABLE parted (tenant_id int, id int, body text, PRIMARY KEY (tenant_id, id)) PARTITION BY LIST (tenant_id);
SELECT format('CREATE TABLE parted_%s PARTITION OF parted FOR VALUES IN (%s)', i, i) FROM generate_series(1, 4) i \gexec
CREATE TABLE words (tenant_id text, id int) PARTITION BY LIST (tenant_id);
SELECT format('CREATE TABLE words_%s PARTITION OF words FOR VALUES IN (%L)', i, i) FROM generate_series(1, 4) i \gexec
CREATE TABLE ids (tenant_id uuid, id int) PARTITION BY LIST (tenant_id);
SELECT format('CREATE TABLE ids_%s PARTITION OF ids FOR VALUES IN (%L)', i, repeat(i::text, 32)) FROM generate_series(1, 4) i \gexec
CREATE TABLE plain (tenant_id int, id int, PRIMARY KEY (tenant_id, id));
CREATE TABLE children (tenant_id int, id int, parted_id int, FOREIGN KEY (tenant_id, parted_id) REFERENCES parted (tenant_id, id));
CREATE TABLE plain_other (id int);
SELECT rls_tenant.protect(t) FROM unnest('{parted,words,ids,plain,children}'::regclass[]) t;
CREATE TABLE log (entry text);
CREATE VIEW parted_view WITH (security_invoker) AS SELECT id, body FROM parted WHERE id < 3;
COMMIT;
INSERT INTO parted SELECT t, i, format('%s-%s', t, i) FROM generate_series(1, 4) t, generate_series(1, 3) i;
INSERT INTO words SELECT t, t FROM generate_series(1, 4) t;
INSERT INTO ids SELECT repeat(t::text, 32)::uuid, t FROM generate_series(1, 4) t;
INSERT INTO plain SELECT t, i FROM generate_series(1, 4) t, generate_series(1, 3) i;
INSERT INTO plain_other VALUES (1);
ANALYZE;
GRANT ALL ON ALL TABLES IN SCHEMA pc TO regress_constants;

-- Which relations a plan reads, and whether it asks for the context when it runs: one that is kept, or one to be run once.
CREATE FUNCTION pc.plan_of(query text, kept boolean DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; relations text[]; asks boolean := false;
BEGIN
  IF kept THEN EXECUTE 'PREPARE pc_plan_of AS ' || query; END IF;
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || CASE WHEN kept THEN 'EXECUTE pc_plan_of' ELSE query END LOOP
    relations := relations || substring(line FROM '(?:Scan(?: using \w+)?|Insert|Update|Delete|Merge) on (\w+)');
    asks := asks OR line ~ 'fast_tenant';
  END LOOP;
  IF kept THEN DEALLOCATE pc_plan_of; END IF;
  -- In whatever order they are joined.
  RETURN (SELECT coalesce(string_agg(' ' || r, '' ORDER BY r COLLATE "C"), '') FROM unnest(relations) r) || CASE WHEN asks THEN ' (asks)' ELSE '' END;
END $$;
SET ROLE regress_constants;
SET enable_bitmapscan = off;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '2';
SELECT n, plan_of(q), plan_of(q, kept => false) FROM (VALUES
  (1, 'SELECT * FROM parted'),
  (2, 'SELECT * FROM words'),
  (3, 'SELECT * FROM plain'),
  (4, 'SELECT * FROM parted JOIN plain USING (id)'),
  (5, 'SELECT * FROM plain WHERE id IN (SELECT id FROM parted)'),
  (6, 'WITH p AS MATERIALIZED (SELECT * FROM parted) SELECT * FROM p, plain_other'),
  (7, 'SELECT * FROM parted_view'),
  (8, 'SELECT (SELECT max(id) FROM parted) FROM plain_other'),
  (9, 'SELECT id FROM parted UNION ALL SELECT id FROM plain'),
  (10, 'UPDATE parted SET body = body'),
  (11, 'DELETE FROM parted'),
  (12, 'MERGE INTO parted p USING plain_other o ON p.id = o.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (o.id)'),
  (13, 'INSERT INTO plain SELECT 2, id + 10 FROM parted'),
  (14, 'SELECT * FROM parted WHERE tenant_id = rls_tenant.current_tenant_bigint()'),
  (15, 'SELECT * FROM ONLY parted'),
  (16, 'SELECT * FROM parted_2')) v(n, q) ORDER BY n;
COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '{22222222-2222-2222-2222-222222222222}'; SELECT plan_of('SELECT * FROM ids'); COMMIT;
-- Where a policy wraps the call: the value is found behind a cast, too, and in a list.
RESET ROLE;
SET rls_tenant.guard = off;
CREATE TABLE wrapped (tenant_id int, id int) PARTITION BY LIST (tenant_id);
SELECT format('CREATE TABLE wrapped_%s PARTITION OF wrapped FOR VALUES IN (%s)', i, i) FROM generate_series(0, 4) i \gexec
ALTER TABLE wrapped ENABLE ROW LEVEL SECURITY;
CREATE POLICY cast_call ON wrapped USING (tenant_id = rls_tenant.current_tenant_bigint()::int);
CREATE POLICY listed ON wrapped AS RESTRICTIVE USING (tenant_id IN (0, rls_tenant.current_tenant_bigint()));
GRANT ALL ON wrapped TO regress_constants;
RESET rls_tenant.guard;
SET ROLE regress_constants;
PREPARE wrapped_row(int) AS SELECT FROM wrapped WHERE id = $1;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; SELECT plan_of('SELECT FROM wrapped'), plan_of('SELECT FROM wrapped', kept => false); EXPLAIN (COSTS OFF) EXECUTE wrapped_row(1); COMMIT;
DEALLOCATE wrapped_row;
-- A text that is no uuid, or no context, is left to the call that says so.
BEGIN; SET LOCAL rls_tenant.tenant_id = 'x'; SELECT * FROM ids; ROLLBACK;
BEGIN; SELECT * FROM ids; ROLLBACK;
-- Off.
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; SET LOCAL rls_tenant.plan_constants = off; SELECT plan_of('SELECT * FROM parted WHERE id = 1'); COMMIT;
-- To plan is to read.
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXPLAIN (COSTS OFF) SELECT FROM parted; SET LOCAL rls_tenant.tenant_id = '3'; ROLLBACK;

-- What is kept from one transaction to the next: prepared statements, with and without parameters, …
PREPARE all_rows AS SELECT body FROM parted ORDER BY 1;
PREPARE one_row(int) AS SELECT body FROM parted WHERE id = $1;
PREPARE change(int, text) AS UPDATE parted SET body = $2 WHERE id = $1 RETURNING body;
PREPARE mixed AS SELECT string_agg(p.body, ',' ORDER BY p.body) FROM parted p JOIN plain USING (tenant_id, id);
-- … functions in every language that keeps plans, …
RESET ROLE;
CREATE FUNCTION pc.rows_plpgsql() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT string_agg(body, ',' ORDER BY body) FROM pc.parted); END $$;
CREATE FUNCTION pc.rows_sql() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT string_agg(body, ',' ORDER BY body) FROM pc.parted $$;
CREATE FUNCTION pc.rows_loop() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; result text := '';
BEGIN FOR r IN SELECT body FROM pc.parted ORDER BY body LOOP result := result || r.body || ' '; END LOOP; RETURN result; END $$;
CREATE FUNCTION pc.log_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO pc.log SELECT string_agg(body, ',' ORDER BY body) FROM pc.parted; RETURN NEW; END $$;
CREATE TRIGGER log_rows AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION pc.log_rows();
CREATE DOMAIN pc.known AS text CHECK (pc.rows_sql() LIKE '%' || VALUE || '%');
SET ROLE regress_constants;
-- … as one tenant after the other, some twice, in committed and undone transactions, each under all of them.
\set step 'EXECUTE all_rows; EXECUTE one_row(2); EXECUTE change(1, rls_tenant.current_tenant_text() || \'-1\'); EXECUTE mixed; SELECT rows_plpgsql(), rows_sql(), rows_loop(); INSERT INTO plain (id) VALUES (9); DELETE FROM plain WHERE id = 9; SELECT body::pc.known FROM parted WHERE id = 3; INSERT INTO children (id, parted_id) VALUES (1, 3);'
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; :step COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; :step ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; :step COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; :step COMMIT;
BEGIN; SAVEPOINT a; SET LOCAL rls_tenant.tenant_id = '4'; ROLLBACK TO a; SET LOCAL rls_tenant.tenant_id = '3'; :step ROLLBACK;
SELECT entry FROM log;
-- Seven times each: PostgreSQL changes from plans for given parameters to general ones.
SELECT format('BEGIN; SET LOCAL rls_tenant.tenant_id = %L; EXECUTE one_row(%s); COMMIT', t, 1 + i % 3) FROM generate_series(1, 7) i, generate_series(1, 2) t \gexec
-- None without a context, with a plan that is there.
EXECUTE all_rows;
BEGIN; EXPLAIN EXECUTE all_rows; ROLLBACK;
-- A context that a function sets for itself.
CREATE FUNCTION pg_temp.as_three() RETURNS text LANGUAGE plpgsql SET rls_tenant.tenant_id = '3' AS $$ BEGIN RETURN pc.rows_plpgsql(); END $$;
SELECT pg_temp.as_three();
BEGIN; SET LOCAL rls_tenant.tenant_id = '3'; EXECUTE all_rows; SELECT pg_temp.as_three(); COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE all_rows; SELECT pg_temp.as_three(); ROLLBACK;
-- Where a missing context gives NULL.
RESET ROLE;
SET rls_tenant.missing_context = 'null';
SET ROLE regress_constants;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE all_rows; COMMIT;
EXECUTE all_rows;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE all_rows; COMMIT;
SELECT rows_plpgsql() IS NULL;
-- A plan that is kept is dropped, too, where a missing context begins to give NULL.
RESET ROLE;
RESET rls_tenant.missing_context;
SET ROLE regress_constants;
PREPARE kept AS SELECT body FROM parted ORDER BY 1;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE kept; COMMIT;
RESET ROLE;
SET rls_tenant.missing_context = 'null';
SET ROLE regress_constants;
EXECUTE kept;
RESET ROLE;
RESET rls_tenant.missing_context;
SET ROLE regress_constants;
EXECUTE kept;
-- A plan that only inserts asks when it runs: no tenant would prune it.
PREPARE add(int) AS INSERT INTO parted (id) VALUES ($1);
BEGIN; SET LOCAL rls_tenant.tenant_id = '3'; EXPLAIN (VERBOSE, COSTS OFF) EXECUTE add(99); COMMIT;
RESET ROLE;
-- A transaction that may change its tenant gets no constants, and its plans in call sites of functions stay right.
SET rls_tenant.one_tenant_per_transaction = off;
SET ROLE regress_constants;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; SELECT plan_of('SELECT * FROM parted WHERE id = 1') ~ 'asks'; COMMIT;
DO $$ DECLARE found text := ''; BEGIN
  FOR i IN 1..3 LOOP PERFORM set_config('rls_tenant.tenant_id', i::text, true); found := found || pc.rows_sql() || ' '; END LOOP;
  RAISE NOTICE '%', found;
END $$;
RESET ROLE;
RESET rls_tenant.one_tenant_per_transaction;
-- Up to PostgreSQL 17 a plan in the call site of a function is out of reach while its statement runs: it is refused. From
-- 18 on it is dropped like all others.
RESET ROLE;
CREATE FUNCTION pc.switch(id text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  PERFORM set_config('rls_tenant.one_tenant_per_transaction', 'off', true), set_config('rls_tenant.tenant_id', id, true);
  RETURN ' ';
END $$;
SET ROLE regress_constants;
DO $$ DECLARE found text; BEGIN
  PERFORM set_config('rls_tenant.tenant_id', '1', true);
  SELECT string_agg(pc.rows_sql() || pc.switch('2'), '') INTO found FROM generate_series(1, 2);
  RAISE NOTICE '%', current_setting('server_version_num')::int >= 180000 AND found ~ '^1-[^ ]* 2-[^ ]* $';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RAISE NOTICE '%', current_setting('server_version_num')::int < 180000 AND SQLERRM = 'cached plan was made for another tenant';
END $$;
-- Cursors keep what they were opened with; those of another transaction are gone.
SET ROLE regress_constants;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; DECLARE c CURSOR FOR SELECT body FROM parted ORDER BY 1; FETCH 2 FROM c; SET LOCAL rls_tenant.tenant_id = '3'; ROLLBACK;
-- Parallel plans.
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('debug_parallel_query', 'force_parallel_mode');
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE mixed; SELECT count(*) FROM parted; COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '3'; EXECUTE mixed; SELECT count(*) FROM parted; COMMIT;
RESET ROLE;
-- Foreign tables: the condition is sent with the value.
CREATE EXTENSION postgres_fdw;
DO $$ BEGIN
  EXECUTE format('CREATE SERVER pc_loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
    split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR regress_constants SERVER pc_loop OPTIONS (user 'postgres', password_required 'false');
CREATE FOREIGN TABLE far (tenant_id int, id int, body text) SERVER pc_loop OPTIONS (schema_name 'pc', table_name 'parted');
GRANT SELECT ON far TO regress_constants;
SET ROLE regress_constants;
PREPARE far_rows AS SELECT body FROM far WHERE tenant_id = rls_tenant.current_tenant_bigint() ORDER BY 1;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXPLAIN (VERBOSE, COSTS OFF) EXECUTE far_rows; EXECUTE far_rows; COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '3'; EXECUTE far_rows; COMMIT;
EXECUTE far_rows;
RESET ROLE;
-- DDL that drops plans by itself.
ALTER TABLE parted ADD COLUMN more int;
SET ROLE regress_constants;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; EXECUTE all_rows; COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE all_rows; COMMIT;
DISCARD PLANS;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; EXECUTE all_rows; COMMIT;

RESET ROLE;
SET client_min_messages = warning;
DROP EXTENSION postgres_fdw CASCADE;
DROP SCHEMA pc CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'pc';
DROP OWNED BY regress_constants;
DROP ROLE regress_constants;
