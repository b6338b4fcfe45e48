-- protect(… public_read => …): every tenant reads the public rows, only their own writes them. What the form is, that no
-- statement of it opens the table, what each command does to another tenant's public row, which conditions are refused.
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
CREATE FUNCTION pg_temp.policies(relation regclass) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT format('%s %s for %s to %s: %s / %s', polname, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END, polcmd, polroles,
    pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy WHERE polrelid = relation ORDER BY polname
$$;

-- The form.
BEGIN;
CREATE TABLE doc (id int PRIMARY KEY, tenant_id int NOT NULL, is_published boolean, published_at timestamptz, note text);
SELECT rls_tenant.protect_sql('doc', public_read => 'is_published');
SELECT rls_tenant.protect('doc', public_read => 'is_published');
COMMIT;
SELECT pg_temp.policies('doc');
SELECT * FROM rls_tenant.table_faults('doc');
SELECT rls_tenant.public_condition('doc'), rls_tenant.public_condition('member'), rls_tenant.public_condition(0);
-- Again: nothing is left to do. NULL keeps it.
SELECT rls_tenant.protect_sql('doc', public_read => 'is_published');
SELECT rls_tenant.protect_sql('doc', public_read => '(((doc.is_published)))');
SELECT rls_tenant.protect_sql('doc');
-- Another condition, another access: each is altered in its place.
SELECT rls_tenant.protect_sql('doc', public_read => 'published_at <= now() AND note <> ''x''');
SELECT rls_tenant.protect_sql('doc', access => 'note <> ''secret''');

-- What each command does to another tenant's rows. Row 2 is public; of 3 nobody has said it is.
INSERT INTO doc VALUES (1, 1, false, now(), 'one'), (2, 2, true, now(), 'two'), (3, 2, NULL, now(), 'three'), (4, 2, false, now(), 'four');
GRANT ALL ON doc TO regress_public_app;
SET ROLE regress_public_app;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT id FROM doc ORDER BY id;
SELECT id FROM doc WHERE NOT is_published OR is_published IS NULL ORDER BY id;
COPY (SELECT id, note FROM doc ORDER BY id) TO STDOUT;
COPY doc (id, note) TO STDOUT;
SELECT id FROM doc ORDER BY id FOR UPDATE;
SELECT id FROM doc ORDER BY id FOR SHARE;
SELECT id FROM doc ORDER BY id FOR KEY SHARE;
UPDATE doc SET note = 'mine' RETURNING id;
UPDATE doc SET note = 'mine' WHERE id = 2;
DELETE FROM doc WHERE id = 2 RETURNING *;
UPDATE doc d SET note = 'mine' FROM doc o WHERE o.id = 2 AND d.id = o.id RETURNING d.id;
DELETE FROM doc d USING doc o WHERE o.id = 2 AND d.tenant_id = o.tenant_id RETURNING d.id;
SAVEPOINT s; INSERT INTO doc VALUES (5, 2, true);
ROLLBACK TO s; INSERT INTO doc VALUES (5, 2, true) RETURNING id;
ROLLBACK TO s; INSERT INTO doc VALUES (2, 1, true) ON CONFLICT (id) DO UPDATE SET note = 'mine';
ROLLBACK TO s; INSERT INTO doc VALUES (2, 1, true) ON CONFLICT (id) DO UPDATE SET tenant_id = 1, note = 'mine' WHERE doc.is_published;
ROLLBACK TO s; INSERT INTO doc VALUES (2, 1, true) ON CONFLICT (id) DO NOTHING RETURNING id;
ROLLBACK TO s; MERGE INTO doc d USING (VALUES (2)) v(id) ON d.id = v.id WHEN MATCHED THEN UPDATE SET note = 'mine';
ROLLBACK TO s; MERGE INTO doc d USING (VALUES (2)) v(id) ON d.id = v.id WHEN MATCHED THEN DELETE;
ROLLBACK TO s; MERGE INTO doc d USING (VALUES (4)) v(id) ON d.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (5, 2);
ROLLBACK TO s; UPDATE doc SET tenant_id = 2 WHERE id = 1;
ROLLBACK TO s; UPDATE doc SET tenant_id = 2, is_published = true WHERE id = 1;
ROLLBACK TO s; DECLARE c CURSOR FOR SELECT * FROM doc WHERE id = 2; MOVE c; DELETE FROM doc WHERE CURRENT OF c;
ROLLBACK TO s; WITH gone AS (DELETE FROM doc RETURNING id) SELECT id FROM gone;
ROLLBACK TO s; INSERT INTO doc VALUES (6, 1, true) RETURNING id; UPDATE doc SET is_published = true WHERE id = 1 RETURNING id, note;
COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '2'; SELECT id, note FROM doc ORDER BY id; COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = '3'; SELECT id, note FROM doc ORDER BY id; DELETE FROM doc; COMMIT;

-- Without a context nothing is read: whatever the plan, an index on the public rows included.
SELECT id FROM doc;
SELECT count(*) FROM doc WHERE is_published;
COPY doc TO STDOUT;
RESET ROLE;
CREATE INDEX doc_public ON doc (id) WHERE is_published;
SET enable_seqscan = off;
SET ROLE regress_public_app;
EXPLAIN (COSTS OFF) SELECT id FROM doc WHERE is_published;
SELECT id FROM doc WHERE is_published;
SELECT EXISTS (SELECT FROM doc WHERE is_published), 1;
SELECT count(*) FROM doc a JOIN doc b USING (id) WHERE a.is_published AND b.is_published;
RESET ROLE;
SET rls_tenant.missing_context = 'null';
SET ROLE regress_public_app;
SELECT id FROM doc WHERE is_published;
SELECT id FROM doc;
RESET ROLE;
RESET rls_tenant.missing_context;
-- What helps: an index on the condition's columns, beside that on the tenant column.
DROP INDEX doc_public;
CREATE INDEX doc_published ON doc (is_published);
SET ROLE regress_public_app;
BEGIN; SET LOCAL rls_tenant.tenant_id = '1';
EXPLAIN (COSTS OFF) SELECT id FROM doc;
EXPLAIN (COSTS OFF) UPDATE doc SET note = note;
COMMIT;
RESET ROLE;
RESET enable_seqscan;
SELECT * FROM rls_tenant.explain_access('doc', NULL, 'regress_public_app') WHERE command IN ('SELECT', 'DELETE');
SELECT row_key, command, allowed, policy, condition, reason FROM rls_tenant.explain_access('doc', 'id IN (1, 2, 4)', 'regress_public_app') WHERE command IN ('SELECT', 'UPDATE');
BEGIN; SET LOCAL rls_tenant.tenant_id = '1';
SELECT row_key, command, allowed, policy, condition, reason FROM rls_tenant.explain_access('doc', 'id IN (1, 2, 4)', 'regress_public_app');
COMMIT;

-- From form to form, each statement a transaction of its own: none is refused, and none opens the table to anybody.
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
CREATE FUNCTION pg_temp.steps(membership text, public_read text) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT s FROM rls_tenant.protect_sql('doc', membership => membership, public_read => public_read) WITH ORDINALITY q(statement, n)
  CROSS JOIN LATERAL (VALUES (1, statement), (2, 'SELECT pg_temp.open()')) v(k, s) ORDER BY n, k
$$;
\set ECHO_BEFORE :ECHO
\set ECHO queries
SELECT pg_temp.steps(NULL, 'note = ''two''') \gexec
SELECT pg_temp.steps(NULL, '') \gexec
SELECT pg_temp.policies('doc');
SELECT pg_temp.steps(NULL, 'is_published') \gexec
SELECT pg_temp.steps('tenant', NULL) \gexec
SELECT pg_temp.policies('doc');
SELECT rls_tenant.protect_sql('doc'), rls_tenant.protect_sql('doc', membership => 'tenant', public_read => 'is_published');
SELECT pg_temp.steps('tenant', '') \gexec
SELECT pg_temp.steps(NULL, 'is_published') \gexec
SELECT pg_temp.steps('', '') \gexec
SELECT pg_temp.steps('tenant', 'is_published') \gexec
SELECT pg_temp.steps('', NULL) \gexec
SELECT pg_temp.policies('doc');
SELECT pg_temp.steps('tenant', '') \gexec
SELECT pg_temp.steps('', 'is_published') \gexec
\set ECHO :ECHO_BEFORE
-- Whichever access holds by itself stands beside the floor that changes.
SELECT rls_tenant.protect_sql('doc', membership => 'tenant', public_read => '', access => 'note <> ''one''');
-- A narrower tenant_isolation goes when the whole one is there.
BEGIN;
SELECT rls_tenant.protect('doc', public_read => '');
DROP POLICY tenant_isolation ON doc;
CREATE POLICY tenant_isolation ON doc AS RESTRICTIVE FOR DELETE USING (tenant_id = rls_tenant.current_tenant_bigint());
SAVEPOINT s;
SELECT rls_tenant.protect_sql('doc');
SELECT rls_tenant.protect('doc');
SELECT pg_temp.policies('doc');
ROLLBACK TO s;
CREATE POLICY tenant_isolation_before ON doc AS RESTRICTIVE USING (note <> 'x');
SELECT rls_tenant.protect_sql('doc');
ROLLBACK;
-- What was left half done is finished by the same call; tenant_isolation, where it still is, holds the public rows back.
BEGIN;
CREATE POLICY tenant_isolation ON doc AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_bigint());
SELECT rls_tenant.public_condition('doc'), rls_tenant.protect_sql('doc');
DROP POLICY tenant_public ON doc;
SELECT rls_tenant.protect_sql('doc', public_read => 'is_published');
SELECT rls_tenant.protect_sql('doc', public_read => '');
ROLLBACK;
-- Who has narrowed tenant_public, or dropped it for a policy of one's own, keeps that until it is said again.
BEGIN;
ALTER POLICY tenant_public ON doc TO regress_public_app USING ((is_published AND note <> 'x') AND rls_tenant.current_tenant_bigint() IS NOT NULL);
SELECT rls_tenant.protect_sql('doc');
SELECT rls_tenant.protect_sql('doc', membership => 'tenant');
SELECT rls_tenant.protect_sql('doc', public_read => 'is_published');
DROP POLICY tenant_public ON doc;
SELECT rls_tenant.protect_sql('doc');
SELECT rls_tenant.protect_sql('doc', public_read => 'is_published');
ROLLBACK;
-- A column of another name; a policy that the owner has made for some roles only.
BEGIN;
CREATE TABLE other ("Org" text, tenant_id int, state text);
SELECT rls_tenant.protect('other', 'Org', public_read => 'state IN (''open'', ''closed'') OR state IS NULL');
COMMIT;
SELECT pg_temp.policies('other');
SELECT rls_tenant.protect_sql('other'), rls_tenant.public_condition('other');
SELECT relation, tenant_column, ancestor FROM rls_tenant.tenant_tables() WHERE relation IN ('doc'::regclass, 'other'::regclass) ORDER BY 1;
BEGIN;
ALTER POLICY tenant_isolation_update ON other TO regress_public_app;
SELECT rls_tenant.protect_sql('other', 'Org', public_read => 'state IN (''open'', ''closed'') OR state IS NULL');
SELECT rls_tenant.protect_sql('other', 'Org');
ROLLBACK;
SELECT rls_tenant.protect_sql('other', 'tenant_id');

