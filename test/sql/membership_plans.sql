-- What the planner makes of is_member(): index conditions, estimates, the order of conditions, parallel plans.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_membership_plans;
CREATE SCHEMA membership_plans;
GRANT USAGE ON SCHEMA membership_plans TO regress_membership_plans;
SELECT rls_tenant.exempt('membership_plans', x, 'a test') FROM unnest('{member,wide,words,plain,ordered,for\_team\__}'::text[]) x;
SET search_path = membership_plans;
CREATE TABLE member (user_id int, tenant_id int, role text, PRIMARY KEY (user_id, tenant_id));
INSERT INTO member SELECT u, (u * 7 + k) % 1000, CASE k WHEN 0 THEN 'admin' ELSE 'reader' END FROM generate_series(1, 100) u, generate_series(0, 4) k;
SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id', 'role');

-- Six tables of the same rows with other indexes.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE TABLE of_one (tenant_id int, id int, note text);
CREATE TABLE of_two (tenant_id int, id int, note text, PRIMARY KEY (tenant_id, id));
CREATE TABLE of_second (id int, tenant_id int, note text, PRIMARY KEY (id, tenant_id));
CREATE TABLE of_hash (tenant_id int, id int, note text);
CREATE TABLE of_expression (tenant_id int, id int, note text);
CREATE TABLE of_parts (tenant_id int, id int, note text, PRIMARY KEY (tenant_id, id)) PARTITION BY HASH (tenant_id);
CREATE TABLE of_parts_0 PARTITION OF of_parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE of_parts_1 PARTITION OF of_parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT rls_tenant.protect(t, membership => 'tenant') FROM unnest('{of_one,of_two,of_second,of_hash,of_expression,of_parts}'::regclass[]) t;
DROP INDEX of_second_tenant_id_idx, of_hash_tenant_id_idx, of_expression_tenant_id_idx;
CREATE INDEX ON of_hash USING hash (tenant_id);
CREATE INDEX ON of_expression ((tenant_id + 0));
COMMIT;
CREATE TABLE plain (id int PRIMARY KEY, team smallint, word varchar(20));
INSERT INTO plain SELECT g, g % 100, 'w' || g % 100 FROM generate_series(1, 1000) g;
SET row_security = off;
DO $$ DECLARE t regclass; BEGIN
  FOREACH t IN ARRAY '{of_one,of_two,of_second,of_hash,of_expression,of_parts}'::regclass[] LOOP
    EXECUTE format('INSERT INTO %s (tenant_id, id, note) SELECT g %% 1000, g, ''n'' FROM generate_series(1, 20000) g', t);
  END LOOP; END $$;
RESET row_security;
DO $$ DECLARE t regclass; BEGIN
  FOREACH t IN ARRAY '{of_one,of_two,of_second,of_hash,of_expression,of_parts_0,of_parts_1,plain}'::regclass[] LOOP
    EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', t);
  END LOOP; END $$;
VACUUM ANALYZE of_one, of_two, of_second, of_hash, of_expression, of_parts, plain;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA membership_plans TO regress_membership_plans;
REVOKE ALL ON member FROM regress_membership_plans;
SET ROLE regress_membership_plans;
SET max_parallel_workers_per_gather = 0;

-- Index conditions: the column alone, with others, not the first; in partitions, joins, UPDATE and DELETE.
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM of_one;
EXPLAIN (COSTS OFF) SELECT * FROM of_two;
EXPLAIN (COSTS OFF) SELECT * FROM of_two WHERE id = 119;
-- (Not the first: only from PostgreSQL 17 on, since before its rows would not come in the order that the planner counts on.)
SET LOCAL enable_sort = off;
SELECT id, tenant_id FROM of_second WHERE id BETWEEN 100 AND 2130 ORDER BY id LIMIT 7;
SET LOCAL enable_sort = on;
SET LOCAL enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM of_parts;
SET LOCAL enable_seqscan = on;
EXPLAIN (COSTS OFF) SELECT * FROM plain JOIN of_two USING (id) WHERE plain.id = 119;
EXPLAIN (COSTS OFF) UPDATE of_one SET note = 'm';
EXPLAIN (COSTS OFF) DELETE FROM of_two;
SELECT count(*), min(tenant_id), max(tenant_id) FROM of_one;
SELECT count(*), min(tenant_id), max(tenant_id) FROM of_two;
SELECT count(*), min(tenant_id), max(tenant_id) FROM of_second;
SELECT count(*), min(tenant_id), max(tenant_id) FROM of_hash;
SELECT count(*), min(tenant_id), max(tenant_id) FROM of_expression;
SELECT count(*), min(tenant_id), max(tenant_id) FROM of_parts;
SELECT of_two.id FROM plain JOIN of_two USING (id) WHERE plain.id IN (119, 124);
-- A hash index and one on an expression are left alone.
EXPLAIN (COSTS OFF) SELECT * FROM of_hash;
EXPLAIN (COSTS OFF) SELECT * FROM of_expression;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
WITH u AS (UPDATE of_one SET note = 'm' RETURNING tenant_id) SELECT count(*), min(tenant_id), max(tenant_id) FROM u;
WITH d AS (DELETE FROM of_two RETURNING tenant_id) SELECT count(*), min(tenant_id), max(tenant_id) FROM d;
UPDATE of_parts SET tenant_id = 500 WHERE id = 119;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
INSERT INTO of_parts VALUES (120, 0, 'mine');
INSERT INTO of_parts VALUES (500, 0, 'theirs');
ROLLBACK;

