-- What PostgreSQL's own refusals tell, and what they keep to themselves.
\set SHOW_CONTEXT never
\set VERBOSITY default
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_msg_owner;
CREATE ROLE regress_msg_app;
CREATE SCHEMA msg AUTHORIZATION regress_msg_owner;
GRANT USAGE ON SCHEMA msg TO regress_msg_app;
SET search_path = msg;
SET rls_tenant.guard = off;
SET ROLE regress_msg_owner;
CREATE TABLE orders (dropped int, id int PRIMARY KEY, tenant_id int, owner text DEFAULT 'me', note text);
ALTER TABLE orders DROP COLUMN dropped;
CREATE TABLE parted (id int, note text, tenant_id text) PARTITION BY LIST (tenant_id);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a');
CREATE TABLE parted_rest (tenant_id text, id int, note text);
ALTER TABLE parted ATTACH PARTITION parted_rest DEFAULT;
SELECT rls_tenant.protect('orders', access => $$owner = 'me'$$), rls_tenant.protect('parted');
CREATE TABLE selected (id int, tenant_id uuid);
ALTER TABLE selected ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON selected USING (tenant_id = (SELECT rls_tenant.current_tenant_uuid()));
-- Its policy for UPDATE shows every row, its policy for SELECT only the tenant's.
CREATE TABLE open_update (id int, tenant_id int, note text);
ALTER TABLE open_update ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY s ON open_update FOR SELECT USING (tenant_id = rls_tenant.current_tenant_bigint());
CREATE POLICY u ON open_update FOR UPDATE USING (true) WITH CHECK (tenant_id = rls_tenant.current_tenant_bigint());
CREATE TABLE plain (id int, tenant_id int);
ALTER TABLE plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON plain USING (id > 0);
CREATE TABLE member (user_id text, tenant_id int);
INSERT INTO member VALUES ('u', 1);
GRANT SELECT, INSERT, UPDATE, DELETE ON orders, parted, selected, open_update, plain TO regress_msg_app;
RESET ROLE;
SELECT rls_tenant.add_membership('msg', 'member', 'user_id', 'tenant_id');
CREATE TABLE shared (id int, tenant_id int);
SELECT rls_tenant.protect('shared', membership => 'msg');
GRANT INSERT, SELECT ON shared TO regress_msg_app;
INSERT INTO orders VALUES (1, 1), (2, 2);
INSERT INTO open_update VALUES (1, 1), (2, 2);
INSERT INTO parted VALUES (1, 'n', 'a');

SET ROLE regress_msg_app;
-- The row of another tenant: by INSERT, by UPDATE, through parts with columns of their own.
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; INSERT INTO orders VALUES (3, 2); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; UPDATE orders SET tenant_id = 2; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; INSERT INTO orders SELECT g, g FROM generate_series(7, 9) g; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'a'; INSERT INTO parted VALUES (1, 'n', 'b'); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'a'; UPDATE parted SET tenant_id = 'b'; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'a'; INSERT INTO parted VALUES (1, 'n', repeat('b', 256)); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '00000000-0000-0000-0000-000000000001'; INSERT INTO selected VALUES (1, '00000000-0000-0000-0000-000000000002'); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '00000000-0000-0000-0000-000000000001'; INSERT INTO selected VALUES (1); ROLLBACK;
-- The right tenant, but the access says no.
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; INSERT INTO orders VALUES (3, 1, 'you'); ROLLBACK;
-- Memberships.
BEGIN; SET LOCAL rls_tenant.user_id = 'u'; INSERT INTO shared VALUES (1, 2); ROLLBACK;
-- No context, where that gives NULL.
RESET ROLE;
SET rls_tenant.missing_context = 'null';
SET ROLE regress_msg_app;
INSERT INTO orders VALUES (3, 2);
RESET ROLE;
RESET rls_tenant.missing_context;
SET ROLE regress_msg_app;
-- In a block that catches it, by a cursor of a function, by EXPLAIN, prepared.
DO $$
DECLARE d text; h text;
BEGIN
  SET LOCAL rls_tenant.tenant_id = '1';
  INSERT INTO msg.orders VALUES (3, 2);
EXCEPTION WHEN insufficient_privilege THEN
  GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
  RAISE NOTICE '% | %', d, h;
END $$;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; EXPLAIN (ANALYZE, COSTS off) INSERT INTO orders VALUES (3, 2); ROLLBACK;
PREPARE ins AS INSERT INTO orders VALUES ($1, $2);
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; EXECUTE ins(3, 2); ROLLBACK;
-- What the statement has not said itself is not told: the row that it met, or that it put beside another in a CTE.
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; UPDATE open_update SET note = 'x'; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; WITH u AS (UPDATE open_update SET note = 'x') INSERT INTO orders VALUES (9, 1); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; INSERT INTO orders VALUES (2, 1) ON CONFLICT (id) DO UPDATE SET note = 'x'; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; MERGE INTO orders o USING (VALUES (5, 2)) v(id, t) ON o.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.t); ROLLBACK;
RESET ROLE;
-- Nor what a trigger, a rule, or a function with its owner's rights finds out.
SET ROLE regress_msg_owner;
CREATE FUNCTION look_up() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.tenant_id := 77; RETURN NEW; END$$;
CREATE TABLE triggered (id int, tenant_id int);
SELECT rls_tenant.protect('triggered');
CREATE TRIGGER t BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION look_up();
CREATE TABLE ruled (id int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO INSERT INTO orders VALUES (new.id, 77);
CREATE FUNCTION put() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO msg.orders VALUES (3, 77)';
GRANT INSERT ON triggered, ruled TO regress_msg_app;
RESET ROLE;
SET ROLE regress_msg_app;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; INSERT INTO triggered VALUES (1, 1); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; INSERT INTO ruled VALUES (1); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT put(); ROLLBACK;
-- Tables whose policies know no tenant stay as they are; so does a message that only reads like PostgreSQL's.
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; INSERT INTO plain VALUES (-1, 2); ROLLBACK;
DO $$BEGIN RAISE 'new row violates row-level security policy for table "orders"' USING ERRCODE = '42501'; END$$;
RESET ROLE;
-- Missing privileges.
SET ROLE regress_msg_owner;
REVOKE ALL ON orders, parted FROM regress_msg_app;
GRANT SELECT ON parted TO regress_msg_app;
CREATE VIEW seen AS SELECT * FROM orders;
GRANT SELECT ON seen TO regress_msg_app;
RESET ROLE;
CREATE ROLE regress_msg_viewer;
GRANT USAGE, CREATE ON SCHEMA msg TO regress_msg_viewer;
ALTER VIEW seen OWNER TO regress_msg_viewer;
CREATE FUNCTION get() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM msg.orders';
ALTER FUNCTION get() OWNER TO regress_msg_viewer;
SET ROLE regress_msg_app;
-- (In a context: without one, planning raises first.)
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT * FROM orders; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT * FROM orders o; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; INSERT INTO orders VALUES (1, 1) RETURNING id; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; DELETE FROM parted WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT * FROM parted p, orders o; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT * FROM orders JOIN parted USING (id); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT * FROM seen; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT get(); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT * FROM member; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; COPY orders TO stdout; ROLLBACK;
RESET ROLE;
SET SESSION AUTHORIZATION regress_msg_app;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT * FROM orders; ROLLBACK;
RESET SESSION AUTHORIZATION;

SET client_min_messages = warning;
SELECT rls_tenant.drop_membership('msg');
DROP SCHEMA msg CASCADE;
DROP ROLE regress_msg_app, regress_msg_viewer, regress_msg_owner;
