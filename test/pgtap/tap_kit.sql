-- The tests of rls_tenant_tap, tested: with every kind of hole in a table the test of isolation fails and says where, and the sound table passes.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = public, kit, shop;
CREATE SCHEMA kit;
CREATE SCHEMA shop;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS rls_tenant;
CREATE EXTENSION rls_tenant_tap SCHEMA kit;
SELECT no_plan();

CREATE ROLE tap_web;
CREATE ROLE tap_reader;
CREATE ROLE tap_owner;
CREATE ROLE tap_bypass BYPASSRLS;
GRANT tap_web TO tap_bypass;
GRANT USAGE ON SCHEMA shop TO tap_web, tap_reader, tap_owner, tap_bypass;
GRANT USAGE ON SCHEMA kit TO tap_web, tap_owner, tap_bypass;
GRANT CREATE ON SCHEMA shop TO tap_owner;

-- Tenants 1 and 2 have a row each. Of the policies tenant_floor is RESTRICTIVE and tenant_access PERMISSIVE.
SET ROLE tap_owner;
CREATE TABLE shop.thing (id int PRIMARY KEY, tenant_id bigint, org bigint, note text);
\o /dev/null
SELECT rls_tenant.protect('shop.thing');
\o
CREATE TABLE shop.part_of_thing (id int PRIMARY KEY, tenant_id bigint, thing int REFERENCES shop.thing);
\o /dev/null
SELECT rls_tenant.protect('shop.part_of_thing');
\o
RESET ROLE;
INSERT INTO shop.thing VALUES (1, 1, 2, 'a'), (2, 2, 1, 'b');
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.thing TO tap_web;
-- Holes are made on purpose, and undone.
SET LOCAL rls_tenant.guard = off;

