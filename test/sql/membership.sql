-- Membership sources: what can be one, what is_member() and the other functions return, and what they refuse.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_membership_owner;
CREATE ROLE regress_membership_app;
GRANT EXECUTE ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) TO regress_membership_owner;
GRANT EXECUTE ON FUNCTION rls_tenant.drop_membership(text) TO regress_membership_owner;
CREATE SCHEMA membership AUTHORIZATION regress_membership_owner;
GRANT USAGE ON SCHEMA membership TO regress_membership_app;
SELECT rls_tenant.exempt('membership', '%', 'a test of memberships');
SET search_path = membership;

SET ROLE regress_membership_owner;
CREATE TYPE grade AS ENUM ('reader', 'writer', 'admin');
CREATE TABLE member (
  user_id uuid NOT NULL, tenant_id uuid, grade grade, status text DEFAULT 'active', expires_at timestamptz, expires_on date,
  PRIMARY KEY (user_id, tenant_id));
CREATE FUNCTION u(int) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$SELECT lpad($1::text, 32, '0')::uuid$$;
INSERT INTO member (user_id, tenant_id, grade, status) VALUES
  (u(1), u(10), 'admin', 'active'), (u(1), u(11), 'reader', 'active'), (u(1), u(12), 'reader', 'gone'),
  (u(2), u(11), 'writer', 'active'), (u(3), u(13), NULL, 'active');
SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id', 'grade', 'status = ''active''');
RESET ROLE;
SELECT name, relation, user_column, group_column, role_column, active FROM rls_tenant.membership_source;
SELECT * FROM rls_tenant.membership_sources();

-- The application has no right on the table, and gets the right groups.
SET ROLE regress_membership_app;
SELECT count(*) FROM member;
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1));
SELECT g, rls_tenant.is_member(u(g)), rls_tenant.member_role(u(g)), rls_tenant.has_role(u(g), 'admin'), rls_tenant.has_role(u(g), 'reader')
FROM generate_series(9, 13) g;
SELECT rls_tenant.is_member(NULL::uuid), rls_tenant.has_role(NULL::uuid, 'admin'), rls_tenant.has_role(u(10), NULL), rls_tenant.member_role(NULL::uuid) IS NULL;
SELECT rls_tenant.member_groups_uuid();
SELECT rls_tenant.member_groups_uuid(role => 'reader');
COMMIT;
BEGIN; SET LOCAL rls_tenant.user_id = '00000000-0000-0000-0000-000000000003';
SELECT rls_tenant.is_member(u(13)), rls_tenant.has_role(u(13), ''), rls_tenant.member_role(u(13)) IS NULL;
COMMIT;
-- A user whom nobody knows is in no group.
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(98));
SELECT rls_tenant.member_groups_uuid(), rls_tenant.is_member(u(10)), rls_tenant.member_role(u(10)) IS NULL;
COMMIT;
-- A check of a user whose groups are cached runs no query.
SELECT queries AS before FROM rls_tenant.membership_cache() \gset
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1));
SELECT rls_tenant.is_member(u(10));
COMMIT;
SELECT queries - :before FROM rls_tenant.membership_cache();

-- No user, a user of another type, no such source, groups of another type, a source that is NULL.
SELECT rls_tenant.is_member(u(10));
SELECT rls_tenant.member_groups_uuid();
BEGIN; SET LOCAL rls_tenant.user_id = 'bob'; SELECT rls_tenant.is_member(u(10)); ROLLBACK;
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10), 'team'); ROLLBACK;
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10), NULL); ROLLBACK;
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(10); ROLLBACK;
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.member_groups_text(); ROLLBACK;
RESET ROLE;
SET rls_tenant.missing_context = 'null';
SELECT rls_tenant.is_member(u(10)) IS NULL, rls_tenant.has_role(u(10), 'admin') IS NULL, rls_tenant.member_groups_uuid() IS NULL, (NOT rls_tenant.is_member(u(10))) IS NULL;
RESET rls_tenant.missing_context;

-- Who may add and drop.
SET ROLE regress_membership_app;
SELECT rls_tenant.add_membership('mine', 'member', 'user_id', 'tenant_id');
SELECT rls_tenant.drop_membership('tenant');
SELECT * FROM rls_tenant.membership_source;
INSERT INTO rls_tenant.membership_source VALUES ('mine', 'pg_class', 'oid', 'relname');
RESET ROLE;
GRANT EXECUTE ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) TO regress_membership_app;
GRANT EXECUTE ON FUNCTION rls_tenant.drop_membership(text) TO regress_membership_app;
SET ROLE regress_membership_app;
SELECT rls_tenant.add_membership('mine', 'member', 'user_id', 'tenant_id');
SELECT rls_tenant.drop_membership('tenant');
RESET ROLE;
SET ROLE regress_membership_owner;
SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id');
SELECT rls_tenant.drop_membership('none');
SELECT rls_tenant.add_membership(NULL, 'member', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('', 'member', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership(repeat('n', 64), 'member', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 0::regclass, 'user_id', 'tenant_id');

-- Columns.
CREATE TABLE odd (user_id bigint, tenant_id bigint, at timestamptz, flag boolean, c char(3), ci text COLLATE "und-x-icu");
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
ALTER TABLE odd ADD COLUMN blind text COLLATE blind;
SELECT rls_tenant.add_membership('x', 'odd', 'nobody', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'odd', 'user_id', 'nowhere');
SELECT rls_tenant.add_membership('x', 'odd', 'user_id', 'tenant_id', 'nothing');
SELECT rls_tenant.add_membership('x', 'odd', 'at', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'odd', 'user_id', 'c');
SELECT rls_tenant.add_membership('x', 'odd', 'user_id', 'blind');
SELECT rls_tenant.add_membership('x', 'odd', 'blind', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'odd', 'user_id', 'tenant_id', 'flag');
SELECT rls_tenant.add_membership('x', 'odd', 'tableoid', 'tenant_id');

-- Relations.
CREATE MATERIALIZED VIEW heap AS SELECT * FROM odd;
CREATE VIEW on_heap AS SELECT * FROM heap;
CREATE VIEW on_catalog AS SELECT oid::bigint AS user_id, oid::bigint AS tenant_id FROM pg_class;
CREATE VIEW on_function AS SELECT user_id, tenant_id FROM odd WHERE pg_backend_pid() > 0;
CREATE VIEW on_random AS SELECT user_id, tenant_id FROM odd WHERE random() > 0.5;
CREATE VIEW on_sample AS SELECT user_id, tenant_id FROM odd TABLESAMPLE BERNOULLI (50);
CREATE VIEW on_user AS SELECT user_id, tenant_id FROM odd WHERE current_user = 'x';
CREATE VIEW on_function_rows AS SELECT g AS user_id, g AS tenant_id FROM generate_series(1, 3) g;
CREATE AGGREGATE own_max(bigint) (SFUNC = int8larger, STYPE = bigint);
CREATE VIEW on_aggregate AS SELECT user_id, own_max(tenant_id) AS tenant_id FROM odd GROUP BY 1;
CREATE VIEW on_default AS SELECT user_id, rls_tenant.current_tenant_bigint() AS tenant_id FROM odd;
CREATE VIEW on_locked AS SELECT user_id, tenant_id FROM odd FOR UPDATE;
CREATE SEQUENCE counter;
CREATE TEMP TABLE of_session (user_id bigint, tenant_id bigint);
SELECT rls_tenant.add_membership('x', 'heap', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'on_heap', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'on_catalog', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'on_function', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'on_random', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'on_sample', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'on_user', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'on_aggregate', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'on_default', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'on_locked', 'user_id', 'tenant_id');
SELECT rls_tenant.add_membership('x', 'counter', 'last_value', 'last_value');
SELECT rls_tenant.add_membership('x', 'pg_temp.of_session', 'user_id', 'tenant_id');
RESET ROLE;
SELECT rls_tenant.add_membership('x', 'pg_class', 'oid', 'relname');
CREATE TABLE membership.of_admin (user_id bigint, tenant_id bigint);
GRANT SELECT ON of_admin TO regress_membership_owner;
SET ROLE regress_membership_owner;
CREATE VIEW on_other AS SELECT * FROM of_admin;
SELECT rls_tenant.add_membership('x', 'on_other', 'user_id', 'tenant_id');

-- active: a condition on the row and the clock.
CREATE FUNCTION stable() RETURNS boolean STABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION immutable(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$SELECT $1 = 'active'$$;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'random() > 0.5');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'stable()');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'statement_timestamp() < expires_at');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'expires_on > now()');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'current_user = status');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'rls_tenant.current_user_uuid() = user_id');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'rls_tenant.is_member(tenant_id)');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'EXISTS (SELECT FROM odd)');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'length(status)::positive > 0');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'status');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'status =');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'status = ''active'' UNION SELECT true');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'true) OR (true');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'other = 1');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, 'user_id = $1');
SELECT rls_tenant.add_membership('x', 'member', 'user_id', 'tenant_id', NULL, '');

-- What is found wrong later is an error with the source's name, never "yes".
SELECT rls_tenant.add_membership('late', 'member', 'user_id', 'tenant_id', NULL, 'immutable(status) AND status <> ''x''');
SELECT rls_tenant.add_membership('late_view', 'on_function_rows', 'user_id', 'tenant_id');
\set SHOW_CONTEXT always
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1));
SELECT rls_tenant.is_member(u(10), 'late');
ALTER FUNCTION immutable(text) STABLE;
SELECT rls_tenant.is_member(u(10), 'late');
ROLLBACK;
BEGIN; ALTER TABLE member RENAME status TO state; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10), 'late'); ROLLBACK;
BEGIN; ALTER TABLE member DROP COLUMN tenant_id; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10), 'late'); ROLLBACK;
BEGIN; ALTER TABLE member ALTER COLUMN user_id TYPE text; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10), 'late'); ROLLBACK;
BEGIN; ALTER TABLE member ALTER COLUMN tenant_id TYPE text; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10), 'late'); ROLLBACK;
BEGIN; CREATE OR REPLACE FUNCTION immutable(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$SELECT 1 / 0 > 0$$; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10), 'late'); ROLLBACK;
BEGIN; CREATE OR REPLACE VIEW on_function_rows AS SELECT user_id::int AS user_id, tenant_id::int AS tenant_id FROM heap; SELECT rls_tenant.set_context(99, NULL, 1); SELECT rls_tenant.is_member(10, 'late_view'); ROLLBACK;
\set SHOW_CONTEXT never
-- Names that change are followed; what takes an old name is not.
BEGIN; ALTER TABLE member RENAME TO member_old; CREATE TABLE member (LIKE member_old); INSERT INTO member (user_id, tenant_id) VALUES (u(1), u(77));
SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10)), rls_tenant.is_member(u(77)); ROLLBACK;
RESET ROLE;
BEGIN; ALTER SCHEMA membership RENAME TO membership_old; SELECT rls_tenant.set_context(membership_old.u(99), NULL, membership_old.u(1)); SELECT rls_tenant.is_member(membership_old.u(10)); ROLLBACK;
-- A function that is replaced, and a label that is renamed, change groups that are cached.
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10), 'late'); COMMIT;
CREATE OR REPLACE FUNCTION immutable(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$SELECT $1 = 'gone'$$;
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10), 'late'), rls_tenant.is_member(u(12), 'late'); COMMIT;
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.member_role(u(10)); COMMIT;
ALTER TYPE grade RENAME VALUE 'admin' TO 'owner';
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.member_role(u(10)), rls_tenant.has_role(u(10), 'admin'); COMMIT;
SET ROLE regress_membership_owner;
SELECT rls_tenant.drop_membership('late'), rls_tenant.drop_membership('late_view');

