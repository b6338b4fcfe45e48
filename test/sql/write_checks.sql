-- What a write is checked for. The planner gets each check once, and those that hold nothing back not at all: what is
-- refused, and in which words, must stay.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE ROLE regress_checks_app;
BEGIN;
CREATE TABLE checks_item (id int PRIMARY KEY, tenant_id bigint, body text);
CREATE TABLE checks_member (user_id bigint, tenant_id bigint);
SELECT rls_tenant.exempt('public', 'checks\_member', 'who belongs to whom');
SELECT rls_tenant.protect('checks_item');
SELECT rls_tenant.add_membership('checks', 'checks_member', 'user_id', 'tenant_id');
CREATE TABLE checks_shared (id int PRIMARY KEY, tenant_id bigint, body text);
SELECT rls_tenant.protect('checks_shared', membership => 'checks');
CREATE VIEW checks_all WITH (security_invoker) AS SELECT * FROM checks_item;
CREATE VIEW checks_cascaded WITH (security_invoker) AS SELECT * FROM checks_all WITH CASCADED CHECK OPTION;
CREATE VIEW checks_short WITH (security_invoker) AS SELECT * FROM checks_cascaded WHERE length(body) < 5 WITH CASCADED CHECK OPTION;
CREATE VIEW checks_shorter WITH (security_invoker) AS SELECT * FROM checks_short WHERE length(body) < 3 WITH LOCAL CHECK OPTION;
GRANT ALL ON checks_item, checks_shared, checks_all, checks_cascaded, checks_short, checks_shorter TO regress_checks_app;
INSERT INTO checks_member VALUES (1, 1), (1, 2);
COMMIT;

SET ROLE regress_checks_app;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '2';
INSERT INTO checks_item VALUES (20, DEFAULT, 'two');
COMMIT;
-- A check in each place, none of which another makes needless.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
INSERT INTO checks_item VALUES (10, DEFAULT, 'one');
INSERT INTO checks_item VALUES (11, 2, 'one');
UPDATE checks_item SET tenant_id = 2;
INSERT INTO checks_item VALUES (20, 1, 'mine') ON CONFLICT (id) DO UPDATE SET body = 'mine';
INSERT INTO checks_item VALUES (10, 1, 'mine') ON CONFLICT (id) DO UPDATE SET tenant_id = 2;
INSERT INTO checks_item VALUES (10, 2, 'mine') ON CONFLICT (id) DO UPDATE SET body = 'mine';
MERGE INTO checks_item i USING (VALUES (10), (12)) v(id) ON i.id = v.id WHEN MATCHED THEN UPDATE SET tenant_id = 2 WHEN NOT MATCHED THEN DO NOTHING;
MERGE INTO checks_item i USING (VALUES (10), (12)) v(id) ON i.id = v.id WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT VALUES (12, 2, 'x');
WITH i AS (INSERT INTO checks_item VALUES (13, 2, 'x') RETURNING 1) SELECT * FROM i;
-- Views with checks of their own, and one that has none.
INSERT INTO checks_cascaded VALUES (14, 1, 'of any length');
INSERT INTO checks_cascaded VALUES (15, 2, 'x');
INSERT INTO checks_short VALUES (16, 1, 'four');
INSERT INTO checks_short VALUES (17, 1, 'of any length');
INSERT INTO checks_shorter VALUES (18, 1, 'four');
INSERT INTO checks_shorter VALUES (19, 1, 'x');
UPDATE checks_shorter SET tenant_id = 2;
SELECT id, body FROM checks_all ORDER BY id;
COMMIT;
-- Where users come by memberships.
BEGIN;
SET LOCAL rls_tenant.user_id = '1';
INSERT INTO checks_shared VALUES (1, 1, 'one'), (2, 2, 'two');
INSERT INTO checks_shared VALUES (3, 3, 'three');
UPDATE checks_shared SET tenant_id = 3 WHERE id = 1;
INSERT INTO checks_shared VALUES (1, 1, 'one') ON CONFLICT (id) DO UPDATE SET tenant_id = 3;
SELECT id FROM checks_shared ORDER BY id;
COMMIT;
-- Others' policies: one that says the same for one command, one that says more.
RESET ROLE;
CREATE POLICY same ON checks_item AS RESTRICTIVE FOR UPDATE USING (tenant_id = rls_tenant.current_tenant_bigint());
CREATE POLICY more ON checks_item AS RESTRICTIVE FOR INSERT WITH CHECK (body <> 'refused');
CREATE POLICY less ON checks_item AS RESTRICTIVE FOR UPDATE USING (body <> 'fixed') WITH CHECK (body <> 'refused');
SET ROLE regress_checks_app;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
INSERT INTO checks_item VALUES (30, 1, 'refused');
INSERT INTO checks_item VALUES (30, 1, 'fixed');
UPDATE checks_item SET body = 'x' WHERE id = 30;
UPDATE checks_item SET body = 'refused' WHERE id = 10;
UPDATE checks_item SET tenant_id = 2 WHERE id = 10;
INSERT INTO checks_item VALUES (30, 1, 'y') ON CONFLICT (id) DO UPDATE SET body = 'x';
INSERT INTO checks_item VALUES (10, 1, 'y') ON CONFLICT (id) DO UPDATE SET body = 'refused';
ROLLBACK;
\set ON_ERROR_ROLLBACK off
RESET ROLE;
-- A new version is not checked again for what its old one has met, unless something may have changed the columns that are
-- asked for: an assignment, a trigger, also one that comes later or to a part, or a generated column.
\set move 'UPDATE checks_item SET body = \'moved\' WHERE id = 10;'
\set upsert 'INSERT INTO checks_item VALUES (10, 1, \'y\') ON CONFLICT (id) DO UPDATE SET body = \'moved\';'
CREATE FUNCTION checks_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tenant_id = 2; RETURN NEW; END $$;
SET ROLE regress_checks_app;
PREPARE move AS :move
PREPARE upsert AS :upsert
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
EXECUTE move; EXECUTE upsert; EXECUTE move; EXECUTE upsert;
SELECT tenant_id, body FROM checks_item WHERE id = 10;
UPDATE checks_item SET (body, tenant_id) = (SELECT 'x', 2) WHERE id = 10;
UPDATE checks_item SET tenant_id = tenant_id + 1 WHERE id = 10;
UPDATE checks_item SET tenant_id = DEFAULT WHERE id = 10;
WITH moved AS (UPDATE checks_item SET tenant_id = 2 WHERE id = 10 RETURNING 1) SELECT * FROM moved;
RESET ROLE;
CREATE TRIGGER move BEFORE UPDATE ON checks_item FOR EACH ROW EXECUTE FUNCTION checks_move();
SET ROLE regress_checks_app;
EXECUTE move;
EXECUTE upsert;
:move
:upsert
RESET ROLE;
ALTER TABLE checks_item DISABLE TRIGGER move;
SET ROLE regress_checks_app;
EXECUTE move;
RESET ROLE;
ALTER TABLE checks_item ENABLE ALWAYS TRIGGER move;
SET ROLE regress_checks_app;
EXECUTE move;
RESET ROLE;
DROP TRIGGER move ON checks_item;
CREATE TABLE checks_part () INHERITS (checks_item);
INSERT INTO checks_part VALUES (50, 1, 'x');
CREATE TRIGGER move BEFORE UPDATE ON checks_part FOR EACH ROW EXECUTE FUNCTION checks_move();
SET ROLE regress_checks_app;
EXECUTE move;
UPDATE checks_item SET body = 'moved';
UPDATE ONLY checks_item SET body = 'moved';
ROLLBACK;
DEALLOCATE ALL;
RESET ROLE;
BEGIN;
SET LOCAL rls_tenant.guard = off;
CREATE TABLE checks_generated (id int PRIMARY KEY, number bigint, tenant_id bigint GENERATED ALWAYS AS (number % 10) STORED);
CREATE TABLE checks_whole (id int PRIMARY KEY, tenant_id bigint, body text);
CREATE TABLE checks_moving (id int, tenant_id bigint, body text) PARTITION BY LIST (body);
CREATE TABLE checks_moving_a PARTITION OF checks_moving FOR VALUES IN ('a');
CREATE TABLE checks_moving_b PARTITION OF checks_moving FOR VALUES IN ('b');
CREATE TRIGGER move BEFORE INSERT ON checks_moving_b FOR EACH ROW EXECUTE FUNCTION checks_move();
CREATE FUNCTION checks_is_mine(checks_whole) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT $1.tenant_id = rls_tenant.current_tenant_bigint() AND $1.body <> 'refused' $$;
SELECT rls_tenant.protect('checks_moving');
DO $$ DECLARE t text; BEGIN
  FOREACH t IN ARRAY '{checks_generated,checks_whole}'::text[] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I USING (%s)', t,
      CASE t WHEN 'checks_generated' THEN 'tenant_id = rls_tenant.current_tenant_bigint()' ELSE 'checks_is_mine(checks_whole)' END);
  END LOOP;
