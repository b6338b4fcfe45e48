-- Setting, reading and showing the context; each refusal with its text.
\set SHOW_CONTEXT never
LOAD 'rls_tenant';
SET client_min_messages = notice;

-- Nothing is set: an error that says what to do.
SELECT rls_tenant.current_tenant_uuid();
\echo :LAST_ERROR_SQLSTATE
SELECT rls_tenant.current_account_bigint();
SELECT rls_tenant.current_user_text();
SELECT * FROM rls_tenant.current_context();

-- All nine functions.
BEGIN;
SELECT rls_tenant.set_context('11111111-1111-1111-1111-111111111111'::uuid, '22222222-2222-2222-2222-222222222222', '33333333-3333-3333-3333-333333333333');
SELECT rls_tenant.current_tenant_uuid(), rls_tenant.current_account_uuid(), rls_tenant.current_user_uuid();
SELECT rls_tenant.current_tenant_text(), rls_tenant.current_account_text(), rls_tenant.current_user_text();
SELECT * FROM rls_tenant.current_context();
COMMIT;
BEGIN;
SELECT rls_tenant.set_context(1::bigint, -9223372036854775808, 9223372036854775807);
SELECT rls_tenant.current_tenant_bigint(), rls_tenant.current_account_bigint(), rls_tenant.current_user_bigint();
COMMIT;
BEGIN;
SELECT rls_tenant.set_context('acme', user_id => 'jörg');
SELECT rls_tenant.current_tenant_text(), rls_tenant.current_user_text();
SELECT rls_tenant.current_account_text();
ROLLBACK;

-- By SET LOCAL; the context is over with the transaction.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '7';
SELECT rls_tenant.current_tenant_bigint(), rls_tenant.current_tenant_text();
COMMIT;
SELECT rls_tenant.current_tenant_bigint();

-- The function with an argument is a function of its argument.
SELECT rls_tenant.current_tenant_uuid('{AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee}'), rls_tenant.current_tenant_bigint('+42'),
  rls_tenant.current_user_text('x'), rls_tenant.current_tenant_uuid(NULL) IS NULL AS null_gives_null;
SELECT rls_tenant.current_tenant_uuid('nonsense');
\echo :LAST_ERROR_SQLSTATE
SELECT rls_tenant.current_tenant_text('');
SELECT rls_tenant.current_tenant_text(E'a\tb');
\echo :LAST_ERROR_SQLSTATE
BEGIN;
SET LOCAL rls_tenant.tenant_id = '8';
SELECT rls_tenant.current_tenant_bigint('9'), rls_tenant.current_tenant_bigint(rls_tenant.tenant_setting()),
  rls_tenant.current_tenant_bigint(rls_tenant.tenant_setting() || '1');
EXPLAIN (COSTS OFF, VERBOSE) SELECT rls_tenant.current_tenant_bigint(), rls_tenant.current_tenant_bigint('9');
COMMIT;

-- A session-level SET is refused; whatever gets past that ends with the transaction.
SET rls_tenant.tenant_id = '1';
\echo :LAST_ERROR_SQLSTATE
SET SESSION RLS_TENANT.User_Id TO DEFAULT;
SET SESSION RLS_TENANT.User_Id TO '1';
DO $$ BEGIN SET rls_tenant.account_id = '1'; END $$;
SELECT set_config('rls_tenant.tenant_id', '1', false);
SHOW rls_tenant.tenant_id;
BEGIN;
SELECT set_config('rls_tenant.tenant_id', '1', false);
SELECT rls_tenant.current_tenant_bigint();
COMMIT;
SHOW rls_tenant.tenant_id;
SELECT rls_tenant.current_tenant_bigint();
CREATE FUNCTION pg_temp.with_set() RETURNS text LANGUAGE sql SET rls_tenant.tenant_id = 'inside'
  RETURN rls_tenant.current_tenant_text();
SELECT pg_temp.with_set();
SHOW rls_tenant.tenant_id;

-- Outside a transaction block the setter warns; inside a function it does not, since the function goes on.
SELECT rls_tenant.set_context('1');
DO $$ BEGIN PERFORM rls_tenant.set_context('1'); RAISE NOTICE 'tenant %', rls_tenant.current_tenant_text(); END $$;