-- The clock: cached for one transaction, in which it stands still. Its days are UTC's, whatever the session says.
SELECT rls_tenant.add_membership('timed', 'member', 'user_id', 'tenant_id', NULL, 'expires_at > now() AND expires_on >= CURRENT_DATE');
RESET ROLE;
SELECT * FROM rls_tenant.membership_sources();
UPDATE member SET expires_at = now() + interval '1 day', expires_on = (now() AT TIME ZONE 'UTC')::date WHERE tenant_id = u(10);
UPDATE member SET expires_at = now() - interval '1 day', expires_on = 'infinity' WHERE tenant_id = u(11);
UPDATE member SET expires_at = 'infinity', expires_on = (now() AT TIME ZONE 'UTC')::date - 1 WHERE tenant_id = u(12);
SET timezone = 'Pacific/Pago_Pago';
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1));
SELECT rls_tenant.is_member(u(10), 'timed'), rls_tenant.is_member(u(11), 'timed'), rls_tenant.is_member(u(12), 'timed');
SELECT users FROM rls_tenant.membership_cache();
COMMIT;
SELECT users FROM rls_tenant.membership_cache();
SET timezone = 'Pacific/Kiritimati';
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1));
SELECT rls_tenant.is_member(u(10), 'timed'), rls_tenant.is_member(u(11), 'timed'), rls_tenant.is_member(u(12), 'timed');
COMMIT;
RESET timezone;

