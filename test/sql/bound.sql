-- A transaction is bound to the first values that it sets: tenant, account and user. Each way around is refused.
\set SHOW_CONTEXT never
LOAD 'rls_tenant';
SET client_min_messages = warning;
CREATE ROLE regress_bound;
CREATE SCHEMA bound;
GRANT USAGE, CREATE ON SCHEMA bound TO regress_bound;
SET search_path = bound;
SET rls_tenant.guard = off;
CREATE TABLE doc (id int, tenant_id text, secret text);
SELECT rls_tenant.protect('doc');
GRANT SELECT ON doc TO regress_bound;
INSERT INTO doc VALUES (1, 'a', 'a-secret'), (2, 'b', 'b-secret');
CREATE TABLE country (code text, name text);
GRANT SELECT ON country TO regress_bound;
RESET rls_tenant.guard;
SET ROLE regress_bound;
CREATE FUNCTION as_a() RETURNS text LANGUAGE sql STABLE SET rls_tenant.tenant_id = 'a' RETURN (SELECT string_agg(secret, ',') FROM doc);

-- A UNION that was injected before the first read.
BEGIN;
SELECT rls_tenant.set_context('b');
SELECT name FROM country WHERE code = 'x' UNION ALL
SELECT q::text FROM (SELECT set_config('rls_tenant.tenant_id', 'a', true) s OFFSET 0) x,
  LATERAL (SELECT query_to_xml('select secret from doc limit 1' || left(x.s, 0), true, true, '') q) y;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- The user, which set_context() left out; and one that it set.
BEGIN;
SELECT rls_tenant.set_context('b');
SELECT set_config('rls_tenant.user_id', 'u', true);
ROLLBACK;
BEGIN;
SELECT rls_tenant.set_context('b', NULL, 'u');
SELECT count(*) FROM doc;
SELECT set_config('rls_tenant.user_id', 'v', true);
ROLLBACK;

-- SET LOCAL sets one; what a read finds binds all three.
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'b';
SET LOCAL rls_tenant.user_id = 'u';
SELECT id FROM doc;
SET LOCAL rls_tenant.account_id = 'x';
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = 'u';
SELECT rls_tenant.current_user_text();
SET LOCAL rls_tenant.tenant_id = 'a';
ROLLBACK;

-- The same value may be set again; empty, RESET and clear_context() are another.
BEGIN;
SELECT rls_tenant.set_context('b', NULL, 'u');
SET LOCAL rls_tenant.tenant_id = 'b';
SELECT rls_tenant.set_context('b', NULL, 'u');
SAVEPOINT s;
SET LOCAL rls_tenant.tenant_id = '';
ROLLBACK TO s;
SELECT rls_tenant.clear_context();
ROLLBACK TO s;
SELECT rls_tenant.set_context('b');
ROLLBACK TO s;
RESET rls_tenant.tenant_id;
SELECT id FROM doc;
ROLLBACK TO s;
RESET rls_tenant.tenant_id;
SET LOCAL rls_tenant.tenant_id = 'a';
ROLLBACK TO s;
RESET ALL;
SELECT rls_tenant.set_context('a');
ROLLBACK TO s;
SELECT as_a();
ROLLBACK TO s;
CREATE FUNCTION late() RETURNS int LANGUAGE sql SET rls_tenant.tenant_id = 'a' RETURN 1;
ROLLBACK TO s;
ALTER FUNCTION as_a() SET rls_tenant.tenant_id = 'c';
ROLLBACK TO s;
SELECT id FROM doc;
ROLLBACK;

-- An empty value first is no value.
BEGIN;
SET LOCAL rls_tenant.tenant_id = '';
SET LOCAL rls_tenant.tenant_id = 'b';
SELECT id FROM doc;
COMMIT;

-- Not released by ROLLBACK TO a savepoint after it; undone by one before it, so that a retry may set another.
BEGIN;
SELECT rls_tenant.set_context('b');
SAVEPOINT s;
SELECT rls_tenant.set_context('b');
ROLLBACK TO s;
SELECT rls_tenant.set_context('a');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT rls_tenant.set_context('a', NULL, 'u');
ROLLBACK TO s;
SELECT rls_tenant.set_context('b');
SELECT id FROM doc;
ROLLBACK TO s;
SELECT rls_tenant.set_context('a');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT rls_tenant.set_context('b');
RELEASE s;
SELECT rls_tenant.set_context('a');
ROLLBACK;
DO $$ BEGIN
  BEGIN
    PERFORM rls_tenant.set_context('a');
    RAISE EXCEPTION 'x';
  EXCEPTION WHEN raise_exception THEN NULL;
  END;
  PERFORM rls_tenant.set_context('b');
END $$;

-- What a RESET before or after leaves to be undone keeps nothing bound; what is released is undone with the level above.
BEGIN;
RESET rls_tenant.tenant_id;
SAVEPOINT s;
SELECT rls_tenant.set_context('a');
ROLLBACK TO s;
SELECT rls_tenant.set_context('b');
SELECT id FROM doc;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT rls_tenant.set_context('a');
ROLLBACK TO s;
RESET rls_tenant.tenant_id;
SELECT rls_tenant.set_context('b');
SELECT id FROM doc;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SAVEPOINT r;
SELECT rls_tenant.set_context('a', NULL, 'u');
RELEASE r;
SAVEPOINT r;
ROLLBACK TO r;
SELECT rls_tenant.set_context('b');
ROLLBACK TO s;
SELECT rls_tenant.set_context('b', NULL, 'v');
SELECT id FROM doc;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'b';
SAVEPOINT s;
SET LOCAL rls_tenant.user_id = 'u';
ROLLBACK TO s;
SET LOCAL rls_tenant.user_id = 'v';
SELECT id FROM doc;
ROLLBACK TO s;
SET LOCAL rls_tenant.user_id = 'u';
ROLLBACK;

