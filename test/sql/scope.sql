-- What a context survives and what ends it.
\set SHOW_CONTEXT never
LOAD 'rls_tenant';
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_scope_app;
BEGIN;
CREATE TABLE scope_item (tenant_id text NOT NULL, note text);
SELECT rls_tenant.protect('scope_item');
GRANT ALL ON scope_item TO regress_scope_app;
COMMIT;
INSERT INTO scope_item VALUES ('a', 'of a'), ('b', 'of b');
SET ROLE regress_scope_app;

-- Savepoints: RELEASE keeps what was set, ROLLBACK TO takes it back.
BEGIN;
SAVEPOINT s;
SET LOCAL rls_tenant.tenant_id = 'a';
RELEASE s;
SELECT tenant_id FROM rls_tenant.current_context();
SAVEPOINT s;
SET LOCAL rls_tenant.tenant_id = 'b';
ROLLBACK TO s;
SELECT note FROM scope_item;
COMMIT;

-- An exception block takes back what was set in it, not what was read in it.
DO $$
BEGIN
  PERFORM rls_tenant.set_context('a');
  BEGIN
    PERFORM rls_tenant.set_context('b');
  EXCEPTION WHEN active_sql_transaction THEN RAISE NOTICE 'caught: %', SQLERRM;
  END;
  RAISE NOTICE 'context %', (SELECT tenant_id FROM rls_tenant.current_context());
  BEGIN
    RAISE NOTICE 'read %', (SELECT note FROM scope_item);
    RAISE EXCEPTION 'undo';
  EXCEPTION WHEN raise_exception THEN NULL;
  END;
  PERFORM rls_tenant.set_context('b');
END $$;
-- An error inside a running query, caught, leaves nothing running.
DO $$
BEGIN
  PERFORM rls_tenant.set_context('a');
  BEGIN
    PERFORM 1 / (length(note) - 4) FROM scope_item;
  EXCEPTION WHEN division_by_zero THEN RAISE NOTICE 'caught';
  END;
  RAISE NOTICE 'read %', (SELECT note FROM scope_item);
END $$;
-- A missing context that was caught has read nothing.
DO $$
BEGIN
  BEGIN
    PERFORM note FROM scope_item;
  EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE NOTICE 'caught: %', SQLERRM;
  END;
  PERFORM rls_tenant.set_context('b');
  RAISE NOTICE 'read %', (SELECT note FROM scope_item);
END $$;

-- A procedure that commits: each transaction has its own context, and a loop over a tenant's rows cannot go on.
RESET ROLE;
CREATE PROCEDURE scope_each() LANGUAGE plpgsql AS $$
DECLARE tenant text;
BEGIN
  FOREACH tenant IN ARRAY '{a,b}'::text[] LOOP
    RAISE NOTICE 'before: %', (SELECT tenant_id FROM rls_tenant.current_context());
    PERFORM set_config('rls_tenant.tenant_id', tenant, false);
    RAISE NOTICE 'read: %', (SELECT note FROM scope_item);
    COMMIT;
  END LOOP;
  PERFORM rls_tenant.set_context('a');
  ROLLBACK;
  RAISE NOTICE 'after: %', (SELECT tenant_id FROM rls_tenant.current_context());
END $$;
CREATE PROCEDURE scope_loop() LANGUAGE plpgsql AS $$
DECLARE row scope_item;
BEGIN
  PERFORM rls_tenant.set_context('a');
  FOR row IN SELECT * FROM scope_item LOOP
    COMMIT;
    PERFORM rls_tenant.set_context('b');
    RAISE NOTICE 'row: %', row;
  END LOOP;
END $$;
CREATE FUNCTION scope_note() RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT note FROM scope_item LIMIT 1); END $$;
CREATE PROCEDURE scope_loop_function() LANGUAGE plpgsql AS $$
DECLARE note text;
BEGIN
  PERFORM rls_tenant.set_context('a');
  FOR note IN SELECT scope_note() FROM generate_series(1, 200) LOOP
    COMMIT;
  END LOOP;