-- Types: int columns, varchar, several roles in a group, numbers as roles.
CREATE TABLE small (u int, g smallint, r int);
INSERT INTO small VALUES (1, 1, 5), (1, 1, 7), (1, 2, 5), (1, NULL, 5), (NULL, 3, 5), (1, 2, 5);
SELECT rls_tenant.add_membership('small', 'small', 'u', 'g', 'r');
CREATE TABLE words (u varchar(10), g varchar(10), r name);
INSERT INTO words VALUES ('bob', 'a', 'x'), ('bob', 'ab', 'y'), ('bob', 'B', 'x'), ('bob', '', 'x');
SELECT rls_tenant.add_membership('words', 'words', 'u', 'g', 'r');
SET ROLE regress_membership_app;
BEGIN; SELECT rls_tenant.set_context(9, NULL, 1);
SELECT rls_tenant.is_member(1, 'small'), rls_tenant.is_member(1::smallint, 'small'), rls_tenant.is_member(3::bigint, 'small'), rls_tenant.is_member(70000, 'small');
SELECT rls_tenant.member_groups_bigint('small'), rls_tenant.member_groups_bigint('small', '7'), rls_tenant.has_role(1, '7', 'small'), rls_tenant.has_role(2, '7', 'small');
SELECT rls_tenant.member_role(2, 'small');
SELECT rls_tenant.member_role(1, 'small');
ROLLBACK;
BEGIN; SET LOCAL rls_tenant.user_id = '99999999999'; SELECT rls_tenant.member_groups_bigint('small'); COMMIT;
BEGIN; SET LOCAL rls_tenant.user_id = 'bob';
SELECT g, rls_tenant.is_member(g, 'words') FROM unnest('{a,ab,abc,B,b,"",NULL}'::text[]) g;
SELECT rls_tenant.is_member('ab'::varchar, 'words'), rls_tenant.member_groups_text('words');
SELECT s, rls_tenant.is_member('a', s) FROM unnest('{words,words}'::text[]) s;
ROLLBACK;
RESET ROLE;

-- A partition alone, and inheritance children, can be sources; a child that comes later has no trigger, so nothing is cached.
CREATE TABLE split (user_id int, g int) PARTITION BY LIST (g);
CREATE TABLE split_1 PARTITION OF split FOR VALUES IN (1, 2);
SELECT rls_tenant.add_membership('part', 'split_1', 'user_id', 'g');
SELECT rls_tenant.add_membership('split', 'split', 'user_id', 'g');
CREATE TABLE parent (user_id int, g int);
CREATE TABLE child () INHERITS (parent);
SELECT rls_tenant.add_membership('parent', 'parent', 'user_id', 'g');
SELECT name, cached, detail FROM rls_tenant.membership_sources() WHERE relation IN ('split'::regclass, 'split_1', 'parent');
CREATE TABLE split_3 PARTITION OF split FOR VALUES IN (3);
CREATE TABLE later () INHERITS (parent);
ALTER TABLE split_1 DISABLE TRIGGER rls_tenant_membership;
SELECT name, cached, detail FROM rls_tenant.membership_sources() WHERE relation IN ('split'::regclass, 'split_1', 'parent');
SELECT rls_tenant.drop_membership('part'), rls_tenant.drop_membership('split'), rls_tenant.drop_membership('parent');
SELECT tgrelid::regclass FROM pg_trigger WHERE tgfoid = 'rls_tenant.note_membership_change'::regproc AND tgrelid::regclass::text IN ('split', 'split_1', 'split_3', 'parent', 'child');

