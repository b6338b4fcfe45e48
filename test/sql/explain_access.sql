-- explain_access(): each reason in words, what it refuses, and what it must not be good for.
\set SHOW_CONTEXT never
\set VERBOSITY default
\pset format unaligned
\pset null <NULL>
CREATE ROLE regress_ea_owner;
CREATE ROLE regress_ea_app;
CREATE ROLE regress_ea_other;
CREATE ROLE regress_ea_bypass BYPASSRLS;
GRANT regress_ea_owner, regress_ea_app TO regress_ea_bypass;
CREATE SCHEMA ea AUTHORIZATION regress_ea_owner;
GRANT USAGE ON SCHEMA ea TO regress_ea_app, regress_ea_bypass;
SET search_path = ea;
SET rls_tenant.guard = off;
SET ROLE regress_ea_owner;
CREATE TABLE orders (dropped int, id int PRIMARY KEY, tenant_id int, owner text, note text);
ALTER TABLE orders DROP COLUMN dropped;
INSERT INTO orders VALUES (1, 1, 'me'), (2, 1, 'you'), (3, 2, 'me'), (4, 2, NULL);
SELECT FROM rls_tenant.protect('orders', access => $$owner = 'me' OR note = 'open'$$);
GRANT SELECT, INSERT, UPDATE ON orders TO regress_ea_app;
GRANT SELECT ON orders TO regress_ea_bypass;
RESET ROLE;

