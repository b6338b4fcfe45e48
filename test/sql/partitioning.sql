-- Partitioned tenant tables, as doc/partitioning.md makes them: by hash, list and range, with partitions of partitions, a
-- default one, and such as come later. The planner prunes to the tenant's.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_part_owner;
CREATE ROLE regress_part_app;
CREATE SCHEMA part AUTHORIZATION regress_part_owner;
GRANT USAGE ON SCHEMA part TO regress_part_app;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_part_owner IN SCHEMA part GRANT ALL ON TABLES TO regress_part_app;
SET ROLE regress_part_owner;
SET search_path = part;

-- By hash.
BEGIN;
CREATE TABLE invoice (
  tenant_id bigint, id bigint, total numeric,
  PRIMARY KEY (tenant_id, id)
) PARTITION BY HASH (tenant_id);
CREATE TABLE invoice_0 PARTITION OF invoice FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE invoice_1 PARTITION OF invoice FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE invoice_2 PARTITION OF invoice FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE invoice_3 PARTITION OF invoice FOR VALUES WITH (MODULUS 4, REMAINDER 3);
SELECT rls_tenant.protect('invoice');
COMMIT;
-- By list: large tenants have their own, everybody else the default.
BEGIN;
CREATE TABLE event (
  tenant_id bigint, happened_at date, body text
) PARTITION BY LIST (tenant_id);
CREATE TABLE event_42 PARTITION OF event FOR VALUES IN (42);
CREATE TABLE event_rest PARTITION OF event DEFAULT;
SELECT rls_tenant.protect('event');
COMMIT;
-- By range of the tenant's id, and by time below.
BEGIN;
CREATE TABLE reading (
  tenant_id bigint, taken_at date, value numeric
) PARTITION BY RANGE (tenant_id);
CREATE TABLE reading_1 PARTITION OF reading FOR VALUES FROM (1) TO (1000) PARTITION BY RANGE (taken_at);
CREATE TABLE reading_1_2026 PARTITION OF reading_1 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE reading_2 PARTITION OF reading FOR VALUES FROM (1000) TO (MAXVALUE);
SELECT rls_tenant.protect('reading');
COMMIT;
-- By time: what retention asks for.
BEGIN;
CREATE TABLE visit (
  tenant_id bigint, seen_at date, page text
) PARTITION BY RANGE (seen_at);
CREATE TABLE visit_2026_10 PARTITION OF visit FOR VALUES FROM ('2026-10-01') TO ('2026-11-01');
CREATE TABLE visit_2026_11 PARTITION OF visit FOR VALUES FROM ('2026-11-01') TO ('2026-12-01');
SELECT rls_tenant.protect('visit');
COMMIT;

-- Partitions that come later need nothing: the guard enables and forces row-level security on them.
CREATE TABLE event_43 PARTITION OF event FOR VALUES IN (43);
CREATE TABLE reading_1_2027 PARTITION OF reading_1 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
-- So does one that was filled before it was attached.
BEGIN;
CREATE TABLE visit_2026_12 (LIKE visit INCLUDING DEFAULTS, CHECK (seen_at >= '2026-12-01' AND seen_at < '2027-01-01'));
INSERT INTO visit_2026_12 VALUES (41, '2026-12-24', 'a'), (42, '2026-12-24', 'b');
ALTER TABLE visit ATTACH PARTITION visit_2026_12 FOR VALUES FROM ('2026-12-01') TO ('2027-01-01');
COMMIT;
-- In two transactions it would stand open in between: the first is refused.
CREATE TABLE visit_2027_01 (LIKE visit INCLUDING DEFAULTS);
RESET ROLE;
SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity, string_agg(polname, ' ' ORDER BY polname)
FROM pg_class c LEFT JOIN pg_policy ON polrelid = c.oid WHERE relnamespace = 'part'::regnamespace AND relkind IN ('r', 'p')
GROUP BY 1, 2 ORDER BY 1;
SELECT relation, tenant_column, ancestor FROM rls_tenant.tenant_tables() WHERE relation::text LIKE '%reading%' ORDER BY relation::text;