-- Conditions that do not speak of the row alone.
CREATE FUNCTION stable_true(boolean) RETURNS boolean STABLE LANGUAGE sql RETURN $1;
CREATE FUNCTION with_default(boolean, text DEFAULT current_setting('x.y', true)) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION plain(boolean) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE DOMAIN trap AS boolean CHECK (stable_true(value));
SELECT rls_tenant.protect_sql('doc', public_read => 'true');
DO $$
DECLARE c text; d text; h text;
BEGIN
  FOREACH c IN ARRAY ARRAY[
    'true', 'false', 'NULL', '1 = 1', 'is_published OR true', 'is_published OR now() > ''2020-01-01''', 'is_published AND (note = ''x'' OR 1 = 1) OR 2 = 2',
    'NOT false', 'EXISTS (SELECT FROM member)', 'id IN (SELECT user_id FROM member)', 'id = (SELECT 1)',
    'note = current_setting(''x.y'')', 'note = current_setting(''x.y'', true)', 'note = current_user', 'note = session_user', 'note = current_schema',
    'tenant_id = rls_tenant.current_tenant_bigint()', 'is_published AND rls_tenant.current_tenant_bigint() IS NOT NULL',
    'note = rls_tenant.current_user_text()', 'rls_tenant.is_member(tenant_id)', 'note = rls_tenant.tenant_setting()', 'rls_tenant.with_tenant_isolation() AND is_published',
    'random() < 0.5 AND is_published', 'published_at <= clock_timestamp()', 'published_at::date <= current_date', 'published_at <= localtimestamp',
    'published_at < now() - interval ''1 day''', 'published_at::text > ''2020''', 'stable_true(is_published)', 'with_default(is_published)',
    'tableoid = 1', 'xmin::text = note', 'doc IS NOT NULL', 'doc = doc', 'is_published::trap', 'note::int > 3', 'note::boolean', '(''{"a": 1}''::jsonb || note::jsonb) ? ''a''', '(ARRAY[note])::int[] = ''{1}''', 'inet_client_addr() IS NULL AND is_published',
    'pg_has_role(''postgres'', ''member'') AND is_published', 'count(*) > 0', 'nope', 'note', 'is_published; DROP TABLE doc', 'is_published) OR (true', ''' OR true', '(' ] LOOP
    BEGIN
      PERFORM rls_tenant.protect('doc', public_read => c);
      RAISE INFO '%: accepted', c;
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
      RAISE INFO '%: % % %', c, SQLSTATE, SQLERRM, d;
    END;
  END LOOP;
  -- … and such as do.
  FOREACH c IN ARRAY ARRAY[
    'is_published', 'is_published IS TRUE', 'published_at <= now()', 'published_at <= current_timestamp', 'note = ''public'' AND published_at < statement_timestamp()',
    'tenant_id = 0', 'id % 2 = 0', 'note LIKE ''pub%'' OR id = ANY (''{1,2}'')', 'CASE WHEN is_published THEN id > 1 ELSE false END', 'coalesce(is_published, false)',
    'plain(is_published)', 'plain(is_published) = true AND (id, note) > (1, ''a'')', 'upper(note) COLLATE "C" = ''X''', 'id::text = note', 'is_published'] LOOP
    PERFORM rls_tenant.protect('doc', public_read => c);
    SELECT string_agg(rule, ',') INTO d FROM rls_tenant.table_faults('doc');
    SELECT count(*) INTO h FROM rls_tenant.protect_sql('doc', public_read => c);
    RAISE INFO '%: % (%, % left to do)', c, rls_tenant.public_condition('doc'), coalesce(d, 'no fault'), h;
  END LOOP;