END $$;
CREATE FUNCTION scope_rows() RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN RETURN QUERY SELECT note FROM scope_item; END $$;
CREATE FUNCTION scope_each_row() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE note text;
BEGIN
  FOR note IN SELECT i.note FROM scope_item i LOOP RETURN NEXT note; END LOOP;   -- a cursor of its own
END $$;
CREATE PROCEDURE scope_loop_rows() LANGUAGE plpgsql AS $$
DECLARE note text;
BEGIN
  PERFORM rls_tenant.set_context('a');
  FOR note IN SELECT * FROM scope_rows() LOOP
    COMMIT;
    RAISE NOTICE 'row of a: %', note;
  END LOOP;
END $$;
CREATE PROCEDURE scope_loop_other() LANGUAGE plpgsql AS $$
DECLARE tenant text;
BEGIN
  FOR tenant IN VALUES ('a'), ('b') LOOP
    PERFORM rls_tenant.set_context(tenant);
    RAISE NOTICE 'read: %', (SELECT note FROM scope_item);
    COMMIT;
  END LOOP;
END $$;
SET ROLE regress_scope_app;
CALL scope_each();
CALL scope_loop();
CALL scope_loop_function();
CALL scope_loop_rows();
CALL scope_loop_other();

-- What a procedure was called with stays good after it has committed.
RESET ROLE;
CREATE PROCEDURE scope_argument(by_text text, by_uuid uuid, fast text) LANGUAGE plpgsql AS $$
DECLARE i int; before text := md5(concat_ws('|', by_text, by_uuid, fast));
BEGIN
  FOR i IN 1..40 LOOP
    COMMIT;
    PERFORM rls_tenant.set_context(repeat(chr(65 + i % 20), 10 * (i % 20)) || 'x', repeat('y', i));
    PERFORM rls_tenant.current_tenant_text(), rls_tenant.current_account_text(), repeat('z', 1000 * i);
    PERFORM pg_notify('scope' || i, repeat('p', 900));
    IF md5(concat_ws('|', by_text, by_uuid, fast)) <> before THEN RAISE EXCEPTION 'the argument has changed'; END IF;
  END LOOP;
  RAISE NOTICE '% % %', by_text, by_uuid, fast;
END $$;
SET ROLE regress_scope_app;
DO $$BEGIN
  PERFORM rls_tenant.set_context('11111111-1111-1111-1111-111111111111'::uuid);
  CALL scope_argument(rls_tenant.current_tenant_text(), rls_tenant.current_tenant_uuid(), rls_tenant.fast_tenant_text());
END$$;

-- WITH HOLD.
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'a';
SAVEPOINT s;
DECLARE c CURSOR WITH HOLD FOR SELECT note FROM scope_item;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
DECLARE c CURSOR WITH HOLD FOR SELECT scope_note();
FETCH 1 FROM c;
ROLLBACK TO s;
DECLARE c CURSOR WITH HOLD FOR SELECT scope_note();
COMMIT;
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'a';
DECLARE c CURSOR WITH HOLD FOR SELECT * FROM scope_each_row();
COMMIT;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT 'no tenant''s row';
COMMIT;
FETCH 1 FROM c;
CLOSE c;

-- PREPARE TRANSACTION ends the context, COMMIT PREPARED brings none back.
BEGIN;
SELECT set_config('rls_tenant.tenant_id', 'a', false);
INSERT INTO scope_item VALUES (DEFAULT, 'prepared') RETURNING tenant_id;
PREPARE TRANSACTION 'regress_scope';
SELECT tenant_id IS NULL FROM rls_tenant.current_context();
SELECT note FROM scope_item;
COMMIT PREPARED 'regress_scope';
SELECT tenant_id IS NULL FROM rls_tenant.current_context();
BEGIN; SET LOCAL rls_tenant.tenant_id = 'a'; SELECT note FROM scope_item ORDER BY 1; COMMIT;

