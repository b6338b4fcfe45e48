-- No plan carries one tenant's rows to another: prepared, generic, in functions, parallel, cursors; bound to one tenant
-- per transaction and not.
\set SHOW_CONTEXT never
CREATE ROLE regress_plans_app;
BEGIN;
CREATE TABLE plans_item (id int PRIMARY KEY, tenant_id int NOT NULL, rank int NOT NULL, note text NOT NULL);
CREATE INDEX plans_item_rank ON plans_item (rank);
INSERT INTO plans_item SELECT i, i % 3 + 1, i, 'tenant ' || i % 3 + 1 FROM generate_series(1, 3000) i;
SELECT rls_tenant.protect('plans_item');
GRANT SELECT, INSERT, UPDATE, DELETE ON plans_item TO regress_plans_app;
COMMIT;
ANALYZE plans_item;

-- A table without tenant.
SELECT rls_tenant.exempt('public', 'plans\_other', 'a test');
CREATE TABLE plans_other AS SELECT 1 AS id FROM generate_series(1, 1000);
GRANT SELECT ON plans_other TO regress_plans_app;

-- Whose rows a query gives, and how many.
CREATE FUNCTION plans_sql() RETURNS text STABLE LANGUAGE sql AS $$SELECT string_agg(DISTINCT note, ',') || ' ' || count(*) FROM plans_item$$;
CREATE FUNCTION plans_sql_kept() RETURNS text VOLATILE LANGUAGE sql SET work_mem = '4MB' AS $$SELECT string_agg(DISTINCT note, ',') || ' ' || count(*) FROM plans_item$$;
CREATE FUNCTION plans_plpgsql() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT string_agg(DISTINCT note, ',') || ' ' || count(*) FROM plans_item);
END $$;
CREATE FUNCTION plans_simple() RETURNS text LANGUAGE plpgsql AS $$
DECLARE t text := rls_tenant.current_tenant_text();
BEGIN
  RETURN t;
END $$;
PREPARE of_item AS SELECT string_agg(DISTINCT note, ',') || ' ' || count(*) AS rows FROM plans_item;
PREPARE of_rank(int) AS SELECT note FROM plans_item WHERE rank = $1;
SET ROLE regress_plans_app;

-- Each statement under three tenants in turn, and under none.
SET plan_cache_mode = force_generic_plan;
\set all_plans 'EXECUTE of_item; EXECUTE of_rank(1); SELECT plans_sql(), plans_sql_kept(), plans_plpgsql(), plans_simple();'
\pset format unaligned
\pset tuples_only on
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; :all_plans COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; :all_plans COMMIT;
BEGIN; SELECT rls_tenant.set_context(3::bigint); :all_plans ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '4'; :all_plans COMMIT;
EXECUTE of_item;
EXECUTE of_rank(1);
SELECT plans_sql();
SELECT plans_sql_kept();
SELECT plans_plpgsql();
SELECT plans_simple();
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; :all_plans COMMIT;
SET plan_cache_mode = force_custom_plan;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; :all_plans COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; :all_plans COMMIT;
EXECUTE of_item;
RESET plan_cache_mode;

-- Within one transaction, where that is allowed.
RESET ROLE;
SET rls_tenant.one_tenant_per_transaction = off;
SET ROLE regress_plans_app;
SET plan_cache_mode = force_generic_plan;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1'; :all_plans
SET LOCAL rls_tenant.tenant_id = '2'; :all_plans
SAVEPOINT s;
SELECT rls_tenant.clear_context();
SELECT plans_plpgsql();
ROLLBACK TO s;
SELECT plans_plpgsql();
COMMIT;
RESET plan_cache_mode;

