-- protect(… membership => …): isolation by is_member(), from and to the form of one tenant; the guard's judgement of it.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_membership_protect;
CREATE SCHEMA mp;
GRANT USAGE ON SCHEMA mp TO regress_membership_protect;
SELECT rls_tenant.exempt('mp', 'member%', 'a source');
SET search_path = mp;
CREATE TABLE member (user_id int, tenant_id int, PRIMARY KEY (user_id, tenant_id));
CREATE TABLE member_word (user_id int, tenant text);
INSERT INTO member VALUES (1, 10), (1, 11), (2, 11);
SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id'), rls_tenant.add_membership('word', 'member_word', 'user_id', 'tenant');
CREATE FUNCTION pg_temp.policies(relation regclass) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT format('%s %s: %s / %s', polname, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END,
    pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy WHERE polrelid = relation ORDER BY polname
$$;

-- The membership form from the start: no DEFAULT, since a user of several tenants says whose a new row is.
BEGIN;
CREATE TABLE doc (id int PRIMARY KEY, tenant_id int, owner_id int, note text);
SELECT rls_tenant.protect_sql('doc', membership => 'tenant');
SELECT rls_tenant.protect('doc', membership => 'tenant');
COMMIT;
SELECT * FROM rls_tenant.table_faults('doc');
SELECT pg_temp.policies('doc');
-- Again: nothing, whether the source is named or not; access is added, and taken away.
SELECT rls_tenant.protect_sql('doc', membership => 'tenant');
SELECT rls_tenant.protect_sql('doc');
SELECT rls_tenant.protect('doc', access => 'owner_id = rls_tenant.current_user_bigint()');
SELECT pg_temp.policies('doc');
SELECT rls_tenant.protect_sql('doc'), rls_tenant.protect_sql('doc', access => 'owner_id = rls_tenant.current_user_bigint()');
SELECT rls_tenant.protect('doc', access => 'true');

GRANT SELECT, INSERT, UPDATE, DELETE ON doc TO regress_membership_protect;
SET ROLE regress_membership_protect;
BEGIN; SET LOCAL rls_tenant.user_id = '1';
INSERT INTO doc VALUES (1, 10, 1, 'a'), (2, 11, 1, 'b');
SELECT id FROM doc ORDER BY id;
INSERT INTO doc VALUES (3, 12, 1, 'c');
COMMIT;
BEGIN; SET LOCAL rls_tenant.user_id = '1';
INSERT INTO doc VALUES (1, 10, 1, 'a'), (2, 11, 1, 'b');
COMMIT;
BEGIN; SET LOCAL rls_tenant.user_id = '1'; INSERT INTO doc (id) VALUES (4); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.user_id = '2'; SELECT id FROM doc ORDER BY id; UPDATE doc SET tenant_id = 10; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.user_id = '2'; DELETE FROM doc; SELECT count(*) FROM doc; ROLLBACK;
BEGIN; SET LOCAL rls_tenant.user_id = '3'; SELECT count(*) FROM doc; ROLLBACK;
SELECT count(*) FROM doc;
RESET ROLE;

-- From one form to the other and back; what access says stays.
SELECT rls_tenant.protect_sql('doc', membership => '');
SELECT rls_tenant.protect('doc', membership => '');
SELECT pg_temp.policies('doc');
SELECT rls_tenant.protect('doc', access => 'note <> ''secret''');
SELECT rls_tenant.protect_sql('doc', membership => 'tenant');
SELECT rls_tenant.protect('doc', membership => 'tenant');
SELECT pg_temp.policies('doc');
SELECT rls_tenant.protect_sql('doc');
SELECT rls_tenant.protect('doc', membership => '');
SELECT pg_temp.policies('doc');
SELECT rls_tenant.protect_sql('doc');
-- An access that is a membership, or the tenant of the context, stays what it is in the membership form.
BEGIN;
CREATE TABLE both_forms (tenant_id int, note text);
SELECT rls_tenant.protect('both_forms', access => 'rls_tenant.is_member(tenant_id, ''other'')', membership => 'tenant');
SELECT rls_tenant.protect_sql('both_forms'), rls_tenant.protect_sql('both_forms', membership => 'tenant');
SELECT rls_tenant.protect('both_forms', access => 'tenant_id = rls_tenant.current_tenant_bigint()');
SELECT rls_tenant.protect_sql('both_forms'), rls_tenant.protect_sql('both_forms', membership => 'tenant');
SELECT pg_temp.policies('both_forms');
SELECT rls_tenant.protect('both_forms', access => 'rls_tenant.is_member(tenant_id, ''other'')');
SELECT rls_tenant.protect('both_forms', membership => '');
SELECT pg_temp.policies('both_forms');
ROLLBACK;
-- Policies of one's own are not touched; a tenant_isolation that says more is refused.
BEGIN;
CREATE TABLE own (tenant_id int, note text);
CREATE POLICY mine ON own USING (note IS NOT NULL);
SELECT rls_tenant.protect('own', membership => 'tenant');
SELECT pg_temp.policies('own');
ALTER POLICY tenant_isolation ON own USING (rls_tenant.is_member(tenant_id) AND note <> 'x');
SELECT rls_tenant.protect('own', membership => '');
ROLLBACK;
BEGIN;
CREATE TABLE own (tenant_id int, note text);
CREATE POLICY tenant_isolation ON own AS RESTRICTIVE USING (note <> 'x');
SELECT rls_tenant.protect('own', membership => 'tenant');
ROLLBACK;
-- A source that is not there, whose groups are of another type; a column that is a domain or varchar.
SELECT rls_tenant.protect('doc', membership => 'nope');
SELECT rls_tenant.protect('doc', membership => 'word');
BEGIN;
CREATE DOMAIN tenant_word AS varchar(10);
CREATE TABLE by_word (tenant_id tenant_word);
SELECT rls_tenant.protect('by_word', membership => 'word');
SELECT pg_temp.policies('by_word');
SELECT * FROM rls_tenant.table_faults('by_word');
ROLLBACK;

-- What the guard takes for a tenant condition, and what not.
SET rls_tenant.guard = off;
CREATE TABLE judged (tenant_id int NOT NULL, other int, note text);
ALTER TABLE judged ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DO $$ DECLARE q text; f text; BEGIN
  FOREACH q IN ARRAY ARRAY[
    'rls_tenant.is_member(tenant_id)', 'rls_tenant.is_member(tenant_id, ''team'')', 'rls_tenant.is_member(tenant_id) AND note = ''x''',
    'rls_tenant.is_member(tenant_id) OR tenant_id = rls_tenant.current_tenant_bigint()',
    'rls_tenant.is_member(other)', 'rls_tenant.is_member(tenant_id, note)', 'rls_tenant.is_member(tenant_id, NULL)', 'NOT rls_tenant.is_member(tenant_id)',
    'rls_tenant.is_member(tenant_id) OR other = 1', 'rls_tenant.is_member(tenant_id + 0)', 'rls_tenant.is_member(tenant_id) IS NOT FALSE',
    'tenant_id = ANY (rls_tenant.member_groups_bigint())', 'rls_tenant.has_role(tenant_id, ''admin'')', 'coalesce(rls_tenant.is_member(tenant_id), true)'] LOOP
    EXECUTE format('CREATE POLICY p ON judged USING (%s)', q);
    SELECT string_agg(rule, ', ') INTO f FROM rls_tenant.table_faults('judged');
    RAISE INFO '%: %', q, coalesce(f, 'confines');
    DROP POLICY p ON judged;
  END LOOP; END $$;
RESET rls_tenant.guard;

-- A policy on the source itself that asks it does not recurse; nor does one on a table that a view source reads.
BEGIN;
SELECT rls_tenant.protect('member', membership => 'tenant');
GRANT SELECT ON member TO regress_membership_protect;
SET LOCAL ROLE regress_membership_protect;
SET LOCAL rls_tenant.user_id = '2';
SELECT * FROM member ORDER BY 1, 2;
ROLLBACK;
-- Also where the owner is no superuser, to whom forced security applies.
BEGIN;
SET LOCAL client_min_messages = warning;
GRANT ALL ON SCHEMA mp TO regress_membership_protect;
GRANT EXECUTE ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) TO regress_membership_protect;
SET LOCAL ROLE regress_membership_protect;
CREATE TABLE member_base (user_id int, tenant_id int);
INSERT INTO member_base VALUES (1, 10), (2, 11), (3, 11);
CREATE VIEW member_view AS SELECT * FROM member_base;
CREATE VIEW member_through WITH (security_invoker) AS SELECT * FROM member_view;
SELECT rls_tenant.add_membership('through', 'member_through', 'user_id', 'tenant_id');
SELECT rls_tenant.protect('member_base', membership => 'through');
SET LOCAL rls_tenant.user_id = '2';
SELECT * FROM member_base ORDER BY 1;
SELECT * FROM member_view ORDER BY 1;
ROLLBACK;
-- A source that asks itself is an error, not a crash.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE FUNCTION lying(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN rls_tenant.is_member($1, ''lie''); END';
SELECT rls_tenant.add_membership('lie', 'member', 'user_id', 'tenant_id', NULL, 'lying(tenant_id)');
SET LOCAL rls_tenant.user_id = '1';
SELECT rls_tenant.is_member(10, 'lie');
ROLLBACK;
-- Nor may what runs then read another source: it could take from memory the one that is asked.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE FUNCTION lying(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM rls_tenant.protect_sql('mp.doc', membership => 'word'); RETURN true; END$$;
SELECT rls_tenant.add_membership('lie', 'member', 'user_id', 'tenant_id', NULL, 'lying(tenant_id)');
SET LOCAL rls_tenant.user_id = '1';
SELECT rls_tenant.is_member(10, 'lie');
ROLLBACK;
-- With the extension goes tenant_access, too, so that nothing is left open.
BEGIN;
SET LOCAL client_min_messages = warning;
INSERT INTO doc (id, tenant_id) VALUES (5, 10);
SELECT rls_tenant.protect('doc', membership => 'tenant');
DROP EXTENSION rls_tenant CASCADE;
SELECT count(*) FROM pg_policy WHERE polrelid = 'doc'::regclass;
SET LOCAL ROLE regress_membership_protect;
SELECT count(*) FROM doc;
ROLLBACK;
BEGIN; SET LOCAL rls_tenant.user_id = '1'; SELECT rls_tenant.is_member(10); ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA mp CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'mp';
DROP OWNED BY regress_membership_protect;
DROP ROLE regress_membership_protect;
