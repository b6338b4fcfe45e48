-- protect() and protect_sql(): for each type of tenant column, plain and partitioned tables, run once and again.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_protect_app;

-- What a table is like after protect(), for the eye.
CREATE FUNCTION pg_temp.shape(relation regclass) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT format('%s: rls %s, forced %s', c.oid::regclass, c.relrowsecurity, c.relforcerowsecurity) FROM pg_class c WHERE c.oid = relation
  UNION ALL
  (SELECT format('column %s: not null %s, default %s', a.attname, a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
   FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
   WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
  UNION ALL
  (SELECT format('policy %s %s for %s: %s / %s', polname, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END, polcmd,
     pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy WHERE polrelid = relation ORDER BY polname)
  UNION ALL
  (SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = relation ORDER BY 1)
$$;

-- Each type, a column of any name.
BEGIN;
CREATE TABLE protect_uuid (tenant_id uuid);
CREATE TABLE protect_bigint (id int, tenant_id bigint NOT NULL DEFAULT 0, PRIMARY KEY (tenant_id, id));
CREATE TABLE protect_integer ("Org" integer);
CREATE TABLE protect_smallint (tenant_id smallint);
CREATE TABLE protect_text (tenant_id text);
CREATE TABLE protect_varchar ("a = 'b' \ %s" varchar(20));
CREATE DOMAIN protect_domain AS uuid;
CREATE TABLE protect_domain_table (tenant_id protect_domain);
CREATE TABLE protect_part (tenant_id uuid, day date) PARTITION BY LIST (day);
CREATE TABLE protect_part_1 PARTITION OF protect_part FOR VALUES IN ('2026-01-01');
CREATE TABLE protect_part_2 PARTITION OF protect_part DEFAULT PARTITION BY HASH (tenant_id);
CREATE TABLE protect_part_2_0 PARTITION OF protect_part_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE SCHEMA "protect Schema";
CREATE TABLE "protect Schema"."select ""x'" (tenant_id uuid);
SELECT rls_tenant.protect_sql('protect_uuid');
SELECT rls_tenant.protect_sql('protect_bigint');
SELECT rls_tenant.protect_sql('protect_integer', 'Org', access => '"Org" > 0');
SELECT rls_tenant.protect_sql('protect_varchar', tenant_column => 'a = ''b'' \ %s');
SELECT rls_tenant.protect_sql('protect_part');
SELECT rls_tenant.protect_sql('"protect Schema"."select ""x''"');
SELECT rls_tenant.protect(r) FROM unnest('{protect_uuid,protect_bigint,protect_smallint,protect_text,protect_domain_table,protect_part}'::regclass[]) r;
SELECT rls_tenant.protect('protect_integer', 'Org', '"Org" > 0');
SELECT rls_tenant.protect('protect_varchar', 'a = ''b'' \ %s');
SELECT rls_tenant.protect('"protect Schema"."select ""x''"');
COMMIT;
SELECT pg_temp.shape(r) FROM unnest('{protect_uuid,protect_bigint,protect_integer,protect_smallint,protect_text,protect_varchar,protect_domain_table,protect_part,protect_part_1,protect_part_2,protect_part_2_0}'::regclass[]) r;

-- Again: nothing is left to do.
SELECT rls_tenant.protect_sql(r) FROM unnest('{protect_uuid,protect_bigint,protect_smallint,protect_text,protect_domain_table,protect_part,"\"protect Schema\".\"select \"\"x''\""}'::regclass[]) r;
SELECT rls_tenant.protect_sql('protect_integer', 'Org', '"Org" > 0');
SELECT rls_tenant.protect_sql('protect_integer');            -- found by its policy; its access stays
SELECT rls_tenant.protect_sql('protect_varchar');
SELECT rls_tenant.protect('protect_uuid');

-- It isolates, for each type.
GRANT ALL ON ALL TABLES IN SCHEMA public TO regress_protect_app;
SET ROLE regress_protect_app;
\set tenant_1 '''11111111-1111-1111-1111-111111111111'''
\set tenant_2 '''22222222-2222-2222-2222-222222222222'''
BEGIN;
SELECT rls_tenant.set_context(:tenant_1::uuid);
INSERT INTO protect_uuid DEFAULT VALUES; INSERT INTO protect_domain_table DEFAULT VALUES;
INSERT INTO protect_part (day) VALUES ('2026-01-01'), ('2026-01-02');
SELECT * FROM protect_uuid; SELECT * FROM protect_domain_table; SELECT * FROM protect_part;
COMMIT;
BEGIN;
SELECT rls_tenant.set_context(:tenant_2::uuid);
SELECT count(*) FROM protect_uuid; SELECT count(*) FROM protect_domain_table; SELECT count(*) FROM protect_part;
UPDATE protect_part SET day = '2026-01-03'; DELETE FROM protect_uuid;
SAVEPOINT s; INSERT INTO protect_part VALUES (:tenant_1, '2026-01-01');
ROLLBACK TO s; INSERT INTO protect_part_1 VALUES (:tenant_2, '2026-01-01');
ROLLBACK TO s; SELECT count(*) FROM protect_part_1; SELECT count(*) FROM protect_part_2_0;
COMMIT;
BEGIN;
SELECT rls_tenant.set_context(7::bigint);
INSERT INTO protect_bigint VALUES (1, 7); INSERT INTO protect_integer DEFAULT VALUES; INSERT INTO protect_smallint DEFAULT VALUES;
INSERT INTO protect_text DEFAULT VALUES; INSERT INTO protect_varchar DEFAULT VALUES;
SELECT * FROM protect_bigint; SELECT * FROM protect_integer; SELECT * FROM protect_smallint; SELECT * FROM protect_text; SELECT * FROM protect_varchar;
SAVEPOINT s; INSERT INTO protect_bigint (id) VALUES (2);    -- its own default stayed: 0
ROLLBACK TO s; INSERT INTO protect_smallint VALUES (8);
ROLLBACK TO s; UPDATE protect_text SET tenant_id = '8';
ROLLBACK TO s; UPDATE protect_varchar SET "a = 'b' \ %s" = '8';
COMMIT;
BEGIN;
SELECT rls_tenant.set_context(8::bigint);
SELECT count(*) FROM protect_bigint; SELECT count(*) FROM protect_integer; SELECT count(*) FROM protect_smallint; SELECT count(*) FROM protect_text; SELECT count(*) FROM protect_varchar;
COMMIT;
BEGIN; SELECT rls_tenant.set_context(100000::bigint); SELECT count(*) FROM protect_smallint; INSERT INTO protect_smallint DEFAULT VALUES; ROLLBACK;
BEGIN; SELECT rls_tenant.set_context('x'); SELECT count(*) FROM protect_text; SELECT count(*) FROM protect_smallint; ROLLBACK;
RESET ROLE;

-- A partition or child of a tenant table may have policies of its own, for those who name it directly.
BEGIN;
CREATE TABLE protect_parent ("Org" text, tenant_id int);
SELECT rls_tenant.protect('protect_parent', 'Org');
CREATE TABLE protect_child (extra int) INHERITS (protect_parent);
COMMIT;
SELECT rls_tenant.protect_sql('protect_child');
SELECT rls_tenant.protect('protect_child');
SELECT rls_tenant.protect_sql('protect_part_1');
GRANT ALL ON protect_parent, protect_child TO regress_protect_app;
SET ROLE regress_protect_app;
BEGIN; SELECT rls_tenant.set_context('a'); INSERT INTO protect_child DEFAULT VALUES; SELECT "Org" FROM protect_parent; COMMIT;
BEGIN; SELECT rls_tenant.set_context('b'); SELECT "Org" FROM protect_parent; SELECT "Org" FROM protect_child; COMMIT;
RESET ROLE;
DROP TABLE protect_parent CASCADE;

-- access: what it adds, that it cannot break out, that a change of it is a change, and that saying nothing keeps it.
BEGIN;
CREATE TABLE protect_note (tenant_id text NOT NULL, owner text, public boolean, body text);
SELECT rls_tenant.protect('protect_note', access => 'owner = rls_tenant.current_user_text() OR public');
COMMIT;
SELECT pg_temp.shape('protect_note');
GRANT ALL ON protect_note TO regress_protect_app;
INSERT INTO protect_note VALUES ('a', 'ann', false, 'ann''s'), ('a', 'bob', false, 'bob''s'), ('a', 'bob', true, 'bob''s public'), ('b', 'ann', true, 'b''s');
SET ROLE regress_protect_app;
BEGIN; SELECT rls_tenant.set_context('a', user_id => 'ann'); SELECT body FROM protect_note ORDER BY body; COMMIT;
RESET ROLE;
SELECT rls_tenant.protect_sql('protect_note', access => 'owner = rls_tenant.current_user_text() OR public');
SELECT rls_tenant.protect_sql('protect_note');
SELECT rls_tenant.protect_sql('protect_note', access => 'public');
SELECT rls_tenant.protect_sql('protect_note', access => 'true');
SELECT rls_tenant.protect_sql('protect_note', access => 'true) OR (true');
SELECT rls_tenant.protect_sql('protect_note', access => 'true, true');
SELECT rls_tenant.protect_sql('protect_note', access => 'true FROM protect_note');
SELECT rls_tenant.protect_sql('protect_note', access => '');
SELECT rls_tenant.protect_sql('protect_note', access => '*');
SELECT rls_tenant.protect_sql('protect_note', access => 'protect_note.*');
SELECT rls_tenant.protect_sql('protect_note', access => 'public and');
SELECT rls_tenant.protect_sql('protect_note', access => 'public owner');
SELECT rls_tenant.protect_sql('protect_note', access => '(protect_note).*');
SELECT rls_tenant.protect_sql('protect_note', access => 'no_such_column');
SELECT rls_tenant.protect_sql('protect_note', access => 'body');
SELECT rls_tenant.protect_sql('protect_note', access => 'count(*) > 0');
SELECT rls_tenant.protect_sql('protect_note', access => 'true -- and a comment');
-- Permissive policies of its own: nothing is added to them, the floor holds.
BEGIN;
CREATE TABLE protect_own (tenant_id text NOT NULL, n int);
CREATE POLICY reading ON protect_own FOR SELECT USING (n > 0);
SELECT rls_tenant.protect_sql('protect_own');
SELECT rls_tenant.protect('protect_own');
COMMIT;
-- Policies of our names that mean something else are not touched; an access policy without tenant condition gets one.
BEGIN;
CREATE TABLE protect_wrong (tenant_id text NOT NULL, n int);
CREATE POLICY tenant_isolation ON protect_wrong AS RESTRICTIVE USING (tenant_id = 'other' OR n > 0);
CREATE POLICY tenant_access ON protect_wrong FOR UPDATE USING (n > 0) WITH CHECK (n > 1);
SAVEPOINT s; SELECT rls_tenant.protect_sql('protect_wrong');
ROLLBACK TO s; ALTER POLICY tenant_isolation ON protect_wrong RENAME TO other; ALTER POLICY tenant_access ON protect_wrong RENAME TO later; CREATE POLICY tenant_access ON protect_wrong AS RESTRICTIVE USING (n > 0); SELECT rls_tenant.protect_sql('protect_wrong');
ROLLBACK TO s; ALTER POLICY tenant_isolation ON protect_wrong RENAME TO other; CREATE POLICY tenant_isolation ON protect_wrong USING (true); SELECT rls_tenant.protect('protect_wrong');
ROLLBACK TO s; ALTER POLICY tenant_isolation ON protect_wrong RENAME TO other;
SELECT rls_tenant.protect_sql('protect_wrong');
SELECT rls_tenant.protect('protect_wrong');
SELECT rls_tenant.protect_sql('protect_wrong');
COMMIT;
SELECT pg_temp.shape('protect_wrong');

-- The caller's rights and search_path: a hostile operator or type does not get in.
CREATE SCHEMA protect_hostile;
CREATE FUNCTION protect_hostile.always(uuid, uuid) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN true;
CREATE OPERATOR protect_hostile.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = protect_hostile.always);
SET search_path = protect_hostile, pg_catalog, public;
BEGIN;
CREATE TABLE public.protect_path (tenant_id uuid);
SELECT rls_tenant.protect('public.protect_path');
COMMIT;
SELECT rls_tenant.protect_sql('public.protect_path');
RESET search_path;
SELECT pg_temp.shape('protect_path');
SET ROLE regress_protect_app;
SELECT rls_tenant.protect('protect_path');                   -- nothing to do, but not by others
SELECT rls_tenant.protect('protect_path', access => 'false');
RESET ROLE;

-- What an owner has put into a table does not run with the rights of the superuser who protects it.
CREATE SCHEMA protect_hers AUTHORIZATION regress_protect_app;
SET ROLE regress_protect_app;
CREATE FUNCTION protect_hers.who(text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'runs as %', current_user; RETURN true; END $$;
CREATE DOMAIN protect_hers.trap AS text CHECK (protect_hers.who(value));
BEGIN;
CREATE TABLE protect_hers.item (tenant_id text);
CREATE POLICY tenant_access ON protect_hers.item USING ('{x}'::protect_hers.trap[] IS NOT NULL);
RESET ROLE;
SELECT rls_tenant.protect('protect_hers.item');
COMMIT;
SET client_min_messages = warning;
DROP SCHEMA protect_hers CASCADE;
RESET client_min_messages;

-- What cannot be protected.
CREATE VIEW protect_view AS SELECT 1 AS tenant_id;
CREATE SEQUENCE protect_sequence;
BEGIN;
CREATE TABLE protect_none (id int);
CREATE TABLE protect_jsonb (tenant_id jsonb);
CREATE TABLE protect_char (tenant_id char(3));
CREATE COLLATION protect_loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE TABLE protect_collation (tenant_id text COLLATE protect_loose);
SAVEPOINT s; SELECT rls_tenant.protect('protect_none');
ROLLBACK TO s; SELECT rls_tenant.protect('protect_none', 'no "such');
ROLLBACK TO s; SELECT rls_tenant.protect('protect_none', 'tableoid');
ROLLBACK TO s; SELECT rls_tenant.protect('protect_jsonb');
ROLLBACK TO s; SELECT rls_tenant.protect('protect_char');
ROLLBACK TO s; SELECT rls_tenant.protect('protect_collation');
ROLLBACK TO s; CREATE TEMP TABLE protect_temp (tenant_id uuid); SELECT rls_tenant.protect('protect_temp');
ROLLBACK TO s; SELECT rls_tenant.protect('protect_view');
ROLLBACK TO s; SELECT rls_tenant.protect('protect_sequence');
ROLLBACK TO s; SELECT rls_tenant.protect('pg_class');
ROLLBACK TO s; CREATE TABLE protect_bare (tenant_id uuid) PARTITION BY HASH (tenant_id); CREATE TABLE protect_bare_0 PARTITION OF protect_bare FOR VALUES WITH (MODULUS 1, REMAINDER 0); SELECT rls_tenant.protect('protect_bare_0');
ROLLBACK TO s; SELECT rls_tenant.protect(NULL);
ROLLBACK TO s; SELECT rls_tenant.protect(0);
ROLLBACK TO s; SELECT rls_tenant.protect('no_such_table');
ROLLBACK;
-- Rows without tenant.
BEGIN;
CREATE TABLE protect_null AS SELECT NULL::uuid AS tenant_id;
SELECT rls_tenant.protect('protect_null');
ROLLBACK;

-- Access is changed in its place, so that the statements may be run one by one with the guard on.
BEGIN;
CREATE TABLE protect_access (id int PRIMARY KEY, tenant_id bigint, owner_id bigint);
SELECT rls_tenant.protect('protect_access', access => 'owner_id = rls_tenant.current_user_bigint()');
COMMIT;
SELECT rls_tenant.protect_sql('protect_access', access => 'true') \gexec
SELECT rls_tenant.protect_sql('protect_access', access => 'true');
ALTER POLICY tenant_access ON protect_access WITH CHECK (tenant_id = rls_tenant.current_tenant_bigint() AND id > 0);
SELECT rls_tenant.protect_sql('protect_access', access => 'true');
SELECT rls_tenant.protect('protect_access', access => 'owner_id > 0');
SELECT pg_temp.shape('protect_access');
SELECT count(*) FROM rls_tenant.protect_sql('protect_access', access => 'owner_id > 0');
DROP TABLE protect_access;

-- An index that leads with the tenant column is a btree: others serve not every condition.
BEGIN;
CREATE TABLE protect_index (tenant_id int NOT NULL DEFAULT 1);
CREATE INDEX ON protect_index USING hash (tenant_id);
CREATE INDEX ON protect_index USING brin (tenant_id);
SELECT rls_tenant.protect_sql('protect_index') LIMIT 1;
CREATE INDEX ON protect_index (tenant_id);
SELECT rls_tenant.protect_sql('protect_index') LIMIT 1;
ROLLBACK;

DROP VIEW protect_view;
DROP SEQUENCE protect_sequence;
DROP TABLE protect_uuid, protect_bigint, protect_integer, protect_smallint, protect_text, protect_varchar, protect_domain_table,
  protect_part, protect_note, protect_own, protect_wrong, protect_path;
DROP DOMAIN protect_domain;
SET client_min_messages = warning;
DROP SCHEMA "protect Schema", protect_hostile CASCADE;
DROP ROLE regress_protect_app;
