-- Who may pin a context to a role or database, and take it away.
\set SHOW_CONTEXT never
LOAD 'rls_tenant';
CREATE ROLE regress_pins;
CREATE ROLE regress_pins_admin CREATEROLE;
GRANT regress_pins TO regress_pins_admin WITH ADMIN OPTION;
CREATE ROLE regress_pins_owner;
CREATE DATABASE regress_pins OWNER regress_pins_owner;
SET ROLE regress_pins;
ALTER ROLE regress_pins SET rls_tenant.tenant_id = '1';
ALTER ROLE CURRENT_USER IN DATABASE regress_pins SET "RLS_Tenant.User_Id" = '1';
ALTER USER regress_pins SET rls_tenant.account_id TO '1';
SET LOCAL rls_tenant.tenant_id = '1';
ALTER ROLE regress_pins SET rls_tenant.tenant_id FROM CURRENT;
DO $$ BEGIN EXECUTE 'ALTER ROLE regress_pins SET rls_tenant.tenant_id = 1'; END $$;
-- Other settings are not ours to refuse.
ALTER ROLE regress_pins SET work_mem = '8MB';
ALTER ROLE regress_pins RESET ALL;
RESET ROLE;
-- DBAs: a superuser, and who may alter other roles.
ALTER ROLE regress_pins SET rls_tenant.tenant_id = '1';
SET ROLE regress_pins_admin;
ALTER ROLE regress_pins SET rls_tenant.user_id = '2';
ALTER ROLE regress_pins_admin SET rls_tenant.tenant_id = '1';
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_pins'::regrole;
-- What is pinned stays so.
SET ROLE regress_pins;
ALTER ROLE regress_pins RESET rls_tenant.tenant_id;
ALTER ROLE regress_pins SET rls_tenant.tenant_id TO DEFAULT;
ALTER ROLE regress_pins RESET ALL;
SET ROLE regress_pins_owner;
ALTER DATABASE regress_pins SET rls_tenant.tenant_id = '1';
ALTER DATABASE regress_pins SET work_mem = '8MB';
RESET ROLE;
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_pins'::regrole;
-- Who is pinned stays there: the session's user, by whatever way another context comes.
GRANT regress_pins_owner TO regress_pins;
CREATE FUNCTION pins_as(id text) RETURNS text LANGUAGE plpgsql SET rls_tenant.tenant_id = '3' AS $$ BEGIN RETURN rls_tenant.current_tenant_text(); END $$;
SET SESSION AUTHORIZATION regress_pins;
SELECT rls_tenant.current_tenant_text();
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SET LOCAL rls_tenant.user_id = '2';
SELECT rls_tenant.current_tenant_text(), rls_tenant.current_user_bigint();
SAVEPOINT s;
SET LOCAL rls_tenant.tenant_id = '3';
ROLLBACK TO s;
COMMIT;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '3';
SAVEPOINT s;
SELECT rls_tenant.current_tenant_text();
ROLLBACK TO s;
SELECT rls_tenant.current_tenant_bigint();
ROLLBACK TO s;
SET LOCAL ROLE regress_pins_owner;
SELECT rls_tenant.current_tenant_text();
ROLLBACK;
BEGIN;
SELECT set_config('rls_tenant.user_id', '3', true);
SELECT rls_tenant.current_user_text();
ROLLBACK;
SELECT rls_tenant.set_context('3', NULL, '2');
SELECT rls_tenant.set_context('1', NULL, '3');
BEGIN;
SELECT rls_tenant.set_context('1', 'any', '2');
SELECT rls_tenant.current_account_text();
SELECT item, detail FROM rls_tenant.explain_context() LIMIT 3;
SELECT pins_as('x');
ROLLBACK;
-- A worker that builds an index reads for itself, and its leader has read nothing: here the leader waits for the worker's refusal.
RESET SESSION AUTHORIZATION;
SELECT pg_backend_pid() AS leader \gset
SELECT set_config('pins.leader', :'leader', false) IS NULL;
SELECT rls_tenant.exempt('public', 'pins\_bulk', 'has no tenants');
CREATE TABLE pins_bulk WITH (parallel_workers = 2) AS SELECT i, repeat('x', 1000) AS filler FROM generate_series(1, 1000) i;
ALTER TABLE pins_bulk OWNER TO regress_pins;
GRANT CREATE ON SCHEMA public TO regress_pins;
CREATE FUNCTION pins_spy(integer) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  IF pg_backend_pid()::text = current_setting('pins.leader') THEN
    PERFORM pg_sleep(60);
    RETURN '';
  END IF;
  RETURN rls_tenant.current_tenant_text();
