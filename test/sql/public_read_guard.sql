-- Tables with public rows before the guard: what it takes for the form of protect(), what is too wide, memberships, parts, and
-- tables that belong to tenants through such a table.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
SET jit = off;  -- which the cost of a forbidden sequential scan would call for
CREATE ROLE regress_public_app;
CREATE SCHEMA pr;
GRANT USAGE ON SCHEMA pr TO regress_public_app;
SET search_path = pr;
BEGIN;
CREATE TABLE member (user_id int, tenant_id int, PRIMARY KEY (user_id, tenant_id));
SELECT rls_tenant.exempt('pr', 'member', 'a source');
COMMIT;
INSERT INTO member VALUES (1, 1), (2, 2);
SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id');
CREATE FUNCTION plain(boolean) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
BEGIN;
CREATE TABLE doc (id int PRIMARY KEY, tenant_id int NOT NULL, is_published boolean, note text);
SELECT rls_tenant.protect('doc', public_read => 'is_published');
GRANT ALL ON doc TO regress_public_app;
COMMIT;
INSERT INTO doc VALUES (1, 1, false, 'one'), (2, 2, true, 'two'), (3, 2, NULL, 'three');
-- What the application can reach of other tenants.
CREATE FUNCTION pg_temp.open() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text := '';
  touched bigint;
BEGIN
  PERFORM set_config('rls_tenant.tenant_id', '1', true), set_config('rls_tenant.user_id', '1', true), set_config('role', 'regress_public_app', true);
  SELECT string_agg(id::text, ',' ORDER BY id) INTO result FROM doc WHERE tenant_id <> 1;
  result := 'reads ' || coalesce(result, 'none');
  BEGIN
    UPDATE doc SET note = 'open' WHERE tenant_id <> 1;
    GET DIAGNOSTICS touched = ROW_COUNT;
    result := result || ', updates ' || touched;
    DELETE FROM doc WHERE tenant_id <> 1;
    GET DIAGNOSTICS touched = ROW_COUNT;
    result := result || ', deletes ' || touched;
    BEGIN
      INSERT INTO doc (id, tenant_id) VALUES (100, 2);
      result := result || ', inserts';
    EXCEPTION WHEN insufficient_privilege THEN
    END;
    RAISE EXCEPTION 'undo';
  EXCEPTION WHEN raise_exception THEN
  END;
  RETURN result;