-- Without rows: the policies in their order, the condition with the context's values, or that there is none.
SELECT * FROM rls_tenant.explain_access('orders', as_role => 'regress_ea_app');
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SET LOCAL ROLE regress_ea_app;
SELECT * FROM rls_tenant.explain_access('orders');
-- It does not bind the transaction.
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '2';
ROLLBACK;
-- With rows.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT * FROM rls_tenant.explain_access('orders', 'true', 'regress_ea_app');
ROLLBACK;
SELECT * FROM rls_tenant.explain_access('orders', 'id = 1', 'regress_ea_app');
SELECT * FROM rls_tenant.explain_access('orders', 'id = 77', 'regress_ea_app');
-- Not applied, no GRANT, no policy, no schema.
SELECT row_key, command, allowed, reason FROM rls_tenant.explain_access('orders', 'id = 1');
SELECT command, allowed, reason FROM rls_tenant.explain_access('orders', as_role => 'regress_ea_bypass');
SELECT command, allowed, reason FROM rls_tenant.explain_access('orders', as_role => 'regress_ea_other');
SET row_security = off;
SELECT command, allowed, reason FROM rls_tenant.explain_access('orders', as_role => 'regress_ea_app');
RESET row_security;
SET ROLE regress_ea_owner;
CREATE TABLE unforced (id int, tenant_id int);
ALTER TABLE unforced ENABLE ROW LEVEL SECURITY;
CREATE TABLE plain (id int);
SELECT DISTINCT allowed, reason FROM rls_tenant.explain_access('unforced');
SELECT DISTINCT allowed, reason FROM rls_tenant.explain_access('plain');
ALTER TABLE unforced FORCE ROW LEVEL SECURITY;
SELECT * FROM rls_tenant.explain_access('unforced');
CREATE POLICY r ON unforced AS RESTRICTIVE USING (id > 0);
CREATE POLICY o ON unforced TO regress_ea_other USING (true);
SELECT * FROM rls_tenant.explain_access('unforced') WHERE command = 'SELECT';
-- Several policies, for some commands, with checks of their own; restrictive ones by name, then permissive ones.
CREATE TABLE several ("a col" int, tenant_id int, "Owner" text, several text);
ALTER TABLE several ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY z_first ON several AS RESTRICTIVE USING ("a col" > 0);
CREATE POLICY "A second" ON several AS RESTRICTIVE FOR UPDATE USING ("Owner" <> 'x') WITH CHECK ("a col" < 100);
CREATE POLICY p2 ON several USING (tenant_id = rls_tenant.current_tenant_bigint());
CREATE POLICY p1 ON several FOR SELECT USING (tenant_id = 0 AND several IS NOT NULL);
GRANT ALL ON several TO regress_ea_app, regress_ea_bypass;
RESET ROLE;
INSERT INTO several VALUES (1, 1, 'x', 'x'), (100, 1, 'y', 'x'), (-1, 0, 'y', NULL), (1, 0, 'y', NULL), (1, 0, 'y', 's'), (1, NULL, NULL, 's');
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT * FROM rls_tenant.explain_access('several', as_role => 'regress_ea_app');
SELECT * FROM rls_tenant.explain_access('several', 'several.several IS NULL OR "a col" = 100 OR "Owner" = $$x$$ OR several IS NOT NULL', 'regress_ea_app');
ROLLBACK;
-- Without the privilege to read, the policies for SELECT are not asked.
SET ROLE regress_ea_owner;
CREATE TABLE blind (id int, tenant_id int);
ALTER TABLE blind ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY s ON blind FOR SELECT USING (false);
CREATE POLICY d ON blind FOR DELETE USING (true);
GRANT DELETE, UPDATE (id) ON blind TO regress_ea_app;
RESET ROLE;
INSERT INTO blind VALUES (1, 1);
SELECT * FROM rls_tenant.explain_access('blind', 'true', 'regress_ea_app');
SELECT * FROM rls_tenant.explain_access('blind', as_role => 'regress_ea_app');
-- Memberships, joins, sub-selects, whole rows, parts.
SET ROLE regress_ea_owner;
CREATE TABLE member (user_id text, tenant_id int, role text);
INSERT INTO member VALUES ('u', 1, 'reader');
RESET ROLE;
SELECT FROM rls_tenant.add_membership('ea', 'member', 'user_id', 'tenant_id', 'role');
SET ROLE regress_ea_owner;
CREATE TABLE shared (id int PRIMARY KEY, tenant_id int);
SELECT FROM rls_tenant.protect('shared', membership => 'ea', access => $$rls_tenant.has_role(tenant_id, 'admin', 'ea')$$);
CREATE TABLE items (id int, order_id int);
ALTER TABLE items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON items USING (EXISTS (SELECT FROM orders o WHERE o.id = items.order_id AND o.tenant_id = (SELECT rls_tenant.current_tenant_bigint())));
CREATE FUNCTION whole(items) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.id > 0';
CREATE POLICY w ON items AS RESTRICTIVE USING (whole(items));
CREATE POLICY sys ON items AS RESTRICTIVE FOR DELETE USING (tableoid > 0);
CREATE TABLE parted (id int, tenant_id int, PRIMARY KEY (id, tenant_id)) PARTITION BY LIST (tenant_id);
CREATE TABLE parted_1 (tenant_id int NOT NULL, id int NOT NULL);
ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES IN (1);
SELECT FROM rls_tenant.protect('parted');
GRANT ALL ON shared, items, parted, parted_1 TO regress_ea_app;
RESET ROLE;
INSERT INTO shared VALUES (1, 1), (2, 2);
INSERT INTO items VALUES (1, 1), (2, 3), (0, 1);
INSERT INTO parted VALUES (5, 1);
BEGIN;
SET LOCAL rls_tenant.user_id = 'u';
SELECT * FROM rls_tenant.explain_access('shared', 'true', 'regress_ea_app') WHERE command = 'SELECT';
ROLLBACK;
SELECT row_key, command, reason FROM rls_tenant.explain_access('shared', 'id = 1', 'regress_ea_app') WHERE command = 'SELECT';
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT * FROM rls_tenant.explain_access('items', 'true', 'regress_ea_app') WHERE command IN ('SELECT', 'DELETE');
SELECT * FROM rls_tenant.explain_access('parted', 'true', 'regress_ea_app') WHERE command = 'SELECT';
SELECT * FROM rls_tenant.explain_access('parted_1', 'true', 'regress_ea_app') WHERE command = 'SELECT';
ROLLBACK;
-- NULL for a missing context, and an error in a policy.
SET rls_tenant.missing_context = 'null';
SELECT row_key, command, allowed, reason FROM rls_tenant.explain_access('orders', 'id = 1', 'regress_ea_app') WHERE command = 'SELECT';
RESET rls_tenant.missing_context;
SET ROLE regress_ea_owner;
CREATE TABLE faulty (id int, tenant_id int);
ALTER TABLE faulty ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON faulty USING (1 / id > 0);
GRANT ALL ON faulty TO regress_ea_app;
RESET ROLE;
INSERT INTO faulty VALUES (0), (1);
SELECT * FROM rls_tenant.explain_access('faulty', 'true', 'regress_ea_app') WHERE command = 'SELECT';