-- A user alone is bound, too.
BEGIN;
SET LOCAL rls_tenant.user_id = 'u';
SET LOCAL rls_tenant.user_id = 'v';
ROLLBACK;

-- A function's SET clause ends with it, and what it has read does not.
CREATE FUNCTION no_read() RETURNS text LANGUAGE plpgsql SET rls_tenant.tenant_id = 'a' AS $$ BEGIN RETURN 'no read'; END $$;
BEGIN;
SELECT no_read();
SELECT rls_tenant.set_context('b');
SELECT id FROM doc;
COMMIT;
BEGIN;
SELECT no_read();
RESET rls_tenant.tenant_id;
SELECT rls_tenant.set_context('b');
SELECT id FROM doc;
COMMIT;
BEGIN;
SELECT as_a();
SELECT rls_tenant.set_context('b');
ROLLBACK;

-- A procedure that commits goes through tenants.
DO $$ DECLARE t text; BEGIN
  FOREACH t IN ARRAY '{a,b}'::text[] LOOP
    PERFORM rls_tenant.set_context(t);
    RAISE WARNING '%', (SELECT secret FROM doc);
    COMMIT;
  END LOOP;
END $$;

-- Off, each statement is bound for itself; on again, to what was read last.
RESET ROLE;
BEGIN;
SELECT rls_tenant.set_context('a');
SET LOCAL rls_tenant.one_tenant_per_transaction = off;
SELECT rls_tenant.set_context('b');
SET LOCAL ROLE regress_bound;
SELECT id FROM doc;
RESET ROLE;
SET LOCAL rls_tenant.one_tenant_per_transaction = on;
SELECT rls_tenant.set_context('a');
ROLLBACK;

-- What was set while it was off binds nothing, nor when it comes back.
BEGIN;
SET LOCAL rls_tenant.one_tenant_per_transaction = off;
SET LOCAL rls_tenant.tenant_id = 'a';
SET LOCAL rls_tenant.one_tenant_per_transaction = on;
SAVEPOINT s;
SET LOCAL rls_tenant.tenant_id = 'b';
ROLLBACK TO s;
SET LOCAL rls_tenant.tenant_id = 'b';
ROLLBACK;
-- Off, a statement that has read goes on for no other, nor for none.
CREATE FUNCTION unset() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RESET rls_tenant.tenant_id; RETURN 0; END $$;
BEGIN;
SET LOCAL rls_tenant.one_tenant_per_transaction = off;
SET LOCAL rls_tenant.missing_context = 'null';
SET LOCAL rls_tenant.plan_constants = off;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT rls_tenant.set_context('a');
SET LOCAL ROLE regress_bound;
SAVEPOINT s;
SELECT id, unset() FROM doc;
ROLLBACK TO s;
SELECT id, rls_tenant.clear_context() FROM doc WHERE id = 1;
ROLLBACK;

-- Workers read what their leader does not hear of, so it reads what is set, and holds that still meanwhile.
INSERT INTO country VALUES ('x', 'y');
CREATE FUNCTION seen() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN RETURN (SELECT string_agg(secret, ',') FROM doc); END $$;
CREATE FUNCTION seen_as_b() RETURNS text LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SET rls_tenant.tenant_id = 'b' AS
  $$ BEGIN RETURN (SELECT string_agg(secret, ',') FROM doc); END $$;
BEGIN;
SELECT set_config(name, 'on', true) FROM pg_settings WHERE name IN ('debug_parallel_query', 'force_parallel_mode');
SET LOCAL ROLE regress_bound;
SAVEPOINT s;
SELECT rls_tenant.set_context('a');
SELECT seen();
ROLLBACK TO s;
SELECT rls_tenant.set_context('b');
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.one_tenant_per_transaction = off;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT rls_tenant.set_context('a');
SET LOCAL ROLE regress_bound;
EXPLAIN (COSTS OFF) SELECT seen_as_b() FROM country;
SELECT seen_as_b() FROM country;
ROLLBACK;

-- A transaction that fails is followed by one that is free.
SET ROLE regress_bound;
BEGIN;
SELECT rls_tenant.set_context('a');
SELECT 1 / 0;
COMMIT;
BEGIN;
SELECT rls_tenant.set_context('b');
SELECT id FROM doc;
COMMIT;

-- A library that is loaded late: what was set before binds, and is undone as if it had been there.
\c -
SET client_min_messages = warning;
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'b';
SAVEPOINT s;
LOAD 'rls_tenant';
ROLLBACK TO s;
SET LOCAL rls_tenant.tenant_id = 'a';
ROLLBACK;
\c -
SET client_min_messages = warning;
BEGIN;
SAVEPOINT s;
SET LOCAL rls_tenant.tenant_id = 'a';
LOAD 'rls_tenant';
ROLLBACK TO s;
RESET rls_tenant.tenant_id;
SET LOCAL rls_tenant.tenant_id = 'b';
SELECT rls_tenant.current_tenant_text();
ROLLBACK;
\c -
SET client_min_messages = warning;
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'b';
SAVEPOINT s;
SET LOCAL rls_tenant.tenant_id = 'a';
LOAD 'rls_tenant';
SELECT rls_tenant.current_tenant_text();
ROLLBACK;
DROP SCHEMA bound CASCADE;
DROP ROLE regress_bound;