-- A value for the session that SET LOCAL masks does not come back.
BEGIN; SELECT set_config('rls_tenant.tenant_id', 'a', false); SET LOCAL rls_tenant.tenant_id TO DEFAULT; COMMIT;
SELECT tenant_id IS NULL FROM rls_tenant.current_context();
-- DISCARD ALL, RESET ALL.
SELECT set_config('rls_tenant.tenant_id', 'a', false);
DISCARD ALL;
SET ROLE regress_scope_app;
SELECT tenant_id IS NULL FROM rls_tenant.current_context();
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'a';
RESET ALL;
SELECT tenant_id IS NULL FROM rls_tenant.current_context();
SET LOCAL rls_tenant.tenant_id = 'b';
SELECT note FROM scope_item;
COMMIT;

-- SET clauses of functions and SECURITY DEFINER: the clause holds inside, the role changes nothing.
RESET ROLE;
CREATE FUNCTION scope_clause() RETURNS text LANGUAGE plpgsql SET rls_tenant.tenant_id = 'b' AS $$BEGIN RETURN scope_note(); END $$;
CREATE FUNCTION scope_setter() RETURNS text LANGUAGE plpgsql SET rls_tenant.tenant_id = 'a' AS $$
BEGIN
  PERFORM rls_tenant.set_context('b');
  RETURN scope_note();
END $$;
CREATE ROLE regress_scope_owner;
CREATE FUNCTION scope_definer() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN RETURN scope_note(); END $$;
ALTER FUNCTION scope_definer() OWNER TO regress_scope_owner;
GRANT SELECT ON scope_item TO regress_scope_owner;
SET ROLE regress_scope_app;
BEGIN; SELECT scope_clause(); SELECT tenant_id IS NULL FROM rls_tenant.current_context(); SELECT scope_note(); ROLLBACK;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'b'; SELECT scope_clause(); SELECT scope_note(); COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'a'; SELECT scope_clause(); SELECT tenant_id FROM rls_tenant.current_context(); SELECT scope_note(); COMMIT;
BEGIN; SELECT scope_setter(); SELECT tenant_id IS NULL FROM rls_tenant.current_context(); COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'a'; SELECT scope_definer(); COMMIT;
SELECT scope_definer();

-- A trigger that is deferred to the commit still has the context; one transaction's error leaves the next one clean.
RESET ROLE;
CREATE FUNCTION scope_deferred() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE 'deferred: % rows of %', (SELECT count(*) FROM scope_item), rls_tenant.current_tenant_text(); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER scope_deferred AFTER INSERT ON scope_item DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION scope_deferred();
SET ROLE regress_scope_app;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'b'; INSERT INTO scope_item VALUES (DEFAULT, 'late'); COMMIT;
BEGIN; SET LOCAL rls_tenant.tenant_id = 'b'; SELECT 1 / 0; COMMIT;
SELECT tenant_id IS NULL FROM rls_tenant.current_context();

-- Pinned by the DBA: the value that a transaction falls back to.
RESET ROLE;
CREATE DATABASE regress_scope_pinned;
ALTER DATABASE regress_scope_pinned SET rls_tenant.tenant_id = 'pinned';
\connect regress_scope_pinned
CREATE EXTENSION rls_tenant;
SELECT tenant_id, tenant_source FROM rls_tenant.current_context();
SELECT rls_tenant.current_tenant_text();
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'other';
SELECT rls_tenant.current_tenant_text();
COMMIT;
SELECT rls_tenant.current_tenant_text();
SELECT set_config('rls_tenant.tenant_id', 'other', false);
SELECT rls_tenant.current_tenant_text();
SELECT set_config('rls_tenant.tenant_id', '', false);
SELECT rls_tenant.current_tenant_text();
BEGIN; SELECT rls_tenant.set_context('other'); SELECT rls_tenant.clear_context(); SELECT rls_tenant.current_tenant_text(); COMMIT;
\connect contrib_regression
DROP DATABASE regress_scope_pinned;

DROP TABLE scope_item;
DROP PROCEDURE scope_argument, scope_each, scope_loop, scope_loop_function, scope_loop_rows, scope_loop_other;
DROP FUNCTION scope_each_row, scope_rows, scope_note, scope_clause, scope_setter, scope_definer, scope_deferred;
DROP ROLE regress_scope_app, regress_scope_owner;