-- Written by hand: columns of other types, a role, a source that varies, OR and NOT.
RESET ROLE;
CREATE TABLE wide (user_id int, team bigint, role text);
CREATE TABLE words (user_id int, word text);
INSERT INTO wide VALUES (17, 5, 'admin'), (17, 6, 'reader');
INSERT INTO words VALUES (17, 'w5'), (17, 'w6');
SELECT rls_tenant.add_membership('team', 'wide', 'user_id', 'team', 'role'), rls_tenant.add_membership('word', 'words', 'user_id', 'word');
CREATE INDEX ON plain (team);
CREATE INDEX ON plain (word);
SET ROLE regress_membership_plans;
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE rls_tenant.is_member(team, 'team');
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE rls_tenant.is_member(word, 'word');
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE rls_tenant.has_role(team, 'admin', 'team');
PREPARE of_role(text) AS SELECT count(*) FROM plain WHERE rls_tenant.has_role(team, $1, 'team');
SET LOCAL plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE of_role('admin');
EXECUTE of_role('admin');
EXECUTE of_role(NULL);
SELECT count(*) FROM plain WHERE rls_tenant.is_member(team, 'team');
SELECT count(*) FROM plain WHERE rls_tenant.is_member(word, 'word');
SELECT count(*) FROM plain WHERE rls_tenant.is_member(team, 'team') OR rls_tenant.is_member(word, 'word');
SELECT count(*) FROM plain WHERE NOT rls_tenant.is_member(team, 'team');
SELECT count(*) FROM plain WHERE rls_tenant.is_member(word, CASE WHEN id % 2 = 0 THEN 'word' ELSE word END) AND id % 2 = 0;
ROLLBACK;

-- A bitmap scan needs no filter beside the index condition: none for is_member(), nor for a role that is constant.
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM of_two WHERE note = 'n';
EXPLAIN (COSTS OFF) SELECT * FROM of_two WHERE id < 500;
EXPLAIN (COSTS OFF) SELECT * FROM of_parts WHERE id IN (SELECT id FROM of_one);
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE rls_tenant.has_role(team, 'admin', 'team');
SELECT count(*) FROM plain WHERE rls_tenant.has_role(team, (SELECT 'admin'), 'team');
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE rls_tenant.is_member(team, 'team') AND rls_tenant.has_role(team, 'admin', 'team');
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE rls_tenant.is_member(team, 'team') OR rls_tenant.is_member(word, 'word');
SELECT count(*) FROM of_parts WHERE id IN (SELECT id FROM of_one);
SELECT count(*) FROM plain WHERE rls_tenant.is_member(team, 'team') AND rls_tenant.has_role(team, 'admin', 'team');
SELECT count(*) FROM plain WHERE rls_tenant.is_member(team, 'team') OR rls_tenant.is_member(word, 'word');
ROLLBACK;

-- A variable of PL/pgSQL is not constant, though its expression is kept; nor is a parameter.
RESET ROLE;
CREATE FUNCTION in_loop() RETURNS text LANGUAGE plpgsql AS $$
DECLARE t text := ''; s text; g bigint; r text;
BEGIN
  FOREACH s IN ARRAY '{team,tenant,team}'::text[] LOOP
    FOREACH g IN ARRAY '{5,6,119}'::bigint[] LOOP
      t := t || format(' %s/%s:%s', s, g, rls_tenant.is_member(g, s));
      FOREACH r IN ARRAY '{admin,reader}'::text[] LOOP t := t || rls_tenant.has_role(g, r, s)::text; END LOOP;
    END LOOP;
  END LOOP;
  RETURN t;