END $$;
CREATE POLICY listed ON checks_generated AS RESTRICTIVE FOR UPDATE USING (number IN (SELECT tenant_id + 10 FROM checks_item));
INSERT INTO checks_generated VALUES (1, 11), (2, 12);
INSERT INTO checks_whole VALUES (1, 1, 'x');
INSERT INTO checks_moving VALUES (1, 1, 'a');
GRANT ALL ON checks_generated, checks_whole, checks_moving TO regress_checks_app;
COMMIT;
SET ROLE regress_checks_app;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
UPDATE checks_generated SET number = 12;
UPDATE checks_generated SET number = 21;
UPDATE checks_generated SET id = 3 RETURNING id;
UPDATE checks_whole SET body = 'y' RETURNING body;
UPDATE checks_whole SET body = 'refused';
INSERT INTO checks_whole VALUES (1, 1, 'z') ON CONFLICT (id) DO UPDATE SET body = 'refused';
-- An UPDATE that moves a row to another partition fires its INSERT triggers there.
UPDATE checks_moving SET id = 2 RETURNING id;
UPDATE checks_moving SET body = 'b';
ROLLBACK;
\set ON_ERROR_ROLLBACK off
RESET ROLE;
DROP TABLE checks_generated, checks_moving, checks_whole CASCADE;
DROP FUNCTION checks_move;
-- What may answer otherwise the next time is asked each time.
SET rls_tenant.guard = off;
CREATE FUNCTION checks_ask(text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RAISE WARNING 'asked'; RETURN true; END $$;
CREATE TABLE checks_asked (body text);
ALTER TABLE checks_asked ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON checks_asked WITH CHECK (checks_ask(body));
CREATE POLICY two ON checks_asked AS RESTRICTIVE WITH CHECK (checks_ask(body));
GRANT INSERT ON checks_asked TO regress_checks_app;
SET ROLE regress_checks_app;
INSERT INTO checks_asked VALUES ('x');
RESET ROLE;
DROP TABLE checks_asked;
DROP FUNCTION checks_ask;
RESET rls_tenant.guard;

SELECT rls_tenant.drop_membership('checks');
DROP TABLE checks_item, checks_shared, checks_member CASCADE;
DELETE FROM rls_tenant.exemption;
DROP ROLE regress_checks_app;