END $$;
-- Only where there is a tenant column.
BEGIN; CREATE TABLE bare (id int, is_published boolean); SELECT rls_tenant.protect('bare', public_read => 'is_published'); ROLLBACK;

-- Policies of our names that are not ours.
BEGIN;
CREATE TABLE taken (tenant_id int NOT NULL, is_published boolean, note text);
SELECT rls_tenant.protect('taken');
SAVEPOINT s; CREATE POLICY tenant_public ON taken USING (is_published); SELECT rls_tenant.protect_sql('taken'); SELECT rls_tenant.protect('taken', public_read => 'is_published');
ROLLBACK TO s; CREATE POLICY tenant_public ON taken FOR SELECT USING (is_published); SELECT rls_tenant.protect('taken', public_read => '');
ROLLBACK TO s; CREATE POLICY tenant_public ON taken AS RESTRICTIVE FOR SELECT USING (is_published AND rls_tenant.current_tenant_bigint() IS NOT NULL); SELECT rls_tenant.protect('taken', public_read => 'is_published');
ROLLBACK TO s; CREATE POLICY tenant_isolation_select ON taken AS RESTRICTIVE FOR SELECT USING (is_published); SELECT rls_tenant.protect('taken', public_read => 'is_published');
ROLLBACK TO s; CREATE POLICY tenant_isolation_insert ON taken FOR INSERT WITH CHECK (tenant_id = rls_tenant.current_tenant_bigint()); SELECT rls_tenant.protect('taken', public_read => 'is_published');
ROLLBACK TO s; CREATE POLICY tenant_isolation_update ON taken AS RESTRICTIVE FOR UPDATE USING (note <> 'x'); SELECT rls_tenant.protect('taken', public_read => 'is_published');
ROLLBACK TO s; CREATE POLICY tenant_isolation_delete ON taken AS RESTRICTIVE FOR SELECT USING (tenant_id = rls_tenant.current_tenant_bigint()); SELECT rls_tenant.protect('taken', public_read => 'is_published');
ROLLBACK TO s; ALTER POLICY tenant_isolation ON taken USING (tenant_id = rls_tenant.current_tenant_bigint() AND note <> 'x'); SELECT rls_tenant.protect('taken', public_read => 'is_published');
ROLLBACK;

-- A partial index on the public rows serves as well.
BEGIN;
CREATE TABLE article (id bigint PRIMARY KEY, tenant_id uuid, is_published boolean NOT NULL DEFAULT false, body text);
SELECT rls_tenant.protect('article', public_read => 'is_published');
CREATE INDEX ON article (is_published) WHERE is_published;
COMMIT;
GRANT SELECT ON article TO regress_public_app;
SET ROLE regress_public_app;
SET enable_seqscan = off;
BEGIN; SET LOCAL rls_tenant.tenant_id = '11111111-1111-1111-1111-111111111111';
EXPLAIN (COSTS OFF) SELECT id FROM article;
EXPLAIN (COSTS OFF) SELECT id FROM article WHERE tenant_id = '22222222-2222-2222-2222-222222222222';
COMMIT;
RESET enable_seqscan;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA pr CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'pr';
DROP OWNED BY regress_public_app;
DROP ROLE regress_public_app;