END $$;
CREATE FUNCTION pg_temp.policies(relation regclass) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT format('%s %s for %s to %s: %s / %s', polname, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END, polcmd, polroles,
    pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy WHERE polrelid = relation ORDER BY polname
$$;


-- What the guard takes for the form, and what not. Each time one part is changed.
SET rls_tenant.guard = off;
CREATE FUNCTION pg_temp.judge(change text, relation regclass DEFAULT 'doc') RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  BEGIN
    EXECUTE change;
    SELECT coalesce(string_agg(concat_ws(' ', rule, substring(detail FROM '"(.*?)"')), ', '), 'no fault') || coalesce(', public: ' || rls_tenant.public_condition(relation), '')
    INTO result FROM rls_tenant.table_faults(relation);
    RAISE EXCEPTION 'undo';
  EXCEPTION WHEN raise_exception THEN
  END;
  RETURN result;
END $$;
\set tenant 'tenant_id = rls_tenant.current_tenant_bigint()'
\set context 'rls_tenant.current_tenant_bigint() IS NOT NULL'
CREATE FUNCTION pg_temp.floor(text) RETURNS text LANGUAGE sql RETURN format('ALTER POLICY tenant_isolation_select ON doc USING (%s)', $1);
SELECT n, pg_temp.judge(c) FROM (VALUES
  -- harmless
  (1, 'SELECT'),
  (2, 'DROP POLICY tenant_public ON doc'),
  (3, 'DROP POLICY tenant_access ON doc'),
  (4, 'ALTER POLICY tenant_public ON doc USING (true)'),
  (5, 'ALTER POLICY tenant_public ON doc TO regress_public_app'),
  (6, 'CREATE POLICY more ON doc USING (true)'),
  (7, 'CREATE POLICY more ON doc USING (is_published)'),
  (8, 'CREATE POLICY narrow ON doc AS RESTRICTIVE USING (note <> ''x'')'),
  (9, 'CREATE POLICY narrow ON doc AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_bigint())'),
  (10, 'DROP POLICY tenant_isolation_update ON doc; CREATE POLICY mine ON doc AS RESTRICTIVE FOR UPDATE USING (tenant_id = rls_tenant.current_tenant_bigint())'),
  (11, 'DROP POLICY tenant_isolation_insert ON doc; DROP POLICY tenant_public ON doc'),
  (12, pg_temp.floor(format('(is_published AND note = ''x'' AND %s) OR %s', :'context', :'tenant'))),
  (13, 'DROP POLICY tenant_public ON doc; CREATE POLICY tenant_public ON doc FOR UPDATE USING (is_published)'),
  -- refused
  (20, 'ALTER POLICY tenant_isolation_select ON doc RENAME TO reading'),
  (21, 'ALTER POLICY tenant_isolation_select ON doc TO regress_public_app'),
  (22, 'DROP POLICY tenant_isolation_select ON doc'),
  (23, 'DROP POLICY tenant_isolation_insert ON doc'),
  (24, 'DROP POLICY tenant_isolation_update ON doc'),
  (25, 'DROP POLICY tenant_isolation_delete ON doc'),
  (26, 'ALTER POLICY tenant_isolation_insert ON doc TO regress_public_app'),
  (27, 'ALTER POLICY tenant_isolation_update ON doc WITH CHECK (true)'),
  (28, 'ALTER POLICY tenant_isolation_update ON doc USING (is_published) WITH CHECK (tenant_id = rls_tenant.current_tenant_bigint())'),
  (29, 'ALTER POLICY tenant_isolation_delete ON doc USING (tenant_id = rls_tenant.current_tenant_bigint() OR is_published)'),
  (30, 'DROP POLICY tenant_public ON doc; CREATE POLICY tenant_public ON doc USING (is_published)'),
  (32, 'DROP POLICY tenant_isolation_select ON doc; CREATE POLICY tenant_isolation_select ON doc AS RESTRICTIVE USING ((is_published AND ' || :'context' || ') OR ' || :'tenant' || ')'),
  (33, 'DROP POLICY tenant_isolation_select ON doc; CREATE POLICY tenant_isolation_select ON doc FOR SELECT USING ((is_published AND ' || :'context' || ') OR ' || :'tenant' || ')'),
  (34, pg_temp.floor('true')),
  (35, pg_temp.floor(format('is_published OR %s', :'tenant'))),
  (36, pg_temp.floor(format('(is_published AND %s) OR %s OR true', :'context', :'tenant'))),
  (37, pg_temp.floor(format('(is_published AND %s) OR %s OR note = ''x''', :'context', :'tenant'))),
  (38, pg_temp.floor(format('((is_published OR true) AND %s) OR %s', :'context', :'tenant'))),
  (39, pg_temp.floor(format('(true AND %s) OR %s', :'context', :'tenant'))),
  (40, pg_temp.floor(format('(note = current_setting(''x.y'', true) AND %s) OR %s', :'context', :'tenant'))),
  (41, pg_temp.floor(format('(id IN (SELECT user_id FROM member) AND %s) OR %s', :'context', :'tenant'))),
  (42, pg_temp.floor(format('(is_published AND %s) OR tenant_id > rls_tenant.current_tenant_bigint()', :'context'))),
  (43, pg_temp.floor(format('(is_published AND %s) OR id = rls_tenant.current_tenant_bigint()', :'context'))),
  (44, pg_temp.floor(format('(is_published AND %s) OR is_published', :'context'))),
  (45, pg_temp.floor(format('(is_published OR %s) OR %s', :'context', :'tenant'))),
  (46, pg_temp.floor(format('(is_published AND %s) OR rls_tenant.is_member(tenant_id)', :'context'))),
  (47, pg_temp.floor(format('(is_published AND rls_tenant.current_user_text() IS NOT NULL) OR %s', :'tenant'))),
  (48, pg_temp.floor(format('(is_published AND rls_tenant.current_tenant_bigint() IS NULL) OR %s', :'tenant'))),
  (49, pg_temp.floor(format('(is_published AND rls_tenant.current_tenant_bigint(''1'') IS NOT NULL) OR %s', :'tenant'))),
  (50, pg_temp.floor(format('NOT (is_published AND %s) OR %s', :'context', :'tenant')))
) v(n, c) ORDER BY n;
RESET rls_tenant.guard;
-- As the guard says it, and that what it names as the remedy closes the table.
BEGIN;
ALTER POLICY tenant_isolation_select ON doc USING (is_published);
COMMIT;
BEGIN;
DROP POLICY tenant_isolation_insert ON doc;
SELECT rls_tenant.protect('doc');
SELECT rls_tenant.public_condition('doc');
SELECT pg_temp.open();
ROLLBACK;
-- A column that goes takes the policies along that name it: the rest holds, or the guard refuses it.
BEGIN; ALTER TABLE doc DROP COLUMN is_published CASCADE; SELECT pg_temp.policies('doc'), pg_temp.open(); COMMIT;
SELECT rls_tenant.protect_sql('doc');
ALTER TABLE doc ADD COLUMN is_published boolean;
UPDATE doc SET is_published = note = 'two' OR id = 6;
SELECT rls_tenant.protect('doc', membership => 'tenant', public_read => 'is_published');
BEGIN; ALTER TABLE doc DROP COLUMN is_published CASCADE; COMMIT;
SELECT pg_temp.open();
SELECT rls_tenant.protect('doc', membership => '');
-- A function that the policies before the transaction call may be gone by its end.
SELECT rls_tenant.protect('doc', public_read => 'plain(is_published)');
BEGIN; SELECT rls_tenant.protect('doc', public_read => ''); DROP FUNCTION plain(boolean); COMMIT;
SELECT rls_tenant.protect('doc', public_read => 'is_published');

-- The membership form: a user reads the rows of all tenants that are public, and writes those of its own.
BEGIN;
CREATE TABLE page (id int, tenant_id int, is_published boolean);
SELECT rls_tenant.protect('page', membership => 'tenant', public_read => 'is_published', access => 'id < 100');
COMMIT;
SELECT pg_temp.policies('page');
INSERT INTO page VALUES (1, 1, false), (2, 2, true), (3, 2, false), (101, 1, false), (102, 2, true);
GRANT ALL ON page TO regress_public_app;
CREATE INDEX ON page (is_published);
SET ROLE regress_public_app;
SELECT id FROM page;
SELECT id FROM page WHERE is_published;
BEGIN;
SET LOCAL rls_tenant.user_id = '1';
SET LOCAL enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM page;
SELECT id FROM page ORDER BY id;
UPDATE page SET is_published = is_published RETURNING id;
SAVEPOINT s; INSERT INTO page VALUES (4, 2, true);
ROLLBACK TO s; DELETE FROM page RETURNING id;
ROLLBACK;
RESET ROLE;

-- Partitions and children: the parent's policies hold what is read through it, a part's own what is read directly.
BEGIN;
CREATE TABLE part (tenant_id int, day date, is_published boolean) PARTITION BY LIST (day);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN ('2026-01-01');
CREATE TABLE above (tenant_id int, is_published boolean);
CREATE TABLE below (extra int) INHERITS (above);
SELECT rls_tenant.protect('part', public_read => 'is_published'), rls_tenant.protect('above', public_read => 'is_published');
CREATE VIEW part_view WITH (security_invoker) AS SELECT * FROM part;
COMMIT;
BEGIN; CREATE TABLE part_2 PARTITION OF part FOR VALUES IN ('2026-01-02'); COMMIT;
GRANT ALL ON ALL TABLES IN SCHEMA pr TO regress_public_app;
INSERT INTO part VALUES (1, '2026-01-01', false), (2, '2026-01-01', true), (2, '2026-01-02', false);
INSERT INTO below VALUES (1, false), (2, true), (2, false);
SET ROLE regress_public_app;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1';
SELECT * FROM part ORDER BY 1; SELECT * FROM part_view ORDER BY 1; SELECT * FROM above ORDER BY 1; SELECT * FROM part_1; SELECT * FROM below;
UPDATE part SET is_published = true RETURNING *; UPDATE above SET is_published = true RETURNING *; DELETE FROM part_view RETURNING *;
SELECT FROM part_1 FOR UPDATE;
ROLLBACK;
RESET ROLE;
SELECT rls_tenant.protect('part_1', public_read => 'is_published');
SET ROLE regress_public_app;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1'; SELECT * FROM part_1 ORDER BY 1; DELETE FROM part_1 RETURNING *; ROLLBACK;
RESET ROLE;
SELECT relation, r.* FROM unnest('{part,part_1,part_2,above,below}'::regclass[]) relation CROSS JOIN LATERAL rls_tenant.table_faults(relation) r;
SELECT rls_tenant.protect_sql(r) FROM unnest('{part,part_1,above}'::regclass[]) r;

-- A table that belongs to tenants through one with public rows must say the tenant itself: that the row above can be read
-- says nothing about who may read what is below, let alone write it.
SET rls_tenant.guard = off;
CREATE TABLE line (doc_id int REFERENCES pr.doc NOT NULL, number int, PRIMARY KEY (doc_id, number));
ALTER TABLE line ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY line ON line USING (true);
SELECT n, pg_temp.judge(format('ALTER POLICY line ON line USING (%s)', c), 'line') FROM (VALUES
  (1, 'EXISTS (SELECT FROM doc WHERE id = doc_id)'),
  (2, 'doc_id IN (SELECT id FROM doc)'),
  (3, 'EXISTS (SELECT FROM doc WHERE id = doc_id AND is_published)'),
  (4, 'EXISTS (SELECT FROM doc WHERE id = doc_id AND (is_published OR tenant_id = rls_tenant.current_tenant_bigint()))'),
  (5, 'EXISTS (SELECT FROM doc WHERE id = doc_id AND tenant_id IS NOT NULL)'),
  (6, 'EXISTS (SELECT FROM doc WHERE id = doc_id AND tenant_id = rls_tenant.current_tenant_bigint()) OR EXISTS (SELECT FROM doc WHERE id = doc_id AND is_published)'),
  (7, 'EXISTS (SELECT FROM doc WHERE id = doc_id AND tenant_id = rls_tenant.current_tenant_bigint())'),
  (8, 'doc_id IN (SELECT id FROM doc WHERE tenant_id = rls_tenant.current_tenant_bigint())')
) v(n, c) ORDER BY n;
-- The same FOR SELECT and for writing: the one that says the tenant does not vouch for the other.
DROP POLICY line ON line;
CREATE POLICY reading ON line FOR SELECT USING (EXISTS (SELECT FROM doc WHERE id = doc_id));
CREATE POLICY writing ON line FOR INSERT WITH CHECK (EXISTS (SELECT FROM doc WHERE id = doc_id AND tenant_id = rls_tenant.current_tenant_bigint()));
SELECT * FROM rls_tenant.table_faults('line');
ALTER POLICY reading ON line USING (EXISTS (SELECT FROM doc WHERE id = doc_id AND tenant_id = rls_tenant.current_tenant_bigint()));
ALTER POLICY writing ON line WITH CHECK (EXISTS (SELECT FROM doc WHERE id = doc_id));
SELECT * FROM rls_tenant.table_faults('line');
-- A child that has the tenant column is confined by it alone, and so is its form.
CREATE TABLE tagged (doc_id int, tenant_id int NOT NULL);
ALTER TABLE tagged ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY line ON tagged USING (true);
SELECT n, pg_temp.judge(format('ALTER POLICY line ON tagged USING (%s)', c), 'tagged') FROM (VALUES
  (1, 'EXISTS (SELECT FROM doc WHERE id = doc_id)'),
  (2, 'EXISTS (SELECT FROM doc d WHERE d.id = doc_id AND d.tenant_id = tagged.tenant_id)'),
  (3, 'EXISTS (SELECT FROM doc d WHERE d.id = doc_id AND d.tenant_id = tagged.tenant_id AND d.tenant_id = rls_tenant.current_tenant_bigint())')
) v(n, c) ORDER BY n;
DROP POLICY reading ON line; DROP POLICY writing ON line;
RESET rls_tenant.guard;
-- What is accepted holds: lines of a public document are read and written by its tenant alone.
BEGIN;
CREATE POLICY line ON line USING (EXISTS (SELECT FROM doc WHERE id = doc_id AND tenant_id = rls_tenant.current_tenant_bigint()));
COMMIT;
BEGIN;
CREATE POLICY public_line ON line FOR SELECT USING (EXISTS (SELECT FROM doc WHERE id = doc_id));
COMMIT;
GRANT ALL ON line TO regress_public_app;
INSERT INTO line VALUES (1, 1), (2, 1), (3, 1);
SET ROLE regress_public_app;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1';
SELECT * FROM line ORDER BY 1; DELETE FROM line RETURNING *; INSERT INTO line VALUES (2, 2);
ROLLBACK;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA pr CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'pr';
DROP OWNED BY regress_public_app;
DROP ROLE regress_public_app;