-- set_context needs a tenant; account and user go back to their default.
SELECT rls_tenant.set_context(NULL::text);
\echo :LAST_ERROR_SQLSTATE
SELECT rls_tenant.set_context('');
\echo :LAST_ERROR_SQLSTATE
BEGIN;
SET LOCAL rls_tenant.one_tenant_per_transaction = off;
SELECT rls_tenant.set_context('1', '2', '3');
SELECT rls_tenant.set_context('1', '4');
SELECT * FROM rls_tenant.current_context();
SELECT rls_tenant.set_context('1', '', '');
SELECT * FROM rls_tenant.current_context();
SELECT rls_tenant.clear_context();
SELECT * FROM rls_tenant.current_context();
SELECT rls_tenant.current_tenant_text();
ROLLBACK;

-- One transaction stands for one tenant, from the first value that it sets.
BEGIN;
SELECT rls_tenant.set_context('4', '5', '6');
SELECT rls_tenant.set_context('4', '5', '6');   -- the same is no change
SAVEPOINT s;
SELECT rls_tenant.set_context('1', '2', '3');   -- nothing was read yet
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT rls_tenant.current_tenant_text();
SAVEPOINT s;
SELECT rls_tenant.set_context('7');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SET LOCAL rls_tenant.tenant_id = '7';
ROLLBACK TO s;
SELECT set_config('rls_tenant.tenant_id', '7', false);
ROLLBACK TO s;
SELECT rls_tenant.clear_context();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SET LOCAL rls_tenant.tenant_id = '4';           -- the same one is no change
SET LOCAL rls_tenant.account_id = 'other';      -- the account was not read, and is bound with the tenant
ROLLBACK TO s;
RESET rls_tenant.tenant_id;                     -- asks no check hook
SELECT * FROM rls_tenant.current_context();
SELECT rls_tenant.current_tenant_text();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
RESET ALL;
SELECT rls_tenant.current_tenant_text();
ROLLBACK TO s;
SELECT pg_temp.with_set();                      -- a function's SET is a change, too
ROLLBACK TO s;
SELECT rls_tenant.current_tenant_text();
COMMIT;

-- Looking is not reading.
SET rls_tenant.missing_context = 'null';
BEGIN;
SHOW rls_tenant.tenant_id;
SELECT current_setting('rls_tenant.tenant_id');
SELECT tenant_id FROM rls_tenant.current_context();
SET LOCAL rls_tenant.tenant_id = '2';
SELECT rls_tenant.current_tenant_text();
COMMIT;

RESET rls_tenant.missing_context;

-- What was read is not released by ROLLBACK TO, which takes the value back.
BEGIN;
SAVEPOINT s;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT rls_tenant.current_tenant_text();
ROLLBACK TO s;
SELECT rls_tenant.current_tenant_text();
ROLLBACK TO s;
SET LOCAL rls_tenant.tenant_id = '2';
ROLLBACK TO s;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT rls_tenant.current_tenant_text();
COMMIT;

-- missing_context = null: NULL instead of an error; read as unset is read.
SET rls_tenant.missing_context = 'null';
SELECT rls_tenant.current_tenant_uuid() IS NULL AS is_null;
BEGIN;
SELECT rls_tenant.current_tenant_text() IS NULL AS is_null;
SET LOCAL rls_tenant.tenant_id = '1';
ROLLBACK;
RESET rls_tenant.missing_context;

-- one_tenant_per_transaction = off: a switch between statements.
SET rls_tenant.one_tenant_per_transaction = off;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT rls_tenant.current_tenant_text();
SET LOCAL rls_tenant.tenant_id = '2';
SELECT rls_tenant.current_tenant_text();
SELECT rls_tenant.current_tenant_text(), set_config('rls_tenant.tenant_id', '3', true);  -- but not within one
ROLLBACK;
RESET rls_tenant.one_tenant_per_transaction;

-- These are the superuser's.
CREATE ROLE regress_context_app;
SET ROLE regress_context_app;
SET rls_tenant.missing_context = 'null';
SET rls_tenant.one_tenant_per_transaction = off;
SET rls_tenant.tenant_type = text;
SET rls_tenant.tenant_column = x;
SET rls_tenant.guard = off;
RESET ROLE;
DROP ROLE regress_context_app;
SET rls_tenant.tenat_id = '1';
SET rls_tenant.guard = perhaps;
SET rls_tenant.tenant_column = '';