-- The cache has a bound; without room each statement runs a query, with the same result.
SET rls_tenant.membership_cache_size = '2kB';
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10)); COMMIT;
DO $$ BEGIN FOR i IN 1..50 LOOP PERFORM rls_tenant.set_context(u(99), NULL, u(i)), rls_tenant.is_member(u(10)); COMMIT; END LOOP; END $$;
SELECT users BETWEEN 1 AND 10, bytes <= 2048, evictions > 30 FROM rls_tenant.membership_cache();
SET rls_tenant.membership_cache_size = 0;
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10)), rls_tenant.is_member(u(13)); COMMIT;
SELECT users, bytes FROM rls_tenant.membership_cache();
RESET rls_tenant.membership_cache_size;

-- 50,000 groups.
CREATE TABLE crowd (user_id bigint, team_id bigint, role text);
INSERT INTO crowd SELECT 1, 2 * g, CASE g % 2 WHEN 0 THEN 'even' END FROM generate_series(1, 50000) g;
SELECT rls_tenant.add_membership('crowd', 'crowd', 'user_id', 'team_id', 'role');
BEGIN; SELECT rls_tenant.set_context(9, NULL, 1);
SELECT count(*) FILTER (WHERE rls_tenant.is_member(g, 'crowd')), count(*) FILTER (WHERE rls_tenant.has_role(g, 'even', 'crowd')) FROM generate_series(-5, 100010) g;
SELECT cardinality(rls_tenant.member_groups_bigint('crowd')), cardinality(rls_tenant.member_groups_bigint('crowd', 'even'));
COMMIT;

-- The planner looks up some of them only; a function that it calls to estimate gets all.
CREATE TABLE crowded (id bigint PRIMARY KEY, g bigint);
INSERT INTO crowded SELECT x, 2 * x FROM generate_series(1, 1300) x;
INSERT INTO crowd SELECT 2, 2 * g FROM generate_series(1, 1200) g;
ANALYZE crowded;
CREATE FUNCTION remembered() RETURNS bigint[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF coalesce(current_setting('my.groups', true), '') = '' THEN
    PERFORM set_config('my.groups', rls_tenant.member_groups_bigint('crowd')::text, true);
  END IF;
  RETURN current_setting('my.groups')::bigint[];
END $$;
BEGIN; SELECT rls_tenant.set_context(9, NULL, 2);
SELECT count(*) FROM crowded WHERE g = ANY (remembered());
SELECT count(*) FROM crowded WHERE rls_tenant.is_member(g, 'crowd');
COMMIT;

-- Dropped: the trigger goes with the last source of a table, the source with its relation.
SELECT tgname FROM pg_trigger WHERE tgrelid = 'member'::regclass ORDER BY 1;
SELECT rls_tenant.drop_membership('timed');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'member'::regclass ORDER BY 1;
SELECT rls_tenant.drop_membership('tenant');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'member'::regclass ORDER BY 1;
BEGIN; SELECT rls_tenant.set_context(u(99), NULL, u(1)); SELECT rls_tenant.is_member(u(10)); ROLLBACK;
DROP TABLE crowd;
SELECT name FROM rls_tenant.membership_source ORDER BY 1;
SELECT rls_tenant.drop_membership(name) FROM rls_tenant.membership_source ORDER BY name;
SELECT count(*) FROM pg_trigger WHERE tgname = 'rls_tenant_membership';
SELECT rls_tenant.note_membership_change();

SET client_min_messages = warning;
DROP SCHEMA membership CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'membership';
DROP OWNED BY regress_membership_owner, regress_membership_app;
DROP ROLE regress_membership_owner, regress_membership_app;