-- What it refuses.
SELECT * FROM rls_tenant.explain_access(NULL);
SELECT * FROM rls_tenant.explain_access(1);
CREATE VIEW v AS SELECT o.id FROM orders o JOIN (SELECT id FROM items) i USING (id);
SELECT * FROM rls_tenant.explain_access('v');
CREATE SEQUENCE s;
SELECT * FROM rls_tenant.explain_access('s');
SELECT * FROM rls_tenant.explain_access('orders', 'id = ');
SELECT * FROM rls_tenant.explain_access('orders', 'true) UNION SELECT 1 FROM (SELECT 1');
SELECT * FROM rls_tenant.explain_access('orders', 'ctid');
INSERT INTO unforced SELECT g, g FROM generate_series(1, 101) g;
SELECT * FROM rls_tenant.explain_access('unforced', 'true', 'regress_ea_app');
SELECT count(*) FROM rls_tenant.explain_access('unforced', 'id <= 100', 'regress_ea_app');
SELECT * FROM rls_tenant.explain_access('orders', as_role => 'nobody_of_that_name');
SET ROLE regress_ea_app;
SELECT * FROM rls_tenant.explain_access('orders', as_role => 'regress_ea_owner');
-- Rows are read for nobody else: the filter is not even looked at.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT row_key, command, allowed, policy, reason FROM rls_tenant.explain_access('orders', 'pg_sleep(100) IS NULL OR 1 / 0 = 1');
ROLLBACK;
RESET ROLE;