-- A cursor by an index on another column keeps its key; it belongs to the tenant that it was opened for.
SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
EXPLAIN (COSTS OFF) SELECT note, rank FROM plans_item WHERE rank > 100 ORDER BY rank;
DECLARE by_rank CURSOR FOR SELECT note, rank FROM plans_item WHERE rank > 100 ORDER BY rank;
FETCH 2 FROM by_rank;
SET LOCAL rls_tenant.tenant_id = '2';
EXECUTE of_rank(1);
SET LOCAL rls_tenant.tenant_id = '3';
EXECUTE of_item;
RESET rls_tenant.tenant_id;
SET LOCAL rls_tenant.tenant_id = '1';
FETCH 2 FROM by_rank;
SET LOCAL rls_tenant.tenant_id = '2';
FETCH 2 FROM by_rank;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
DECLARE by_rank CURSOR FOR SELECT note, rank FROM plans_item WHERE rank > 100 ORDER BY rank;
FETCH 2 FROM by_rank;
RESET rls_tenant.tenant_id;
FETCH 2 FROM by_rank;
ROLLBACK;
-- Closing a cursor is no read.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
DECLARE a CURSOR FOR SELECT note FROM plans_item;
DECLARE b CURSOR FOR SELECT note FROM plans_item;
FETCH 1 FROM a;
SET LOCAL rls_tenant.tenant_id = '2';
CLOSE a;
COMMIT;
-- Data-modifying queries that nobody reads are a part of their statement.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
WITH x AS (UPDATE plans_item SET rank = rank), y AS (UPDATE plans_item SET note = note RETURNING set_config('rls_tenant.tenant_id', '2', true)) SELECT 1;
ROLLBACK;
-- The rows of a function are the tenant's, too.
CREATE FUNCTION pg_temp.rows_of_function() RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN RETURN QUERY SELECT note FROM plans_item ORDER BY rank; END $$;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
DECLARE c CURSOR FOR SELECT * FROM pg_temp.rows_of_function();
FETCH 1 FROM c;
SET LOCAL rls_tenant.tenant_id = '2';
FETCH 1 FROM c;
ROLLBACK;
-- Opened and not yet fetched; a context that is not there when it is opened.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
DECLARE c CURSOR FOR SELECT note FROM plans_item ORDER BY rank;
SET LOCAL rls_tenant.tenant_id = '2';
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
PREPARE late AS SELECT rls_tenant.current_tenant_text();
DECLARE c CURSOR FOR SELECT rls_tenant.current_tenant_text() FROM generate_series(1, 3);
SET LOCAL rls_tenant.tenant_id = '2';
FETCH 1 FROM c;
ROLLBACK;
RESET ROLE;
RESET rls_tenant.one_tenant_per_transaction;
SET ROLE regress_plans_app;
-- The same, bound to one tenant: the changes are refused or, where no check hook is asked, the next read is.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
DECLARE by_rank CURSOR FOR SELECT note, rank FROM plans_item WHERE rank > 100 ORDER BY rank;
FETCH 2 FROM by_rank;
SAVEPOINT s;
SET LOCAL rls_tenant.tenant_id = '2';
ROLLBACK TO s;
FETCH 2 FROM by_rank;
RESET rls_tenant.tenant_id;
FETCH 2 FROM by_rank;
ROLLBACK;
RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_sort;

-- A One-Time Filter that sets the context.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT count(*) FROM plans_item WHERE set_config('rls_tenant.tenant_id', '2', true) IS NOT NULL;
ROLLBACK;
BEGIN;
SELECT string_agg(DISTINCT note, ',') || ' ' || count(*) FROM plans_item WHERE set_config('rls_tenant.tenant_id', '2', true) IS NOT NULL;
ROLLBACK;
BEGIN;
SELECT plans_plpgsql() FROM (SELECT set_config('rls_tenant.tenant_id', '2', true)) s;
SELECT count(*) FROM plans_item WHERE set_config('rls_tenant.tenant_id', '1', true) IS NOT NULL;
ROLLBACK;
-- Planned in one transaction, run in another with a filter that sets the context.
SET plan_cache_mode = force_generic_plan;
PREPARE filtered(text) AS SELECT count(*), min(note), max(note) FROM plans_item WHERE set_config('rls_tenant.tenant_id', $1, true) IS NOT NULL;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; EXECUTE filtered('1'); COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; EXECUTE filtered('2'); COMMIT;
EXECUTE filtered('2');
EXECUTE filtered('3');