-- Rows find their partition, and a tenant sees its own.
SET ROLE regress_part_app;
SELECT format('BEGIN; SELECT rls_tenant.set_context(%s::bigint);
  INSERT INTO invoice (id, total) VALUES (1, %1$s); INSERT INTO event (happened_at, body) VALUES (''2026-11-01'', ''%1$s'');
  INSERT INTO reading (taken_at, value) VALUES (''2026-05-05'', %1$s); INSERT INTO visit (seen_at, page) VALUES (''2026-10-10'', ''%1$s'');
  COMMIT', t) FROM unnest('{41,42,43}'::int[]) t \gexec
BEGIN;
SELECT rls_tenant.set_context(42::bigint);
SELECT tableoid::regclass, * FROM invoice;
SELECT tableoid::regclass, * FROM event;
SELECT tableoid::regclass, * FROM reading;
SELECT tableoid::regclass, * FROM visit ORDER BY seen_at;
INSERT INTO event (tenant_id, happened_at) VALUES (43, '2026-11-01');
ROLLBACK;
-- A partition by itself shows nothing until it is protected, too.
BEGIN; SELECT rls_tenant.set_context(42::bigint); SELECT count(*) FROM event_42; COMMIT;
-- The planner prunes: the plan names the tenant's partition only.
SET enable_bitmapscan = off;
SET enable_indexscan = off;
BEGIN;
SELECT rls_tenant.set_context(42::bigint);
EXPLAIN (COSTS OFF) SELECT * FROM invoice;
EXPLAIN (COSTS OFF) SELECT * FROM event;
EXPLAIN (COSTS OFF) SELECT * FROM reading WHERE taken_at = '2026-05-05';
EXPLAIN (COSTS OFF) UPDATE event SET body = 'x';
EXPLAIN (COSTS OFF) SELECT * FROM visit WHERE seen_at >= '2026-12-01';
COMMIT;
-- Off, it prunes when the query starts.
BEGIN;
SELECT rls_tenant.set_context(42::bigint);
SET LOCAL rls_tenant.plan_constants = off;
EXPLAIN (COSTS OFF) SELECT FROM event;
COMMIT;
RESET enable_bitmapscan;
RESET enable_indexscan;

-- Every type of tenant column.
SET ROLE regress_part_owner;
CREATE DOMAIN short_id AS smallint;
BEGIN;
SELECT format('CREATE TABLE typed_%s (tenant_id %s) PARTITION BY %s (tenant_id)', n, t, how) FROM (VALUES
  (1, 'uuid', 'HASH'), (2, 'bigint', 'HASH'), (3, 'integer', 'HASH'), (4, 'smallint', 'HASH'), (5, 'text', 'HASH'),
  (6, 'varchar(10)', 'HASH'), (7, 'short_id', 'HASH'), (8, 'text', 'RANGE'), (9, 'integer', 'RANGE'), (10, 'uuid', 'LIST')) v(n, t, how) \gexec
SELECT format('CREATE TABLE typed_%s_%s PARTITION OF typed_%1$s FOR VALUES WITH (MODULUS 3, REMAINDER %2$s)', n, r)
FROM generate_series(1, 7) n, generate_series(0, 2) r \gexec
CREATE TABLE typed_8_1 PARTITION OF typed_8 FOR VALUES FROM (MINVALUE) TO ('n');
CREATE TABLE typed_8_2 PARTITION OF typed_8 FOR VALUES FROM ('n') TO (MAXVALUE);
CREATE TABLE typed_9_1 PARTITION OF typed_9 FOR VALUES FROM (0) TO (100);
CREATE TABLE typed_9_2 PARTITION OF typed_9 FOR VALUES FROM (100) TO (MAXVALUE);
CREATE TABLE typed_10_1 PARTITION OF typed_10 FOR VALUES IN ('11111111-1111-1111-1111-111111111111');
CREATE TABLE typed_10_2 PARTITION OF typed_10 DEFAULT;
SELECT rls_tenant.protect(('typed_' || n)::regclass) FROM generate_series(1, 10) n;
COMMIT;
CREATE FUNCTION part.partitions_of(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE line text; n bigint := 0;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP n := n + (line ~ 'Scan.* on ')::int - (line ~ 'Bitmap Index Scan')::int; END LOOP;
  RETURN n;
END $$;
GRANT EXECUTE ON FUNCTION part.partitions_of TO regress_part_app;
SET ROLE regress_part_app;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '11111111-1111-1111-1111-111111111111';
SELECT n, partitions_of('SELECT * FROM typed_' || n) FROM unnest('{1,5,10}'::int[]) n;
COMMIT;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '77';
SELECT n, partitions_of('SELECT * FROM typed_' || n) FROM unnest('{2,3,4,6,7,8,9}'::int[]) n;
COMMIT;
-- A number that is none of the column's type is nobody's.
BEGIN; SET LOCAL rls_tenant.tenant_id = '5000000000'; SELECT partitions_of('SELECT * FROM typed_3'), partitions_of('SELECT * FROM typed_9'); COMMIT;

-- Retention. A partition that is detached is a table of its own: closed until it is protected as one.
SET ROLE regress_part_owner;
DROP TABLE visit_2026_10;
ALTER TABLE visit DETACH PARTITION visit_2026_12;
SET ROLE regress_part_app;
BEGIN; SELECT rls_tenant.set_context(42::bigint); SELECT count(*) FROM visit_2026_12; COMMIT;
SET ROLE regress_part_owner;
SELECT rls_tenant.protect('visit_2026_12');
SET ROLE regress_part_app;
BEGIN; SELECT rls_tenant.set_context(42::bigint); SELECT count(*) FROM visit_2026_12; COMMIT;
SET ROLE regress_part_owner;
ALTER TABLE visit ATTACH PARTITION visit_2026_12 FOR VALUES FROM ('2026-12-01') TO ('2027-01-01');
BEGIN;
ALTER TABLE event DETACH PARTITION event_43;
DROP TABLE event_43;
COMMIT;

-- In the membership form the planner keeps all partitions: a query that names its
-- tenants reads theirs only.
RESET ROLE;
SELECT rls_tenant.exempt('part', 'member', 'a test');
CREATE TABLE part.member (user_id bigint, tenant_id bigint, PRIMARY KEY (user_id, tenant_id));
SELECT rls_tenant.add_membership('part', 'part.member', 'user_id', 'tenant_id');
INSERT INTO part.member VALUES (1, 41), (1, 42);
SET ROLE regress_part_owner;
BEGIN;
CREATE TABLE shared (tenant_id bigint, id int) PARTITION BY LIST (tenant_id);
SELECT format('CREATE TABLE shared_%s PARTITION OF shared FOR VALUES IN (%1$s)', t) FROM generate_series(41, 44) t \gexec
SELECT rls_tenant.protect('shared', membership => 'part');
COMMIT;
BEGIN; SET LOCAL rls_tenant.user_id = '1'; INSERT INTO shared VALUES (41, 1), (42, 2); COMMIT;
SET ROLE regress_part_app;
BEGIN;
SET LOCAL rls_tenant.user_id = '1';
SELECT * FROM shared ORDER BY 1;
SELECT partitions_of('SELECT * FROM shared');
SELECT partitions_of('SELECT * FROM shared WHERE tenant_id = 42');
COMMIT;
-- Plans that are dropped when the tenant changes leave what is known of memberships.
\set both 'SELECT count(*) FROM event; SELECT count(*) FROM shared;'
BEGIN; SELECT rls_tenant.set_context(41::bigint, NULL, 1); :both COMMIT;
SELECT queries FROM rls_tenant.membership_cache() \gset
BEGIN; SELECT rls_tenant.set_context(42::bigint, NULL, 1); :both COMMIT;
BEGIN; SELECT rls_tenant.set_context(43::bigint, NULL, 1); :both COMMIT;
SELECT queries - :queries AS "queries put to the source meanwhile" FROM rls_tenant.membership_cache();

-- A CHECK constraint that asks for the context held when its row was written. It proves nothing of the rows of others.
SET ROLE regress_part_owner;
BEGIN;
CREATE TABLE post (tenant_id bigint, author bigint CHECK (author = rls_tenant.current_user_bigint()), id int) PARTITION BY HASH (tenant_id);
CREATE TABLE post_0 PARTITION OF post FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT rls_tenant.protect('post');
COMMIT;
SET ROLE regress_part_app;
BEGIN; SELECT rls_tenant.set_context(1::bigint, NULL, 5); INSERT INTO post (author, id) VALUES (5, 1); COMMIT;
BEGIN; SELECT rls_tenant.set_context(1::bigint, NULL, 7); INSERT INTO post (author, id) VALUES (7, 2);
SELECT * FROM post WHERE author = 5; SELECT * FROM post WHERE author = 7; COMMIT;

RESET ROLE;
SET client_min_messages = warning;
SELECT rls_tenant.drop_membership('part');
DROP SCHEMA part CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'part';
DROP OWNED BY regress_part_owner, regress_part_app;
DROP ROLE regress_part_owner, regress_part_app;