-- An owner's functions run as the judged role, restricted, and write nothing; nor does the filter.
SET ROLE regress_ea_owner;
CREATE TABLE trap (id int, tenant_id int);
CREATE TABLE seen (who text);
GRANT ALL ON seen TO PUBLIC;
CREATE SEQUENCE counter;
GRANT ALL ON counter TO PUBLIC;
CREATE FUNCTION spy(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'runs as %', current_user;
  EXECUTE $1;
  RETURN true;
END $$;
ALTER TABLE trap ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON trap FOR SELECT USING (spy('SELECT pg_read_file(''PG_VERSION'')'));
CREATE POLICY p2 ON trap FOR INSERT WITH CHECK (spy('INSERT INTO ea.seen VALUES (1)'));
CREATE POLICY p3 ON trap FOR UPDATE USING (spy('RESET ROLE'));
CREATE POLICY p4 ON trap FOR DELETE USING (spy('SET transaction_read_only = off'));
CREATE POLICY p5 ON trap AS RESTRICTIVE FOR DELETE USING (spy('PREPARE taken AS SELECT 1'));
GRANT ALL ON trap TO regress_ea_app;
RESET ROLE;
INSERT INTO trap VALUES (1, 1);
SELECT * FROM rls_tenant.explain_access('trap', 'true', 'regress_ea_app');
SELECT * FROM rls_tenant.explain_access('trap', 'ea.spy(''INSERT INTO ea.seen VALUES (1)'')', 'regress_ea_app');
SELECT * FROM rls_tenant.explain_access('trap', 'nextval(''ea.counter'') > 0', 'regress_ea_app');
SELECT * FROM rls_tenant.explain_access('trap', 'ea.spy(''SET transaction_read_only = off'')', 'regress_ea_app');
SELECT count(*) FROM seen;
-- The transaction goes on, and may write.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT count(*) FROM rls_tenant.explain_access('orders', 'true', 'regress_ea_app');
SELECT rls_tenant.current_tenant_text(), current_user, current_setting('transaction_read_only');
INSERT INTO seen VALUES ('me');
DO $$BEGIN PERFORM rls_tenant.explain_access('ea.orders', '1 / 0 = 1'); EXCEPTION WHEN division_by_zero THEN RAISE NOTICE 'caught'; END$$;
INSERT INTO seen VALUES ('me') RETURNING (SELECT count(*) FROM seen);
ROLLBACK;
SELECT count(*) FROM rls_tenant.explain_access('orders', '1 / 0 = 1');
INSERT INTO seen VALUES ('me');
-- BYPASSRLS without SUPERUSER: with the privilege to read.
SET ROLE regress_ea_bypass;
SELECT row_key, allowed, reason FROM rls_tenant.explain_access('orders', 'id = 1', 'regress_ea_app') WHERE command = 'SELECT';
SELECT row_key, allowed, reason FROM rls_tenant.explain_access('shared', 'id = 1', 'regress_ea_app') WHERE command = 'SELECT';
RESET ROLE;

-- explain_context(): it binds nothing.
BEGIN;
SELECT * FROM rls_tenant.explain_context() WHERE item !~ 'membership';
SET LOCAL rls_tenant.tenant_id = '1';
SET LOCAL rls_tenant.user_id = 'u';
SELECT * FROM rls_tenant.explain_context() WHERE item !~ 'membership';
SELECT rls_tenant.current_tenant_text(), rls_tenant.is_member(1, 'ea');
SELECT * FROM rls_tenant.explain_context() WHERE item <> 'memberships';
RESET rls_tenant.tenant_id;
SELECT * FROM rls_tenant.explain_context() WHERE item = 'tenant';
ROLLBACK;
SELECT detail ~ '^[0-9]+ users cached; [0-9]+ queries to sources' FROM rls_tenant.explain_context() WHERE item = 'memberships';
SELECT * FROM rls_tenant.explain_context() WHERE item ~ 'source "ea"';
BEGIN;
SET LOCAL rls_tenant.user_id = 'v';
SELECT * FROM rls_tenant.explain_context() WHERE item ~ 'source "ea"';
INSERT INTO member VALUES ('v', 2);
SELECT * FROM rls_tenant.explain_context() WHERE item ~ 'source "ea"';
ROLLBACK;
ALTER TABLE member DISABLE TRIGGER rls_tenant_membership;
BEGIN;
SET LOCAL rls_tenant.user_id = 'v';
SELECT rls_tenant.is_member(1, 'ea');
SELECT * FROM rls_tenant.explain_context() WHERE item ~ 'source "ea"';
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SET LOCAL ROLE regress_ea_app;
PREPARE count_parted AS SELECT count(*) FROM parted;
EXECUTE count_parted;
SELECT * FROM rls_tenant.explain_context() WHERE item ~ 'plan';
DEALLOCATE count_parted;
ROLLBACK;
SET rls_tenant.missing_context = 'null';
SET rls_tenant.one_tenant_per_transaction = off;
BEGIN;
SELECT rls_tenant.current_tenant_text();
SELECT * FROM rls_tenant.explain_context() WHERE item !~ 'membership';
ROLLBACK;
RESET rls_tenant.missing_context;
RESET rls_tenant.one_tenant_per_transaction;

SET client_min_messages = warning;
SELECT FROM rls_tenant.drop_membership('ea');
DROP SCHEMA ea CASCADE;
DROP ROLE regress_ea_owner, regress_ea_app, regress_ea_other, regress_ea_bypass;