-- And where a switch between statements is allowed: none within a statement, in whatever disguise.
RESET ROLE;
SET rls_tenant.one_tenant_per_transaction = off;
SET ROLE regress_plans_app;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; EXECUTE filtered('1'); SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE filtered('2'); EXECUTE filtered('1'); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT note, set_config('rls_tenant.tenant_id', '2', true) FROM plans_item LIMIT 2; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; WITH s AS MATERIALIZED (SELECT set_config('rls_tenant.tenant_id', '2', true)) SELECT note FROM s, plans_item LIMIT 2; ROLLBACK;
CREATE FUNCTION pg_temp.rows_of_two() RETURNS SETOF text LANGUAGE plpgsql SET rls_tenant.tenant_id = '2' AS $$BEGIN RETURN QUERY SELECT note FROM plans_item ORDER BY rank LIMIT 2; END $$;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT * FROM pg_temp.rows_of_two(); EXECUTE of_item; SELECT * FROM plans_item, pg_temp.rows_of_two() LIMIT 1; ROLLBACK;
CREATE FUNCTION pg_temp.lazy() RETURNS SETOF text LANGUAGE sql VOLATILE AS $$SELECT note FROM plans_item ORDER BY rank$$;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT pg_temp.lazy(), set_config('rls_tenant.tenant_id', '2', true) LIMIT 3; ROLLBACK;
RESET ROLE;
RESET rls_tenant.one_tenant_per_transaction;
SET ROLE regress_plans_app;

-- Compiled just in time, where the server can.
SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0; SET enable_indexscan = off; SET enable_bitmapscan = off;
PREPARE compiled AS SELECT count(*), min(note), max(note) FROM plans_item;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; EXECUTE compiled; COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE compiled; COMMIT;
EXECUTE compiled;
SET jit = off;

-- A parallel plan, cached, whose leader takes no part.
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;
SET parallel_leader_participation = off; SET max_parallel_workers_per_gather = 2; SET enable_indexscan = off; SET enable_bitmapscan = off;
PREPARE in_parallel AS SELECT count(*), min(note), max(note) FROM plans_item;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; EXPLAIN (COSTS OFF) EXECUTE in_parallel; EXECUTE in_parallel; COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE in_parallel; COMMIT;
EXECUTE in_parallel;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '3';
EXECUTE in_parallel;
SAVEPOINT s;
RESET rls_tenant.tenant_id;                     -- the leader reads nothing by itself, but it starts the plan
EXECUTE in_parallel;
ROLLBACK TO s;
EXECUTE in_parallel;
COMMIT;
CREATE FUNCTION pg_temp.as_two() RETURNS text LANGUAGE plpgsql SET rls_tenant.tenant_id = '2' AS $$
BEGIN RETURN (SELECT count(*) || ' ' || min(note) || ' ' || max(note) FROM plans_item); END $$;
BEGIN; SELECT pg_temp.as_two(); EXECUTE in_parallel; ROLLBACK;
BEGIN; SELECT pg_temp.as_two(); SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE in_parallel; COMMIT;
SELECT pg_temp.as_two();
-- Workers that read by a function, of which the leader knows nothing: what is set when they start is read.
CREATE FUNCTION pg_temp.switching_worker() RETURNS text STABLE PARALLEL SAFE LANGUAGE plpgsql SET rls_tenant.tenant_id = '2' AS $$BEGIN RETURN (SELECT min(note) FROM plans_item); END $$;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT max(pg_temp.switching_worker()) FROM plans_other;
ROLLBACK;
SELECT max(pg_temp.switching_worker()) FROM plans_other;
CREATE FUNCTION pg_temp.in_worker() RETURNS text STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT min(note) FROM plans_item); END $$;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
EXPLAIN (COSTS OFF) SELECT max(pg_temp.in_worker()) FROM plans_other;
SELECT max(pg_temp.in_worker()) FROM plans_other;
SET LOCAL rls_tenant.tenant_id = '2';
ROLLBACK;
RESET ROLE;
SET rls_tenant.missing_context = 'null';
SET rls_tenant.one_tenant_per_transaction = off;
SET ROLE regress_plans_app;
EXECUTE in_parallel;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1'; EXECUTE in_parallel;
SET LOCAL rls_tenant.tenant_id = '2'; EXECUTE in_parallel;
SET LOCAL rls_tenant.tenant_id = ''; EXECUTE in_parallel;
COMMIT;
RESET ROLE;

RESET ALL;
DROP FUNCTION pg_temp.as_two, pg_temp.rows_of_two, pg_temp.lazy, pg_temp.in_worker, pg_temp.switching_worker, pg_temp.rows_of_function, plans_sql, plans_sql_kept, plans_plpgsql, plans_simple;
DROP TABLE plans_item, plans_other;
DELETE FROM rls_tenant.exemption;
DROP ROLE regress_plans_app;