END $$;
CREATE TABLE for_team_5 AS SELECT * FROM plain;
CREATE TABLE for_team_7 AS SELECT * FROM plain;
ANALYZE for_team_5, for_team_7;
ALTER TABLE for_team_5 ENABLE ROW LEVEL SECURITY;
ALTER TABLE for_team_7 ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON for_team_5 USING (rls_tenant.is_member(5, 'team'));
CREATE POLICY p ON for_team_7 USING (rls_tenant.is_member(7, 'team'));
GRANT SELECT ON for_team_5, for_team_7 TO regress_membership_plans;
SET ROLE regress_membership_plans;
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
SELECT in_loop();
SELECT (SELECT count(*) FROM for_team_5), (SELECT count(*) FROM for_team_7);
ROLLBACK;

-- Estimates: from the user's groups and the column's statistics.
CREATE FUNCTION pg_temp.estimate(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE plan json; BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
  RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
SELECT pg_temp.estimate('SELECT * FROM of_one') BETWEEN 80 AND 120;
SELECT pg_temp.estimate('SELECT * FROM of_hash') BETWEEN 80 AND 120;
SELECT pg_temp.estimate('SELECT * FROM of_one WHERE rls_tenant.has_role(tenant_id, ''admin'')') < 10;
SELECT pg_temp.estimate('SELECT * FROM for_team_5'), pg_temp.estimate('SELECT * FROM for_team_7');
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = '1000';
SELECT pg_temp.estimate('SELECT * FROM of_one') BETWEEN 15 AND 25;
SELECT count(*) FROM of_one;
ROLLBACK;
-- Without a user planning raises, as with the getters.
EXPLAIN (COSTS OFF) SELECT * FROM of_one;

-- The order of conditions: dear checks last among the policy's and the leakproof ones, cheap ones first.
RESET ROLE;
CREATE TABLE ordered (tenant_id int, rank int, note text);
ALTER TABLE ordered ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON ordered USING (rls_tenant.is_member(tenant_id) AND rank > 5 AND note ~ 'x');
INSERT INTO ordered VALUES (3, 9, 'x: the secret of tenant 3');
GRANT SELECT ON ordered TO regress_membership_plans;
SET ROLE regress_membership_plans;
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
SET LOCAL rls_tenant.membership_cost = 5;
EXPLAIN (COSTS OFF) SELECT * FROM ordered WHERE tenant_id = 3;
SET LOCAL rls_tenant.membership_cost = 0;
EXPLAIN (COSTS OFF) SELECT * FROM ordered WHERE tenant_id = 3;
-- A check is not leakproof: an error of its source must not reveal rows that a policy hides.
SELECT * FROM ordered WHERE rls_tenant.is_member(119, CASE WHEN tenant_id = 3 THEN note ELSE 'tenant' END);
-- What is not leakproof waits, whatever it costs.
SET LOCAL rls_tenant.membership_cost = 1000;
EXPLAIN (COSTS OFF) SELECT * FROM ordered WHERE tenant_id = 3 AND note || 'y' = 'xy';
-- -1: the COST of the function, which a DBA may change (but no dump carries that).
SET LOCAL rls_tenant.membership_cost = -1;
EXPLAIN (COSTS OFF) SELECT * FROM ordered WHERE tenant_id = 3;
RESET ROLE;
ALTER FUNCTION rls_tenant.is_member(integer, text) COST 100;
SET ROLE regress_membership_plans;
EXPLAIN (COSTS OFF) SELECT * FROM ordered WHERE tenant_id = 3;
ROLLBACK;
SET rls_tenant.membership_cost = -2;

-- Parallel plans: workers are given what their leader was given.
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL min_parallel_index_scan_size = 0;
SET LOCAL cpu_tuple_cost = 10;
EXPLAIN (COSTS OFF) SELECT count(*), min(tenant_id), max(tenant_id) FROM of_hash;
SELECT count(*), min(tenant_id), max(tenant_id) FROM of_hash;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*), min(tenant_id), max(tenant_id) FROM of_two;
SELECT count(*), min(tenant_id), max(tenant_id) FROM of_two;
SET LOCAL enable_bitmapscan = on;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
EXPLAIN (COSTS OFF) SELECT count(*), min(tenant_id), max(tenant_id) FROM of_one;
SELECT count(*), min(tenant_id), max(tenant_id) FROM of_one;
COMMIT;
-- A parallel plan within a function of a parallel plan.
RESET ROLE;
CREATE FUNCTION inner_count(int) RETURNS bigint STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT count(*) FROM membership_plans.of_hash WHERE id < 1000 + $1); END $$;
SET ROLE regress_membership_plans;
BEGIN;
SET LOCAL rls_tenant.user_id = '17';
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT sum(inner_count(id)) FROM of_two WHERE id < 1200;
COMMIT;
SET rls_tenant.handed_down = '1';
RESET ROLE;
SET rls_tenant.handed_down = '1';

SET client_min_messages = warning;
DROP SCHEMA membership_plans CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'membership_plans';
DROP OWNED BY regress_membership_plans;
DROP ROLE regress_membership_plans;