END
$$;
SET SESSION AUTHORIZATION regress_pins;
BEGIN;
SET LOCAL maintenance_work_mem = '256MB';
SET LOCAL rls_tenant.tenant_id = '3';
CREATE INDEX ON pins_bulk (public.pins_spy(i));
ROLLBACK;
RESET SESSION AUTHORIZATION;
DROP TABLE pins_bulk;
DROP FUNCTION pins_spy;
DELETE FROM rls_tenant.exemption WHERE relation_pattern = 'pins\_bulk';
REVOKE CREATE ON SCHEMA public FROM regress_pins;
-- As another role, which may pin others, it is itself still.
CREATE ROLE regress_pins_clerk;
CREATE ROLE regress_pins_chief CREATEROLE;
GRANT regress_pins_chief TO regress_pins_clerk;
SET SESSION AUTHORIZATION regress_pins_clerk;
SET ROLE regress_pins_chief;
ALTER ROLE regress_pins_clerk SET rls_tenant.tenant_id = '9';
RESET ROLE;
RESET SESSION AUTHORIZATION;
DROP ROLE regress_pins_clerk, regress_pins_chief;
-- The session's user is looked at anew where it changes.
RESET SESSION AUTHORIZATION;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '3';
SELECT rls_tenant.current_tenant_text();
SET LOCAL SESSION AUTHORIZATION regress_pins;
SELECT rls_tenant.current_tenant_text();
ROLLBACK;
-- For a cursor that is open already, too, also where something else has looked at the user before.
CREATE FUNCTION pins_read() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN rls_tenant.current_tenant_text(); END $$;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '3';
DECLARE own CURSOR FOR SELECT rls_tenant.current_tenant_text() FROM generate_series(1, 3);
DECLARE called CURSOR FOR SELECT pins_read() FROM generate_series(1, 3);
DECLARE unread CURSOR FOR SELECT rls_tenant.current_tenant_text() FROM generate_series(1, 3);
DECLARE none CURSOR FOR SELECT i FROM generate_series(1, 3) i;
FETCH own;
FETCH called;
FETCH none;
SET LOCAL SESSION AUTHORIZATION regress_pins;
FETCH none;
SELECT item, detail LIKE '% is pinned here, %' FROM rls_tenant.explain_context() LIMIT 1;
SAVEPOINT s;
FETCH own;
ROLLBACK TO s;
FETCH called;
ROLLBACK TO s;
FETCH unread;
ROLLBACK TO s;
SELECT rls_tenant.current_tenant_text();
ROLLBACK TO s;
CLOSE own;
ROLLBACK;
DROP FUNCTION pins_read;
-- A pin in this database goes before one in all; an empty one there is none.
SELECT current_database() AS here \gset
ALTER ROLE regress_pins IN DATABASE :"here" SET rls_tenant.tenant_id = '4';
ALTER ROLE regress_pins IN DATABASE regress_pins SET rls_tenant.tenant_id = '5';
ALTER ROLE regress_pins IN DATABASE :"here" SET rls_tenant.user_id = '';
ALTER ROLE regress_pins SET rls_tenant.account_id = 'x';
-- A new session, which psql's variables survive.
\c -
\set SHOW_CONTEXT never
LOAD 'rls_tenant';
SET SESSION AUTHORIZATION regress_pins;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
DO $$ BEGIN PERFORM rls_tenant.current_tenant_text(); EXCEPTION WHEN insufficient_privilege THEN RAISE '%', SQLERRM; END $$;
ROLLBACK;
BEGIN;
SELECT rls_tenant.set_context('4', 'x', '7');
SELECT rls_tenant.current_tenant_text(), rls_tenant.current_account_text(), rls_tenant.current_user_text();
ROLLBACK;
SELECT rls_tenant.set_context('4', 'y', '7');
RESET SESSION AUTHORIZATION;
-- A pin is the same id in whatever spelling; one that cannot be read lets nothing be read.
SET rls_tenant.tenant_type = 'uuid';
SET rls_tenant.account_type = 'uuid';
SET rls_tenant.user_type = 'bigint';
ALTER ROLE regress_pins IN DATABASE :"here" RESET ALL;
ALTER ROLE regress_pins SET rls_tenant.tenant_id = '{6F1E5C52-0d6e-4f1c-9d0e-2f3a4b5c6d7e}';
\c -
\set SHOW_CONTEXT never
LOAD 'rls_tenant';
SET rls_tenant.tenant_type = 'uuid';
SET rls_tenant.account_type = 'uuid';
SET rls_tenant.user_type = 'bigint';
SET SESSION AUTHORIZATION regress_pins;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
SET LOCAL rls_tenant.user_id = '+2';
SET LOCAL rls_tenant.account_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
SELECT rls_tenant.current_tenant_uuid();
SELECT rls_tenant.current_user_bigint();
SELECT rls_tenant.current_account_uuid();
ROLLBACK;
SELECT rls_tenant.current_account_text();
RESET SESSION AUTHORIZATION;
-- A superuser is held to nothing.
ALTER ROLE regress_pins SUPERUSER;
\c -
\set SHOW_CONTEXT never
LOAD 'rls_tenant';
SET SESSION AUTHORIZATION regress_pins;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '3';
SELECT rls_tenant.current_tenant_text();
ROLLBACK;
RESET SESSION AUTHORIZATION;
ALTER ROLE regress_pins NOSUPERUSER;
DROP FUNCTION pins_as;
DROP DATABASE regress_pins;
DROP ROLE regress_pins, regress_pins_admin, regress_pins_owner;