-- What a test says after it was run with a change in force, which is undone; its line "Failed test" left out.
CREATE FUNCTION said(change text, test text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  number bigint;
  called boolean;
  output text;
BEGIN
  SELECT last_value, is_called INTO number, called FROM __tresults___numb_seq;
  BEGIN
    EXECUTE change;
    EXECUTE test INTO output;
    RAISE EXCEPTION USING ERRCODE = 'RT001';
  EXCEPTION WHEN SQLSTATE 'RT001' THEN NULL;
  END;
  PERFORM setval('__tresults___numb_seq', number, called);
  RETURN regexp_replace(regexp_replace(output, '^((not )?ok) \d+', '\1'), '\n# Failed test [^\n]*', '');
END
$$;


-- What is raised, with its detail and hint.
CREATE FUNCTION raised(change text, test text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
  hint text;
BEGIN
  PERFORM said(change, test);
  RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END
$$;

-- With a change in force the test of isolation fails with just these lines.
CREATE FUNCTION hole(label text, change text, lines text, test text DEFAULT $t$SELECT tenant_isolated('thing', as_role => 'tap_web')$t$) RETURNS text LANGUAGE sql AS $$
  SELECT is(said(change, test), E'not ok - shop.thing keeps tenants apart\n# ' || replace(lines, E'\n', E'\n# '), label);
$$;
-- It fails with at least these lines.
CREATE FUNCTION wide_hole(label text, change text, lines text, test text DEFAULT $t$SELECT tenant_isolated('thing', as_role => 'tap_web')$t$) RETURNS text LANGUAGE sql AS $$
  SELECT is(array_to_string(ARRAY(SELECT line FROM string_to_table(lines, E'\n') line EXCEPT SELECT substr(line, 3) FROM string_to_table(s, E'\n') line), E'\n')
      || CASE WHEN s LIKE 'not ok - %' THEN '' ELSE ' ' || s END, '', label)
  FROM said(change, test) s;
$$;
-- With a change in force it passes.
CREATE FUNCTION sound(label text, change text, test text DEFAULT $t$SELECT tenant_isolated('thing', as_role => 'tap_web')$t$, notes text DEFAULT '') RETURNS text LANGUAGE sql AS $$
  SELECT is(said(change, test), 'ok - shop.thing keeps tenants apart' || notes, label);
$$;
CREATE FUNCTION policies(statements text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DROP POLICY tenant_isolation ON thing;
  DROP POLICY tenant_access ON thing;
  EXECUTE replace(replace(statements, 'MINE', 'tenant_id = rls_tenant.current_tenant_bigint()'), 'POLICY ', 'POLICY p');
END
$$;

-- 1. The sound table

SELECT sound('the sound table passes', 'SELECT 1');
SELECT sound('a permissive policy beside the restrictive one is no hole', 'CREATE POLICY p ON thing USING (true)');
SELECT sound('nor is a table without the restrictive one', 'DROP POLICY tenant_isolation ON thing');
SELECT sound('many rows, NULLs and odd values', $$INSERT INTO thing SELECT i, i % 3 + 1, NULL, E'it''s "%"\n' || i FROM generate_series(10, 200) i$$);
SELECT sound('foreign keys to it stop DELETE, not the test', 'INSERT INTO part_of_thing VALUES (1, 1, 1), (2, 2, 2)');
SELECT sound('nor do triggers of its own', $$
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = ''42501'', MESSAGE = ''not this column''; END';
  CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON thing FOR EACH ROW EXECUTE FUNCTION refuse()$$);
SELECT sound('a trigger that puts the tenant in is no hole', $$
  CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.tenant_id := rls_tenant.current_tenant_bigint(); RETURN NEW; END';
  CREATE TRIGGER t BEFORE INSERT OR UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION put()$$);
SELECT sound('a key with the tenant', 'ALTER TABLE part_of_thing DROP CONSTRAINT part_of_thing_thing_fkey; ALTER TABLE thing DROP CONSTRAINT thing_pkey, ADD PRIMARY KEY (tenant_id, id)');
SELECT sound('no key', 'ALTER TABLE part_of_thing DROP CONSTRAINT part_of_thing_thing_fkey; ALTER TABLE thing DROP CONSTRAINT thing_pkey');
SELECT sound('an identity, a generated column', 'ALTER TABLE thing ALTER id ADD GENERATED ALWAYS AS IDENTITY, ADD twice int GENERATED ALWAYS AS (id * 2) STORED');
SELECT sound('the application''s names are found by the caller''s search_path', $$
  CREATE FUNCTION shop.helper() RETURNS boolean LANGUAGE sql AS 'SELECT true';
  CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM helper(); RETURN NEW; END';
  CREATE TRIGGER t BEFORE INSERT OR UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION put()$$);
SELECT is(said($$CREATE TABLE "a ""B"" %s" ("The Tenant" text COLLATE "C", "x y" timestamptz[]); SELECT rls_tenant.protect('"a ""B"" %s"', 'The Tenant');
  INSERT INTO "a ""B"" %s" VALUES ('o''neill', ARRAY[now(), NULL]), ('%I, 2', '{}'); GRANT SELECT, INSERT, UPDATE, DELETE ON "a ""B"" %s" TO tap_web$$,
  $$SELECT tenant_isolated('"a ""B"" %s"', as_role => 'tap_web')$$), 'ok - public."a ""B"" %s" keeps tenants apart', 'odd names and values');
SELECT alike(said('INSERT INTO thing VALUES (3, 3, 3, ''c''); DROP POLICY tenant_isolation ON thing; DROP POLICY tenant_access ON thing;
    CREATE POLICY own ON thing USING (tenant_id = rls_tenant.current_tenant_bigint()); CREATE POLICY third ON thing FOR DELETE USING (tenant_id = 3)',
  $$SELECT tenant_isolated('thing', as_role => 'tap_web')$$), '%tap_web as tenant 1 makes, changes or takes away rows of other tenants than 1 and 2: DELETE FROM shop.thing%',
  'a hole that leads to a third tenant alone');
SELECT sound('tenants by name', 'SELECT 1', $$SELECT tenant_isolated('thing', '1', ' 2', 'tap_web')$$);
SELECT is(said('SELECT 1', $$SELECT tenant_isolated('thing', as_role => 'tap_web', description => 'of my own')$$), 'ok - of my own', 'a description of one''s own');
SELECT is(said('SELECT 1', $$SELECT array_agg(t ORDER BY id)::text FROM thing t$$), '{"(1,1,2,a)","(2,2,1,b)"}', 'the table is as it was');

-- 2. Holes

SELECT wide_hole('row-level security off', 'ALTER TABLE thing DISABLE ROW LEVEL SECURITY', $$row-level security is not enabled on shop.thing: SELECT rls_tenant.protect('shop.thing');
tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing
tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing FOR UPDATE
tap_web as tenant 1 changes rows of tenant 2: UPDATE shop.thing SET org = '2'
tap_web as tenant 1 gets rows of tenant 2: UPDATE shop.thing SET org = '2' RETURNING tenant_id
tap_web as tenant 1 changes rows of tenant 2: MERGE INTO shop.thing USING (SELECT 1) one ON true WHEN MATCHED THEN UPDATE SET org = '2'
tap_web as tenant 1 takes rows away from tenant 2: UPDATE shop.thing SET tenant_id = '1'
tap_web as tenant 1 makes rows of tenant 2: UPDATE shop.thing SET tenant_id = '2'
tap_web as tenant 1 takes rows away from tenant 2: MERGE INTO shop.thing USING (SELECT 1) one ON true WHEN MATCHED THEN UPDATE SET tenant_id = '1'
tap_web as tenant 1 takes rows away from tenant 2: DELETE FROM shop.thing
tap_web as tenant 1 gets rows of tenant 2: DELETE FROM shop.thing RETURNING tenant_id
tap_web as tenant 1 takes rows away from tenant 2: MERGE INTO shop.thing USING (SELECT 1) one ON true WHEN MATCHED THEN DELETE
tap_web as tenant 1 makes rows of tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b')
tap_web as tenant 1 makes rows of tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b') ON CONFLICT DO NOTHING
tap_web as tenant 1 takes rows away from tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '1', '1', 'b') ON CONFLICT (id) DO UPDATE SET tenant_id = '1'
tap_web as tenant 1 makes rows of tenant 2: MERGE INTO shop.thing USING (SELECT 1) one ON false WHEN NOT MATCHED THEN INSERT (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b')
tap_web as tenant 1 gets 2 rows, and should get 1: COPY shop.thing TO '/dev/null'
tap_web as tenant 1 could write rows of any tenant: COPY shop.thing FROM '/dev/null'
tap_web as tenant 2 gets rows of tenant 1: SELECT tenant_id FROM shop.thing
tap_web as tenant 2 makes rows of tenant 1: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('1', '1', '2', 'a')
tap_web without a context gets rows of tenant 1, 2: SELECT tenant_id FROM shop.thing
tap_web without a context takes rows away from tenant 2: DELETE FROM shop.thing
tap_web without a context gets 2 rows, and should get 0: COPY shop.thing TO '/dev/null'$$);
SELECT hole('not forced: the application does not notice, the test does', 'ALTER TABLE thing NO FORCE ROW LEVEL SECURITY',
  'row-level security is not forced on shop.thing, so that its owner tap_owner passes every policy: ALTER TABLE shop.thing FORCE ROW LEVEL SECURITY;');
SELECT wide_hole('not forced, as the owner', 'ALTER TABLE thing NO FORCE ROW LEVEL SECURITY', $$tap_owner as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing
tap_owner as tenant 1 takes rows away from tenant 2: DELETE FROM shop.thing$$, $$SELECT tenant_isolated('thing', as_role => 'tap_owner')$$);
SELECT hole('owned by the application''s role', 'GRANT CREATE ON SCHEMA shop TO tap_web; ALTER TABLE thing OWNER TO tap_web; REVOKE TRUNCATE ON thing FROM tap_web',
  'tap_web owns shop.thing, or can become its owner tap_web, who may switch row-level security off');
SELECT hole('the application''s role can become the owner', 'GRANT tap_owner TO tap_web; REVOKE TRUNCATE ON thing FROM tap_owner',
  'tap_web owns shop.thing, or can become its owner tap_owner, who may switch row-level security off');
SELECT hole('TRUNCATE', 'GRANT TRUNCATE ON thing TO PUBLIC', 'tap_web may TRUNCATE shop.thing, to which no policy applies: REVOKE TRUNCATE ON shop.thing FROM tap_web;');
SELECT wide_hole('USING (true) beside, and no restrictive policy', 'DROP POLICY tenant_isolation ON thing; CREATE POLICY p ON thing USING (true)',
$$tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing
tap_web as tenant 2 takes rows away from tenant 1: DELETE FROM shop.thing
tap_web without a context gets rows of tenant 1, 2: SELECT tenant_id FROM shop.thing
tap_web as tenant 1 takes rows away from tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '1', '1', 'b') ON CONFLICT (id) DO UPDATE SET tenant_id = '1'$$);
SELECT hole('INSERT', $$SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR INSERT WITH CHECK (true)')$$,
$$tap_web as tenant 1 makes rows of tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b')
tap_web as tenant 1 makes rows of tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b') ON CONFLICT DO NOTHING
tap_web as tenant 1 makes rows of tenant 2: MERGE INTO shop.thing USING (SELECT 1) one ON false WHEN NOT MATCHED THEN INSERT (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b')
tap_web as tenant 2 makes rows of tenant 1: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('1', '1', '2', 'a')
tap_web as tenant 2 makes rows of tenant 1: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('1', '1', '2', 'a') ON CONFLICT DO NOTHING
tap_web as tenant 2 makes rows of tenant 1: MERGE INTO shop.thing USING (SELECT 1) one ON false WHEN NOT MATCHED THEN INSERT (id, tenant_id, org, note) VALUES ('1', '1', '2', 'a')
tap_web without a context makes rows of tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b')
tap_web without a context makes rows of tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b') ON CONFLICT DO NOTHING$$);
SELECT hole('UPDATE moves rows to another tenant', $$SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR UPDATE USING (MINE) WITH CHECK (true)')$$,
$$tap_web as tenant 1 makes rows of tenant 2: UPDATE shop.thing SET tenant_id = '2'
tap_web as tenant 2 makes rows of tenant 1: UPDATE shop.thing SET tenant_id = '1'$$);
SELECT wide_hole('UPDATE USING (true)', $$SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR UPDATE USING (true) WITH CHECK (MINE)')$$,
$$tap_web as tenant 1 takes rows away from tenant 2: UPDATE shop.thing SET tenant_id = '1'
tap_web as tenant 2 takes rows away from tenant 1: MERGE INTO shop.thing USING (SELECT 1) one ON true WHEN MATCHED THEN UPDATE SET tenant_id = '2'$$);
SELECT hole('DELETE', $$SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR DELETE USING (true)')$$,
$$tap_web as tenant 1 takes rows away from tenant 2: DELETE FROM shop.thing
tap_web as tenant 1 takes rows away from tenant 2: MERGE INTO shop.thing USING (SELECT 1) one ON true WHEN MATCHED THEN DELETE
tap_web as tenant 2 takes rows away from tenant 1: DELETE FROM shop.thing
tap_web as tenant 2 takes rows away from tenant 1: MERGE INTO shop.thing USING (SELECT 1) one ON true WHEN MATCHED THEN DELETE
tap_web without a context takes rows away from tenant 2: DELETE FROM shop.thing$$);
SELECT hole('SELECT', $$SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR SELECT USING (true)')$$,
$$tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing
tap_web as tenant 1 gets 2 rows, and should get 1: COPY shop.thing TO '/dev/null'
tap_web as tenant 2 gets rows of tenant 1: SELECT tenant_id FROM shop.thing
tap_web as tenant 2 gets 2 rows, and should get 1: COPY shop.thing TO '/dev/null'
tap_web without a context gets rows of tenant 1, 2: SELECT tenant_id FROM shop.thing
tap_web without a context gets 2 rows, and should get 0: COPY shop.thing TO '/dev/null'$$);
SELECT hole('OR', $$REVOKE INSERT, UPDATE, DELETE ON thing FROM tap_web; SELECT policies('CREATE POLICY a ON thing USING (MINE OR org = rls_tenant.current_tenant_bigint())')$$,
$$tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing
tap_web as tenant 1 gets 2 rows, and should get 1: COPY shop.thing TO '/dev/null'
tap_web as tenant 2 gets rows of tenant 1: SELECT tenant_id FROM shop.thing
tap_web as tenant 2 gets 2 rows, and should get 1: COPY shop.thing TO '/dev/null'
tap_web is not permitted to INSERT, UPDATE, DELETE$$);
SELECT wide_hole('the restrictive policy is for another role', $$SELECT policies('CREATE POLICY a ON thing USING (true); CREATE POLICY b ON thing AS RESTRICTIVE TO tap_reader USING (MINE)')$$,
$$tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing$$);
SELECT hole('the permissive policy is for another role: own rows are hidden', $$SELECT policies('CREATE POLICY a ON thing TO tap_reader USING (MINE)')$$,
$$tap_web as tenant 1 does not see its own rows: SELECT tenant_id FROM shop.thing
tap_web as tenant 2 does not see its own rows: SELECT tenant_id FROM shop.thing$$);
SELECT hole('own rows are hidden from one of the two', $$ALTER POLICY tenant_access ON thing USING (note <> 'b')$$, 'tap_web as tenant 2 does not see its own rows: SELECT tenant_id FROM shop.thing');
SELECT wide_hole('a policy on the wrong column', $$SELECT policies('CREATE POLICY a ON thing USING (org = rls_tenant.current_tenant_bigint())')$$,
$$tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing
tap_web as tenant 2 takes rows away from tenant 1: DELETE FROM shop.thing$$);
SELECT wide_hole('even where a restrictive policy says that it is the tenant''s', $$SELECT policies('CREATE POLICY a ON thing USING (true); CREATE POLICY b ON thing AS RESTRICTIVE USING (org = rls_tenant.current_tenant_bigint())')$$,
$$tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing$$);
SELECT wide_hole('a getter with an argument of its own instead of the default', $$SELECT policies('CREATE POLICY a ON thing USING (tenant_id = rls_tenant.current_tenant_bigint(''2''))')$$,
$$tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing
tap_web without a context gets rows of tenant 2: SELECT tenant_id FROM shop.thing$$);
SELECT wide_hole('a default that gives another tenant', $$ALTER TABLE thing ALTER tenant_id SET DEFAULT 2; SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR INSERT WITH CHECK (tenant_id <> 1)')$$,
$$tap_web as tenant 1 makes rows of tenant 2: INSERT INTO shop.thing (id, org, note) VALUES ('1', '2', 'a')$$);
SELECT hole('a missing context matches all', $$REVOKE INSERT, UPDATE, DELETE ON thing FROM tap_web; SET LOCAL rls_tenant.missing_context = 'null'; SELECT policies('CREATE POLICY a ON thing USING (MINE OR rls_tenant.current_tenant_bigint() IS NULL)')$$,
$$tap_web without a context gets rows of tenant 1, 2: SELECT tenant_id FROM shop.thing
tap_web without a context gets 2 rows, and should get 0: COPY shop.thing TO '/dev/null'
tap_web is not permitted to INSERT, UPDATE, DELETE$$);
SELECT hole('a third tenant is open', $$REVOKE INSERT, UPDATE, DELETE ON thing FROM tap_web; INSERT INTO thing VALUES (3, 3); SELECT policies('CREATE POLICY a ON thing USING (MINE OR tenant_id = 3 AND rls_tenant.current_tenant_bigint() > 0)')$$,
$$tap_web as tenant 1 gets rows of tenant 3: SELECT tenant_id FROM shop.thing
tap_web as tenant 1 gets 2 rows, and should get 1: COPY shop.thing TO '/dev/null'
tap_web as tenant 2 gets rows of tenant 3: SELECT tenant_id FROM shop.thing
tap_web as tenant 2 gets 2 rows, and should get 1: COPY shop.thing TO '/dev/null'
tap_web is not permitted to INSERT, UPDATE, DELETE$$);
SELECT hole('rows of no tenant are open', $$REVOKE INSERT, UPDATE, DELETE ON thing FROM tap_web; ALTER TABLE thing ALTER tenant_id DROP NOT NULL; INSERT INTO thing VALUES (3, NULL); SELECT policies('CREATE POLICY a ON thing USING (MINE OR tenant_id IS NULL AND rls_tenant.current_tenant_bigint() = 1)')$$,
$$tap_web as tenant 1 gets rows of tenant NULL: SELECT tenant_id FROM shop.thing
tap_web as tenant 1 gets 2 rows, and should get 1: COPY shop.thing TO '/dev/null'
tap_web is not permitted to INSERT, UPDATE, DELETE$$);
SELECT wide_hole('a foreign key hides a hole for DELETE', $$INSERT INTO part_of_thing VALUES (1, 1, 1), (2, 2, 2); SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR DELETE USING (true)')$$,
$$tap_web as tenant 1 takes rows away from tenant 2: DELETE FROM shop.thing$$);
SELECT wide_hole('a trigger hides a hole for INSERT', $$CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = ''42501'', MESSAGE = ''row-level security of table "other"''; END';
  CREATE TRIGGER t BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION refuse(); SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR INSERT WITH CHECK (true)')$$,
$$tap_web as tenant 1 makes rows of tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b')$$);
SELECT wide_hole('nor is one of another state taken for a refusal', $$CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = ''0A000'', MESSAGE = ''not here''; END';
  CREATE TRIGGER t BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION refuse(); SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR INSERT WITH CHECK (true)')$$,
$$tap_web as tenant 1 makes rows of tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b')$$);
SELECT wide_hole('a trigger with its owner''s rights makes the hole', $$CREATE FUNCTION copy_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO shop.thing VALUES (OLD.id + 100, 3 - OLD.tenant_id); RETURN NULL; END';
  CREATE TRIGGER t AFTER DELETE ON thing FOR EACH ROW EXECUTE FUNCTION copy_row()$$,
$$tap_web as tenant 1 makes rows of tenant 2: DELETE FROM shop.thing$$);
SELECT wide_hole('a column that cannot be filled is not taken for a refusal', $$ALTER TABLE thing ADD CHECK (note <> 'b') NOT VALID; SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR INSERT WITH CHECK (true)')$$,
$$tap_web as tenant 1 not decided: no policy refuses it, and it fails with 23514: new row for relation "thing" violates check constraint "thing_note_check": INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '2', '1', 'b')$$);

-- 3. Views, parts, memberships, rows for all

SELECT is(said('CREATE VIEW seen AS SELECT * FROM thing; GRANT SELECT ON seen TO tap_web', $$SELECT tenant_isolated('seen', as_role => 'tap_web')$$), $$not ok - public.seen keeps tenants apart
# tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM public.seen
# tap_web as tenant 2 gets rows of tenant 1: SELECT tenant_id FROM public.seen
# tap_web without a context gets rows of tenant 1, 2: SELECT tenant_id FROM public.seen
# tap_web is not permitted to INSERT, UPDATE, DELETE$$, 'a view with its owner''s rights');
SELECT is(said('CREATE VIEW seen WITH (security_invoker) AS SELECT * FROM thing; GRANT ALL ON seen TO tap_web', $$SELECT tenant_isolated('seen', as_role => 'tap_web')$$), 'ok - public.seen keeps tenants apart',
  'a view with its reader''s');
SELECT is(said('CREATE MATERIALIZED VIEW seen AS SELECT * FROM thing; GRANT SELECT ON seen TO tap_web', $$SELECT tenant_isolated('seen', as_role => 'tap_web')$$), $$not ok - public.seen keeps tenants apart
# tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM public.seen
# tap_web as tenant 2 gets rows of tenant 1: SELECT tenant_id FROM public.seen
# tap_web without a context gets rows of tenant 1, 2: SELECT tenant_id FROM public.seen
# tap_web is not permitted to INSERT, UPDATE, DELETE$$, 'a materialised view');
CREATE FUNCTION parted() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CREATE TABLE event (id int, tenant_id bigint) PARTITION BY HASH (id);
  CREATE TABLE event_0 PARTITION OF event FOR VALUES WITH (MODULUS 1, REMAINDER 0);
  PERFORM rls_tenant.protect('event');
  INSERT INTO event VALUES (1, 1), (2, 2);
  GRANT SELECT, INSERT, UPDATE, DELETE ON event, event_0 TO tap_web;
END
$$;
SELECT is(said('SELECT parted()', $$SELECT tenant_isolated('event', as_role => 'tap_web')$$), 'ok - public.event keeps tenants apart', 'a partitioned table');
SELECT is(said('SELECT parted()', $$SELECT tenant_isolated('event_0', as_role => 'tap_web')$$), 'ok - public.event_0 keeps tenants apart', 'a part of which no rows are seen');
SELECT alike(said('SELECT parted(); ALTER TABLE event_0 DISABLE ROW LEVEL SECURITY', $$SELECT tenant_isolated('event_0', as_role => 'tap_web')$$),
  '%# tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM public.event_0%', 'an open part');
CREATE FUNCTION membership() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CREATE TABLE member (user_id int, tenant_id bigint);
  INSERT INTO member VALUES (7, 1), (8, 2), (8, 3);
  PERFORM rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id');
  CREATE TABLE paper (id int PRIMARY KEY, tenant_id bigint);
  INSERT INTO paper VALUES (1, 1), (2, 2), (3, 3);
  PERFORM rls_tenant.protect('paper', membership => 'tenant');
  GRANT SELECT, INSERT, UPDATE, DELETE ON paper TO tap_web;
END
$$;
SELECT is(said('SELECT membership()', $$SELECT tenant_isolated('paper', '1', '2', 'tap_web', user_a => '7', user_b => '8')$$), 'ok - public.paper keeps tenants apart', 'memberships, of users');
SELECT alike(said('SELECT membership(); INSERT INTO member VALUES (7, 2)', $$SELECT tenant_isolated('paper', '1', '2', 'tap_web', user_a => '7', user_b => '8')$$),
  '%# tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM public.paper%', 'a user of both is no test');
SELECT alike(said('SELECT membership()', $$SELECT tenant_isolated('paper', '1', '2', 'tap_web')$$),
  '%# tap_web as tenant 1 does not see its own rows (no user is set for this transaction): SELECT tenant_id FROM public.paper%', 'without users memberships show nothing');
SELECT is(said('SELECT membership(); ALTER POLICY tenant_isolation ON paper USING (true); ALTER POLICY tenant_access ON paper USING (true)', $$SELECT tenant_isolated('paper', '1', '2', 'tap_web', user_a => '7', user_b => '8')$$) LIKE
  '%# tap_web as tenant 2 gets rows of tenant 1, 3: SELECT tenant_id FROM public.paper%', true, 'memberships that nobody asks for');
SELECT sound('rows for all, where the test is told', $$SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR SELECT USING (true)')$$,
  $$SELECT tenant_isolated('thing', as_role => 'tap_web', public_read => true)$$);
SELECT sound('public rows as protect() makes them', $$SELECT rls_tenant.protect('thing', public_read => 'note = ''b''')$$, $$SELECT tenant_isolated('thing', as_role => 'tap_web', public_read => true)$$);
SELECT wide_hole('where the test is not told they are a hole', $$SELECT rls_tenant.protect('thing', public_read => 'note = ''b''')$$,
  'tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing');
SELECT wide_hole('ON CONFLICT takes a row over that all may read', $$SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR SELECT USING (true); CREATE POLICY c ON thing FOR UPDATE USING (true)')$$,
$$tap_web as tenant 1 takes rows away from tenant 2: INSERT INTO shop.thing (id, tenant_id, org, note) VALUES ('2', '1', '1', 'b') ON CONFLICT (id) DO UPDATE SET tenant_id = '1'
tap_web as tenant 1 gets rows of tenant 2: SELECT tenant_id FROM shop.thing FOR UPDATE$$, $$SELECT tenant_isolated('thing', as_role => 'tap_web', public_read => true)$$);

-- 4. Privileges, and who tests

SELECT sound('what is not permitted is said', 'REVOKE INSERT, DELETE ON thing FROM tap_web', notes => E'\n# tap_web is not permitted to INSERT, DELETE');
SELECT sound('columns, too', 'REVOKE INSERT, UPDATE ON thing FROM tap_web; GRANT INSERT (id, note), UPDATE (note) ON thing TO tap_web', notes => E'\n# tap_web is not permitted to INSERT of tenant_id, UPDATE of tenant_id');
SELECT sound('columns that do not tell whose a row is', 'REVOKE ALL ON thing FROM tap_web; GRANT SELECT (note) ON thing TO tap_web', notes => E'\n# tap_web is not permitted to SELECT of tenant_id, INSERT, UPDATE, DELETE');
SELECT hole('a hole for them', $$REVOKE ALL ON thing FROM tap_web; GRANT SELECT (note) ON thing TO tap_web; SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR SELECT USING (true)')$$,
$$tap_web as tenant 1 gets 1 rows that are not its own: SELECT note FROM shop.thing
tap_web as tenant 2 gets 1 rows that are not its own: SELECT note FROM shop.thing
tap_web without a context gets 2 rows that are not its own: SELECT note FROM shop.thing
tap_web is not permitted to SELECT of tenant_id, INSERT, UPDATE, DELETE$$);
SELECT alike(said('REVOKE ALL ON thing FROM tap_web; GRANT SELECT (note) ON thing TO tap_web; GRANT SELECT ON thing TO tap_bypass; SET LOCAL rls_tenant.one_tenant_per_transaction = off; SET LOCAL ROLE tap_bypass',
  $$SELECT tenant_isolated('thing', as_role => 'tap_web')$$), '%# SELECT without tenant_id could not be tried: a superuser''s test can, of a table without memberships and public rows%', 'which not every tester can tell');
SELECT hole('no privilege at all is no test', 'SELECT 1', 'tap_reader has no privilege on shop.thing, so that nothing was tried
tap_reader is not permitted to SELECT, INSERT, UPDATE, DELETE', $$SELECT tenant_isolated('thing', as_role => 'tap_reader')$$);
SELECT hole('no rows', 'DELETE FROM thing', $$shop.thing needs a row of each of two tenants, and has one of none: SELECT as_tenant('…'); INSERT INTO shop.thing …; for each, before the test$$);
SELECT hole('rows of one tenant', 'DELETE FROM thing WHERE id = 2', $$shop.thing needs a row of each of two tenants, and has one of 1: SELECT as_tenant('…'); INSERT INTO shop.thing …; for each, before the test$$);
SELECT hole('a tenant without rows', 'SELECT 1', $$shop.thing needs a row of each of two tenants, and has one of 2: SELECT as_tenant('…'); INSERT INTO shop.thing …; for each, before the test$$,
  $$SELECT tenant_isolated('thing', '2', '9', 'tap_web')$$);
SELECT hole('one tenant twice', 'SELECT 1', $$shop.thing needs a row of each of two tenants, and has one of 2: SELECT as_tenant('…'); INSERT INTO shop.thing …; for each, before the test$$,
  $$SELECT tenant_isolated('thing', '2', '02', 'tap_web')$$);
SET LOCAL rls_tenant.one_tenant_per_transaction = off;
SELECT sound('by the application''s role itself, which names the tenants', 'SET LOCAL ROLE tap_web', $$SELECT tenant_isolated('thing', '1', '2')$$,
  E'\n# COPY was not tried, which takes a superuser, or a role with pg_read_server_files and pg_write_server_files
# INSERT with the default of tenant_id could not be tried: a superuser''s test can');
SELECT hole('it must name them', 'SET LOCAL ROLE tap_web', $$policies apply to tap_web, so it cannot tell which tenants have rows: name two tenants, tenant_isolated('shop.thing', '…', '…'), or run the test as a superuser$$,
  $$SELECT tenant_isolated('thing')$$);
SELECT wide_hole('it finds holes', $$SELECT policies('CREATE POLICY a ON thing USING (MINE); CREATE POLICY b ON thing FOR DELETE USING (true)'); SET LOCAL ROLE tap_web$$,
  $$tap_web as tenant 1 takes rows away from tenant 2: DELETE FROM shop.thing$$, $$SELECT tenant_isolated('thing', '1', '2')$$);
SELECT wide_hole('and does not decide what triggers stop', $$INSERT INTO part_of_thing VALUES (1, 1, 1), (2, 2, 2); SET LOCAL ROLE tap_web$$,
  $$tap_web as tenant 1 not decided: no policy refuses it, and it fails with 23503: update or delete on table "thing" violates foreign key constraint "part_of_thing_thing_fkey" on table "part_of_thing"; a superuser's test goes on without triggers: DELETE FROM shop.thing$$,
  $$SELECT tenant_isolated('thing', '1', '2')$$);
SELECT sound('a role with BYPASSRLS sees who has rows', 'GRANT SELECT ON thing TO tap_bypass; SET LOCAL ROLE tap_bypass', $$SELECT tenant_isolated('thing', as_role => 'tap_web')$$,
  E'\n# COPY was not tried, which takes a superuser, or a role with pg_read_server_files and pg_write_server_files
# INSERT with the default of tenant_id could not be tried: a superuser''s test can');
SELECT is(raised('SELECT 1', $$SELECT tenant_isolated('thing')$$), $$22023: role "postgres" bypasses row-level security, so nothing can be tested as it
It is a superuser, or has BYPASSRLS.
Name the role of the application: as_role => 'web'.$$, 'a superuser names the role');
SELECT is(raised('SELECT 1', $$SELECT tenant_isolated('thing', as_role => 'tap_nobody')$$), $$42704: role "tap_nobody" does not exist
Name the role of the application: as_role => 'web'.$$, 'a role that is not there');
SELECT is(raised('SELECT 1', $$SELECT tenant_isolated('pg_class', as_role => 'tap_web')$$), $$42703: pg_class has no tenant column
Name it: tenant_column => '…'. A table that belongs to tenants through another is tested by policies_confine().$$, 'no tenant column');
SELECT is(raised('SELECT 1', $$SELECT tenant_isolated('thing', as_role => 'tap_web', tenant_column => 'owner')$$), $$42703: shop.thing has no tenant column "owner"
Name it: tenant_column => '…'. A table that belongs to tenants through another is tested by policies_confine().$$, 'no such column');
SELECT is(raised('SELECT 1', $$SELECT tenant_isolated(NULL, as_role => 'tap_web')$$), $$22004: there is no relation to test
Name a table or view: tenant_isolated('invoice').$$, 'no relation');
SELECT is(raised('SET LOCAL ROLE tap_owner; REVOKE SELECT ON thing FROM tap_owner', $$SELECT tenant_isolated('thing', '1', '2')$$), $$42501: role "tap_owner" may not read shop.thing, so that it cannot tell what was done to it
Run the test as a superuser, and name the application's role: as_role => 'web'.$$, 'a caller that may not read');
SELECT is(raised('SET LOCAL SESSION AUTHORIZATION tap_reader; SET LOCAL search_path = kit, shop', $$SELECT kit.tenant_isolated('shop.thing', '1', '2', 'tap_web')$$), '42501: permission denied for schema kit', 'the functions lie where they were put');
SELECT is(raised('GRANT USAGE ON SCHEMA kit TO tap_reader; SET LOCAL SESSION AUTHORIZATION tap_reader', $$SELECT tenant_isolated('shop.thing', '1', '2', 'tap_web')$$), '42501: permission denied to set role "tap_web"',
  'a role that the caller may not become: that is no refusal of a policy');
SELECT is(raised('SET LOCAL rls_tenant.one_tenant_per_transaction = on; SET LOCAL ROLE tap_web', $$SELECT as_tenant('1')$$), $$42501: tests of several tenants in one transaction are not allowed to role "tap_web"
rls_tenant.one_tenant_per_transaction is on, which a superuser alone can change.
Let a superuser run this once, and connect again: ALTER ROLE postgres SET rls_tenant.one_tenant_per_transaction = off;$$, 'one tenant per transaction, unless a superuser lifts it');

-- 5. A schema

CREATE FUNCTION of_schema(change text, call text DEFAULT $$'shop', 'tap_web'$$) RETURNS text LANGUAGE sql AS $$
  SELECT regexp_replace(said(change, format($t$SELECT string_agg(t, E'\n') FROM tenant_isolated_schema(%s) t$t$, call)), '(^|\n)(not )?ok \d+', '\1\2ok', 'g');
$$;
SELECT is(of_schema('SELECT 1'), $$ok # SKIP shop.part_of_thing: tap_web has no privilege on it
ok - shop.thing keeps tenants apart$$, 'all tenant tables of a schema');
SELECT is(of_schema('SELECT 1', $$'public', 'tap_web'$$), 'not ok - schema public has tenant tables', 'a schema without any fails');
SELECT is(of_schema('SELECT 1', $$'nowhere', 'tap_web'$$), 'not ok - schema nowhere has tenant tables', 'so does one that is not there');
SELECT is(of_schema('CREATE VIEW shop.all_things AS SELECT * FROM thing; GRANT SELECT ON shop.all_things TO tap_web',
  $$'shop', 'tap_web', leave_out => '{thing,part_of_thing}', public_read => '{all_things}'$$), $$ok - shop.all_things keeps tenants apart
# tap_web is not permitted to INSERT, UPDATE, DELETE
ok # SKIP shop.part_of_thing: left out
ok # SKIP shop.thing: left out$$, 'views are among them; what is left out is said');
SELECT is(of_schema($$CREATE TABLE shop.detail (thing int); ALTER TABLE shop.detail ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY p ON shop.detail USING (thing IN (SELECT id FROM thing WHERE tenant_id = rls_tenant.current_tenant_bigint()))$$, $$'shop', 'tap_web', leave_out => '{thing}'$$),
$$ok - the policies of shop.detail confine rows to their tenant
ok # SKIP shop.part_of_thing: tap_web has no privilege on it
ok # SKIP shop.thing: left out$$, 'of a table that belongs to tenants through another the policies are judged');
SELECT alike(of_schema('ALTER TABLE thing DISABLE ROW LEVEL SECURITY'), '%not ok - shop.thing keeps tenants apart%', 'a table that is none any more, too');

-- 6. The context

SELECT is(as_tenant('1'), '# as tenant 1', 'as_tenant()');
SELECT is(current_setting('rls_tenant.tenant_id'), '1', 'sets the context');
SELECT is(as_tenant(2, 3, 4), '# as tenant 2, account 3, user 4', 'bigint');
SELECT results_eq('SELECT tenant_id, account_id, user_id FROM rls_tenant.current_context()', $$VALUES ('2', '3', '4')$$, 'all three');
SELECT is(as_tenant('00000000-0000-0000-0000-00000000000a'::uuid), '# as tenant 00000000-0000-0000-0000-00000000000a', 'uuid');
SELECT results_eq('SELECT tenant_id, account_id, user_id FROM rls_tenant.current_context()', $$VALUES ('00000000-0000-0000-0000-00000000000a', NULL, NULL)$$, 'what is not named is no longer set');
SELECT is(as_tenant(NULL, user_id => '7'), '# as user 7', 'a user without tenant');
SELECT results_eq('SELECT tenant_id, account_id, user_id FROM rls_tenant.current_context()', $$VALUES (NULL, NULL, '7')$$, 'for memberships');
SELECT is(as_tenant(NULL), '# as nobody', 'no tenant');
SELECT is(as_nobody(), '# as nobody', 'as_nobody()');
SELECT results_eq('SELECT tenant_id, account_id, user_id FROM rls_tenant.current_context()', $$VALUES (NULL, NULL, NULL)$$, 'clears all three');
SELECT throws_ok($$SELECT as_tenant('')$$, '22023', NULL, 'an empty tenant');
\o /dev/null
SELECT as_tenant('1');
\o
SET LOCAL ROLE tap_web;
SELECT is((SELECT array_agg(id) FROM thing), '{1}', 'one reads as one tenant');
\o /dev/null
SELECT as_tenant('2');
\o
SELECT is((SELECT array_agg(id) FROM thing), '{2}', 'and in the same transaction as another');
SELECT tenant_isolated('thing', '1', '2', description => 'a test of isolation in between');
SELECT is((SELECT array_agg(id) FROM thing), '{2}', 'leaves the context as it was');
RESET ROLE;

SELECT is(said('SELECT 1', $$SELECT context_missing_raises('thing', 'tap_web')$$), 'ok - shop.thing is not read without a context', 'without a context: an error');
SELECT is(said('SELECT 1', $$SELECT context_missing_raises('thing', 'tap_web', 'my own')$$), 'ok - my own', 'with a description');
SELECT is(said('DELETE FROM thing', $$SELECT context_missing_raises('thing', 'tap_web')$$), 'ok - shop.thing is not read without a context', 'though there is no row');
SELECT is(said('SET LOCAL rls_tenant.missing_context = ''null''', $$SELECT context_missing_raises('thing', 'tap_web')$$), $$not ok - shop.thing is not read without a context
# tap_web without a context gets 0 rows, and no error: SELECT FROM shop.thing$$, 'an empty result is none');
SELECT is(said('ALTER TABLE thing DISABLE ROW LEVEL SECURITY', $$SELECT context_missing_raises('thing', 'tap_web')$$), $$not ok - shop.thing is not read without a context
# tap_web without a context gets 2 rows, and no error: SELECT FROM shop.thing$$, 'nor are rows');
SELECT is(said('SELECT 1', $$SELECT context_missing_raises('thing', 'tap_reader')$$), $$not ok - shop.thing is not read without a context
# tap_reader without a context gets another error: SELECT FROM shop.thing: 42501: permission denied for table thing$$, 'nor is another error');

-- 7. Rules and audit

-- The server's own release is not what is tested here.
\o /dev/null
SELECT rls_tenant.exempt('*', '%', 'another test''s', '{server_outdated}');
\o
SELECT is(said('SELECT 1', $$SELECT is_protected('thing')$$), 'ok - shop.thing is protected', 'is_protected()');
SELECT is(said('SELECT 1', $$SELECT is_protected('thing', 'my own')$$), 'ok - my own', 'with a description');
SELECT is(said('ALTER TABLE thing NO FORCE ROW LEVEL SECURITY, ALTER tenant_id DROP NOT NULL', $$SELECT is_protected('thing')$$), $$not ok - shop.thing is protected
# tenant_nullable: column tenant_id allows NULL
#   ALTER TABLE shop.thing ALTER COLUMN tenant_id SET NOT NULL;
# rls_not_forced: row-level security is not forced, so it does not apply to the owner
#   ALTER TABLE shop.thing FORCE ROW LEVEL SECURITY;$$, 'the rules that it breaks, with their remedies');
SELECT alike(said('CREATE TEMPORARY TABLE passing (a int)', $$SELECT is_protected('passing')$$), E'not ok - passing is protected\n# no_tenant_column: there is no column tenant_id%', 'any other table');
SELECT is(said('CREATE TABLE loose (tenant_id bigint NOT NULL); CREATE VIEW seen WITH (security_invoker) AS SELECT * FROM thing', $$SELECT is_protected('seen')$$), E'not ok - public.seen is protected\n# public.seen is not a tenant table', 'a view breaks no rule, and is no tenant table');
SELECT is(said('ALTER TABLE thing NO FORCE ROW LEVEL SECURITY', $$SELECT policies_confine('thing')$$), 'ok - the policies of shop.thing confine rows to their tenant', 'policies_confine() asks for policies alone');
SELECT is(said('DROP POLICY tenant_isolation ON thing; CREATE POLICY p ON thing USING (true)', $$SELECT policies_confine('thing')$$), $$not ok - the policies of shop.thing confine rows to their tenant
# always_true: policy "p" FOR ALL is true for every row, and no RESTRICTIVE policy confines them
#   SELECT rls_tenant.protect('shop.thing');$$, 'and says which opens');
SELECT is(said('ALTER TABLE thing DISABLE ROW LEVEL SECURITY', $$SELECT policies_confine('thing', 'my own')$$), $$not ok - my own
# rls_off_with_policies: it has policies, but row-level security is not enabled
#   ALTER TABLE shop.thing ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;$$, 'policies that are asked by nobody confine nothing');
SELECT is(raised('SET LOCAL ROLE tap_web', $$SELECT is_protected('thing')$$), '42501: permission denied for function table_faults', 'who may not look at rules');
SELECT is(said('DROP TABLE part_of_thing', $$SELECT audit_clean('leak', 'shop')$$), 'ok - the audit finds no leak', 'audit_clean()');
SELECT is(said('DROP TABLE part_of_thing; GRANT TRUNCATE ON thing TO tap_web; ALTER ROLE tap_web LOGIN', $$SELECT audit_clean('leak', 'shop', 'my own')$$), $$not ok - my own
# leak: truncate_grant: table shop.thing: TRUNCATE granted to tap_web
#   REVOKE TRUNCATE ON shop.thing FROM tap_web;$$, 'its findings, with their remedies');
SELECT alike(said('SELECT 1', $$SELECT audit_clean('note', 'shop')$$), E'not ok - the audit finds no leak, no risk, no speed, no note\n%# leak: fk_crosses: %# note: %', 'of that severity or worse');
SELECT is(raised('SELECT 1', $$SELECT audit_clean('worst')$$), $$22023: severity "worst" does not exist
From worst to least they are: leak, risk, speed, note.
Name one of them, such as 'risk'.$$, 'no such severity');
SELECT is(raised('SELECT 1', $$SELECT audit_clean(NULL)$$), $$22023: severity "<NULL>" does not exist
From worst to least they are: leak, risk, speed, note.
Name one of them, such as 'risk'.$$, 'nor none');

-- 8. The extension

SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_depend d JOIN pg_proc p ON d.objid = p.oid WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'rls_tenant_tap') AND d.deptype = 'e'
  AND (d.classid <> 'pg_proc'::regclass OR prosecdef OR p.proparallel = 's' AND p.provolatile = 'v' OR coalesce(obj_description(p.oid, 'pg_proc'), '') !~ '\S'
    OR p.prosqlbody IS NULL AND 'search_path=pg_catalog, pg_temp' <> ALL (coalesce(p.proconfig, '{none}')))$$,
  'every function runs as its caller, with its search_path pinned or its names resolved when it was made, and has a comment');
SELECT set_eq($$SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace = 'kit'::regnamespace AND proname NOT LIKE '\_%'$$,
  '{"as_nobody()","as_tenant(bigint,bigint,bigint)","as_tenant(text,text,text)","as_tenant(uuid,uuid,uuid)","audit_clean(text,text,text)","context_missing_raises(regclass,name,text)",
    "is_protected(regclass,text)","policies_confine(regclass,text)","tenant_isolated(regclass,text,text,name,text,boolean,name,text,text)","tenant_isolated_schema(name,name,regclass[],regclass[])"}'::text[],
  'the functions that are for users');
SELECT is_empty($$SELECT rule, object FROM rls_tenant.audit('kit') WHERE object LIKE '%kit.%'$$, 'the audit finds nothing about it');
-- The pin of search_path, and a moved pgTAP.
SELECT is(said('SET LOCAL search_path = pg_catalog', $$SELECT kit.tenant_isolated('shop.thing', as_role => 'tap_web')$$), 'ok - shop.thing keeps tenants apart', 'any search_path');
CREATE SCHEMA elsewhere;
CREATE FUNCTION elsewhere.ok(boolean, text) RETURNS text LANGUAGE sql AS $$SELECT 'caught'$$;
CREATE FUNCTION elsewhere.clear_context() RETURNS void LANGUAGE sql AS $$SELECT$$;
CREATE FUNCTION elsewhere.has_any_column_privilege(regclass, text) RETURNS boolean LANGUAGE sql AS $$SELECT true$$;
CREATE FUNCTION elsewhere.neither(text, text) RETURNS boolean LANGUAGE sql AS $$SELECT false$$;
CREATE OPERATOR elsewhere.= (LEFTARG = text, RIGHTARG = text, FUNCTION = elsewhere.neither);
SELECT is(said('SET LOCAL search_path = elsewhere, pg_catalog, public', $$SELECT kit.tenant_isolated('shop.thing', as_role => 'tap_web')$$), 'ok - shop.thing keeps tenants apart', 'one that lies');
SELECT alike(said('SET LOCAL search_path = elsewhere, pg_catalog, public; ALTER TABLE shop.thing DISABLE ROW LEVEL SECURITY', $$SELECT kit.tenant_isolated('shop.thing', as_role => 'tap_web')$$),
  'not ok%# tap_web as tenant 1 gets rows of tenant 2: SELECT%gets 2 rows, and should get 1: COPY%', 'one that lies hides no hole');
SELECT * FROM finish();
ROLLBACK;
