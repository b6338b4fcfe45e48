-- The guard: what is refused and with which words, what passes, what it protects by itself, its modes.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_guard_app;
CREATE ROLE regress_guard_dba BYPASSRLS;
GRANT CREATE ON SCHEMA public TO regress_guard_app, regress_guard_dba;
SET ROLE regress_guard_app;

-- Every way to make a table.
CREATE TABLE guard_bare (id int);
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE guard_as AS SELECT 1 AS id;
SELECT 1 AS id INTO guard_into;
CREATE MATERIALIZED VIEW guard_matview AS SELECT 1 AS id;   -- not a table: audit() speaks of it
RESET ROLE;
CREATE SCHEMA guard_schema CREATE TABLE inside (id int) CREATE VIEW beside AS SELECT 1 AS one;
CREATE TYPE guard_type AS (tenant_id uuid);
CREATE TABLE guard_typed OF guard_type;
CREATE UNLOGGED TABLE guard_unlogged (tenant_id uuid NOT NULL);
CREATE FUNCTION guard_maker() RETURNS void LANGUAGE plpgsql AS $$BEGIN CREATE TABLE guard_made (id int); END $$;
SELECT guard_maker();
DO $$BEGIN EXECUTE 'CREATE TABLE guard_made (id int)'; END $$;
CREATE PROCEDURE guard_committer() LANGUAGE plpgsql AS $$BEGIN CREATE TABLE guard_made (id int); COMMIT; END $$;
CALL guard_committer();
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) CREATE TABLE guard_explained AS SELECT 1 AS id;
CREATE FUNCTION guard_refreshed() RETURNS int LANGUAGE plpgsql AS $$BEGIN CREATE TABLE IF NOT EXISTS public.guard_made (id int); RETURN 1; END $$;
BEGIN; SET LOCAL rls_tenant.guard = off; CREATE MATERIALIZED VIEW guard_refreshing AS SELECT guard_refreshed() WITH NO DATA; COMMIT;
REFRESH MATERIALIZED VIEW guard_refreshing;
DROP MATERIALIZED VIEW guard_refreshing;
DROP FUNCTION guard_refreshed;
BEGIN; CREATE TABLE guard_prepared (id int); PREPARE TRANSACTION 'regress_guard';
SELECT count(*) FROM pg_class WHERE relname LIKE 'guard\_%' AND relkind IN ('r', 'p');

-- Each rule by itself.
BEGIN; CREATE TABLE guard_rule (tenant_id uuid); SELECT rls_tenant.protect('guard_rule'); ALTER TABLE guard_rule ALTER tenant_id DROP NOT NULL; COMMIT;
BEGIN; CREATE TABLE guard_rule (tenant_id uuid); SELECT rls_tenant.protect('guard_rule'); ALTER TABLE guard_rule DISABLE ROW LEVEL SECURITY; COMMIT;
BEGIN; CREATE TABLE guard_rule (tenant_id uuid NOT NULL); COMMIT;
BEGIN; CREATE TABLE guard_rule (tenant_id uuid); SELECT rls_tenant.protect('guard_rule'); ALTER TABLE guard_rule NO FORCE ROW LEVEL SECURITY; COMMIT;
BEGIN; CREATE TABLE guard_rule (tenant_id uuid NOT NULL); ALTER TABLE guard_rule ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; COMMIT;
BEGIN; CREATE TABLE guard_rule (tenant_id uuid); SELECT rls_tenant.protect('guard_rule'); DROP POLICY tenant_access ON guard_rule; COMMIT;
BEGIN; CREATE TABLE guard_rule (tenant_id uuid); SELECT rls_tenant.protect('guard_rule'); DROP POLICY tenant_isolation ON guard_rule; CREATE POLICY own ON guard_rule USING (tenant_id IS NOT NULL); COMMIT;
BEGIN; CREATE TABLE guard_rule (tenant_id uuid); SELECT rls_tenant.protect('guard_rule'); DROP POLICY tenant_isolation ON guard_rule; CREATE POLICY own ON guard_rule FOR INSERT WITH CHECK (true); COMMIT;
BEGIN; CREATE TABLE guard_rule (tenant_id uuid); SELECT rls_tenant.protect('guard_rule'); ALTER POLICY tenant_isolation ON guard_rule TO regress_guard_app; CREATE POLICY own ON guard_rule FOR SELECT USING (true); COMMIT;
-- Several faults of several tables at once.
BEGIN;
CREATE TABLE guard_two (tenant_id uuid);
CREATE TABLE guard_one (id int);
CREATE TABLE guard_three (tenant_id uuid); SELECT rls_tenant.protect('guard_three'); ALTER TABLE guard_three NO FORCE ROW LEVEL SECURITY, ALTER tenant_id DROP NOT NULL;
COMMIT;
-- The statements that the message gives mend it.
BEGIN; CREATE TABLE guard_mended (id int); ALTER TABLE public.guard_mended ADD COLUMN tenant_id uuid; SELECT rls_tenant.protect('public.guard_mended'); COMMIT;
-- LIKE takes columns, not policies.
CREATE TABLE guard_like (LIKE guard_mended INCLUDING ALL);
BEGIN; CREATE TABLE guard_like (LIKE guard_mended INCLUDING ALL); SELECT rls_tenant.protect('guard_like'); COMMIT;

-- A migration in steps, and what was undone.
BEGIN;
CREATE TABLE guard_steps (id int);
ALTER TABLE guard_steps ADD COLUMN org uuid NOT NULL;
ALTER TABLE guard_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE guard_steps FORCE ROW LEVEL SECURITY;
CREATE POLICY one ON guard_steps AS RESTRICTIVE USING (rls_tenant.current_tenant_uuid() = org);
CREATE POLICY two ON guard_steps USING (org IN (SELECT org));
COMMIT;
BEGIN; SAVEPOINT s; CREATE TABLE guard_undone (id int); ROLLBACK TO s; COMMIT;
BEGIN; CREATE TABLE guard_undone (id int); DROP TABLE guard_undone; COMMIT;
BEGIN; CREATE TABLE guard_undone (id int); DROP TABLE guard_undone; CREATE TABLE guard_undone (id int); COMMIT;
DO $$BEGIN
  CREATE TABLE guard_undone (id int);
  RAISE EXCEPTION 'undo';
EXCEPTION WHEN raise_exception THEN NULL;
END $$;
BEGIN; CREATE TABLE guard_first (id int); ALTER TABLE guard_first RENAME TO guard_second; COMMIT;

-- Confinement is judged on the tree.
CREATE FUNCTION guard_judge(qual text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  CREATE TABLE guard_judged (id int, tenant_id uuid NOT NULL, other uuid, parent int);
  ALTER TABLE guard_judged ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  EXECUTE format('CREATE POLICY p ON guard_judged USING (%s)', qual);
  SELECT coalesce(string_agg(rule, ', '), 'confined') INTO result FROM rls_tenant.table_faults('guard_judged');
  DROP TABLE guard_judged;
  RETURN result;
END $$;
SELECT guard_judge(q), q FROM unnest(ARRAY[
  'tenant_id = rls_tenant.current_tenant_uuid()', 'rls_tenant.current_tenant_uuid() = tenant_id', 'tenant_id = rls_tenant.fast_tenant_uuid()',
  'tenant_id = (SELECT rls_tenant.current_tenant_uuid())', 'tenant_id = rls_tenant.current_tenant_uuid(rls_tenant.tenant_setting())',
  'tenant_id = rls_tenant.current_tenant_uuid() AND id > 0', 'id > 0 AND (parent > 0 AND tenant_id = rls_tenant.current_tenant_uuid())',
  '(tenant_id = rls_tenant.current_tenant_uuid() AND id > 0) OR (tenant_id = rls_tenant.current_tenant_uuid() AND parent > 0)', 'false', 'NULL',
  'CASE WHEN id > 0 THEN false ELSE false END AND tenant_id = rls_tenant.current_tenant_uuid()',
  'true', 'tenant_id = rls_tenant.current_tenant_uuid() OR id > 0', 'tenant_id = rls_tenant.current_tenant_uuid() OR true', 'NOT tenant_id = rls_tenant.current_tenant_uuid()',
  'tenant_id <> rls_tenant.current_tenant_uuid()', 'tenant_id >= rls_tenant.current_tenant_uuid()', 'other = rls_tenant.current_tenant_uuid()', 'tenant_id = other',
  'tenant_id = rls_tenant.current_account_uuid()', 'tenant_id = rls_tenant.current_tenant_uuid(''11111111-1111-1111-1111-111111111111'')',
  'tenant_id = rls_tenant.current_tenant_uuid(rls_tenant.account_setting())', 'tenant_id = rls_tenant.current_tenant_uuid(rls_tenant.tenant_setting() || '''')',
  'tenant_id IS NOT DISTINCT FROM rls_tenant.current_tenant_uuid()', 'coalesce(tenant_id = rls_tenant.current_tenant_uuid(), true)', '(tenant_id = rls_tenant.current_tenant_uuid()) IS NOT FALSE',
  'coalesce(tenant_id, rls_tenant.current_tenant_uuid()) = rls_tenant.current_tenant_uuid()', 'CASE WHEN id > 0 THEN tenant_id = rls_tenant.current_tenant_uuid() ELSE true END',
  'tenant_id = (SELECT rls_tenant.current_tenant_uuid() WHERE false)', 'tenant_id = (SELECT current_setting(''app.tenant'')::uuid)', 'tenant_id = current_setting(''app.tenant'')::uuid',
  'tenant_id::text = rls_tenant.current_tenant_text()', 'tenant_id::text::bpchar = rls_tenant.current_tenant_text()::bpchar', 'EXISTS (SELECT FROM guard_mended m WHERE m.tenant_id = rls_tenant.current_tenant_uuid())',
  'tenant_id IN (SELECT rls_tenant.current_tenant_uuid())', 'ROW(tenant_id) = ROW(rls_tenant.current_tenant_uuid())']) q;

-- The tenant column is the one that a whole floor confines, else the one of the setting's name.
BEGIN;
CREATE TABLE guard_invoice (id int, tenant_id uuid NOT NULL, seller uuid);
CREATE POLICY p ON guard_invoice AS RESTRICTIVE FOR DELETE USING (seller = rls_tenant.current_tenant_uuid());
CREATE POLICY q ON guard_invoice AS RESTRICTIVE FOR UPDATE USING (false);
SELECT rls_tenant.protect_sql('guard_invoice');
CREATE TABLE guard_false (id int);
CREATE POLICY q ON guard_false AS RESTRICTIVE USING (false);
SELECT * FROM rls_tenant.table_faults('guard_false');
CREATE VIEW guard_view AS SELECT 1;
SELECT * FROM rls_tenant.table_faults('guard_view');
ROLLBACK;

-- What is passed over.
CREATE TEMP TABLE guard_temp (id int);
CREATE TABLE pg_temp.guard_temp_2 (id int);
CREATE SCHEMA guard_extension;
CREATE EXTENSION pg_stat_statements;
ALTER EXTENSION pg_stat_statements ADD SCHEMA guard_extension;
CREATE TABLE guard_extension.queue (id int);                -- a schema that belongs to a superuser's extension
ALTER EXTENSION pg_stat_statements DROP SCHEMA guard_extension;
CREATE TABLE guard_extension.queue_2 (id int);
BEGIN; CREATE TABLE guard_extension.queue_2 (id int); ALTER EXTENSION pg_stat_statements ADD TABLE guard_extension.queue_2; COMMIT;
-- A user's extension hides nothing.
CREATE ROLE regress_guard_owner;
GRANT CREATE ON DATABASE contrib_regression TO regress_guard_owner;
GRANT CREATE ON SCHEMA public TO regress_guard_owner;
SET ROLE regress_guard_owner;
CREATE EXTENSION citext;
BEGIN; CREATE TABLE guard_hidden (id int); ALTER EXTENSION citext ADD TABLE guard_hidden; COMMIT;
CREATE SCHEMA guard_hiding;
ALTER EXTENSION citext ADD SCHEMA guard_hiding;
CREATE TABLE guard_hiding.hidden (id int);
DROP EXTENSION citext CASCADE;
DROP SCHEMA IF EXISTS guard_hiding;
RESET ROLE;

-- Whose tables it does not check, and that it says so, once.
SET ROLE regress_guard_app;
SET row_security = off;
CREATE TABLE guard_aside (id int);
RESET ROLE;
CREATE FUNCTION guard_definer() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET row_security = off AS $$BEGIN CREATE TABLE guard_aside (id int); END $$;
SET ROLE regress_guard_app;
SELECT guard_definer();
SET ROLE regress_guard_dba;
SET row_security = on;
CREATE TABLE guard_aside (id int);
SET row_security = off;
CREATE TABLE guard_aside (id int);
CREATE TABLE guard_aside_2 (id int);
RESET ROLE;
CREATE TABLE guard_aside_3 (id int);
RESET row_security;
SELECT rls_tenant.table_faults('guard_aside');

-- Partitions and children of tenant tables are protected without a word; those of others are not its business.
BEGIN;
CREATE TABLE guard_part (tenant_id uuid NOT NULL, day date) PARTITION BY RANGE (day);
SELECT rls_tenant.protect('guard_part');
COMMIT;
CREATE TABLE guard_part_1 PARTITION OF guard_part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE guard_part_2 PARTITION OF guard_part FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY HASH (tenant_id);
CREATE TABLE guard_part_2_0 PARTITION OF guard_part_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
BEGIN;
CREATE TABLE guard_part_3 (LIKE guard_part INCLUDING ALL);
ALTER TABLE guard_part ATTACH PARTITION guard_part_3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
COMMIT;
CREATE TABLE guard_child (extra int) INHERITS (guard_part_1);
CREATE TABLE guard_child (extra int) INHERITS (guard_mended);
CREATE TABLE guard_grandchild () INHERITS (guard_child);
SET row_security = off;
CREATE TABLE guard_old (LIKE guard_part);
CREATE TABLE guard_old_child (LIKE guard_mended);
CREATE TABLE guard_legacy (id int) PARTITION BY LIST (id);
RESET row_security;
ALTER TABLE guard_part ATTACH PARTITION guard_old FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
ALTER TABLE guard_old_child INHERIT guard_mended;
CREATE TABLE guard_legacy_1 PARTITION OF guard_legacy FOR VALUES IN (1);
SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
WHERE relname ~ '^guard_(part|child|grandchild|old|legacy)' AND relkind IN ('r', 'p') ORDER BY relname;
-- A part with policies of its own must confine as well.
BEGIN; CREATE TABLE guard_open PARTITION OF guard_part FOR VALUES FROM ('2027-01-01') TO ('2027-02-01'); CREATE POLICY open ON guard_open USING (true); COMMIT;
BEGIN; CREATE TABLE guard_open PARTITION OF guard_part FOR VALUES FROM ('2027-01-01') TO ('2027-02-01'); SELECT rls_tenant.protect('guard_open'); CREATE POLICY open ON guard_open USING (true); COMMIT;
-- A tenant table below a parent that is none: its rows are seen through the parent.
SELECT rls_tenant.exempt('public', 'guard\_base%', 'a test', '{no_tenant_column}');
CREATE TABLE guard_base (id int);
BEGIN; CREATE TABLE guard_below (tenant_id uuid) INHERITS (guard_base); SELECT rls_tenant.protect('guard_below'); COMMIT;
BEGIN; CREATE TABLE guard_below (id int, tenant_id uuid); SELECT rls_tenant.protect('guard_below'); COMMIT;
ALTER TABLE guard_below INHERIT guard_base;
CREATE TABLE guard_base_2 (id int, tenant_id uuid NOT NULL) PARTITION BY LIST (id);
SELECT rls_tenant.exempt('public', 'guard\_base%', 'a test');
CREATE TABLE guard_base_2 (id int, tenant_id uuid NOT NULL) PARTITION BY LIST (id);
ALTER TABLE guard_base_2 ATTACH PARTITION guard_below DEFAULT;
DELETE FROM rls_tenant.exemption;
-- ATTACH and INHERIT of a table that is open to those who name it.
SET row_security = off;
CREATE TABLE guard_attached (LIKE guard_part); CREATE POLICY open ON guard_attached USING (true);
RESET row_security;
ALTER TABLE guard_part ATTACH PARTITION guard_attached FOR VALUES FROM ('2028-01-01') TO ('2028-02-01');
-- By whoever makes them: the table's owner does it.
CREATE FUNCTION guard_partition_manager() RETURNS void LANGUAGE sql SECURITY DEFINER AS
  $$CREATE TABLE guard_part_5 PARTITION OF guard_part FOR VALUES FROM ('2026-05-01') TO ('2026-06-01')$$;
SET ROLE regress_guard_app;
SELECT guard_partition_manager();
RESET ROLE;
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'guard_part_5';

-- Exemptions.
SELECT rls_tenant.exempt('public', 'guard\_ref\_%', 'reference data');
CREATE TABLE guard_ref_country (id int);
CREATE TABLE guard_reference (id int);
SELECT rls_tenant.exempt('public', 'guard_nullable', 'shared rows have no tenant', '{tenant_nullable}');
BEGIN; CREATE TABLE guard_nullable (tenant_id uuid); SELECT rls_tenant.protect('guard_nullable'); ALTER TABLE guard_nullable ALTER tenant_id DROP NOT NULL; COMMIT;
BEGIN; DROP TABLE guard_nullable; CREATE TABLE guard_nullable (tenant_id uuid); COMMIT;
SELECT schema_name, relation_pattern, rules, reason, added_by = session_user FROM rls_tenant.exemption ORDER BY relation_pattern;
SELECT rls_tenant.exempt('public', 'guard_nullable', 'another reason', '{tenant_nullable,rls_off}');
SELECT relation_pattern, rules, reason FROM rls_tenant.exemption WHERE relation_pattern = 'guard_nullable';
SELECT rls_tenant.exempt('public', 'x', NULL);
SELECT rls_tenant.exempt('public', 'x', ' ');
SELECT rls_tenant.exempt('public', 'x\', 'why');
SELECT rls_tenant.exempt('public', 'x', 'why', '{rls_of}');
SELECT rls_tenant.exempt('public', 'x', 'why', '{}');
SELECT rls_tenant.exempt('public', 'x', 'why', '{NULL}');
SELECT rls_tenant.exempt('', 'x', 'why');
SELECT rls_tenant.baseline('');
SET ROLE regress_guard_app;
SELECT rls_tenant.exempt('public', 'x', 'why');
SELECT rls_tenant.baseline();
SELECT * FROM rls_tenant.exemption;
SELECT rls_tenant.table_faults('guard_aside');
RESET ROLE;
GRANT EXECUTE ON FUNCTION rls_tenant.exempt(name, text, text, text[]) TO regress_guard_app;
SET ROLE regress_guard_app;
SELECT rls_tenant.exempt('public', 'guard_aside', 'granted');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION rls_tenant.exempt(name, text, text, text[]) FROM regress_guard_app;
DELETE FROM rls_tenant.exemption;

-- baseline(): what is there today, with just the rules that it breaks.
SELECT rls_tenant.baseline();
SELECT relation_pattern, rules, reason, baseline FROM rls_tenant.exemption ORDER BY relation_pattern;
SELECT rls_tenant.baseline('again');
-- What is said by hand of one of its tables is no baseline's any more.
BEGIN; SELECT rls_tenant.exempt('public', 'guard\_aside', 'of the test'); SELECT rules, baseline FROM rls_tenant.exemption WHERE reason = 'of the test'; ROLLBACK;
DROP TABLE guard_aside; CREATE TABLE guard_aside (id int);
BEGIN; DROP TABLE guard_aside; CREATE TABLE guard_aside (tenant_id uuid); COMMIT;
DELETE FROM rls_tenant.exemption;

-- Modes.
SET rls_tenant.guard = warn;
CREATE TABLE guard_warned (tenant_id uuid);
CREATE TABLE guard_part_6 PARTITION OF guard_part FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
SET rls_tenant.guard = off;
CREATE TABLE guard_unguarded (id int);
CREATE TABLE guard_part_7 PARTITION OF guard_part FOR VALUES FROM ('2026-07-01') TO ('2026-08-01');
SET rls_tenant.guard = protect;
CREATE TABLE guard_protected (tenant_id uuid, id int);
CREATE TABLE guard_unprotectable (id int);
BEGIN; CREATE TABLE guard_unprotectable (tenant_id jsonb); CREATE TABLE guard_unprotectable_2 AS SELECT NULL::uuid AS tenant_id; CREATE TABLE guard_protected_4 (tenant_id uuid); COMMIT;
BEGIN; CREATE TABLE guard_protected_5 (tenant_id uuid); CREATE TABLE guard_a_child () INHERITS (guard_protected_5); CREATE TABLE guard_z_child () INHERITS (guard_protected_5); COMMIT;
SELECT polrelid::regclass, count(*) FROM pg_policy WHERE polrelid::regclass::text ~ '^guard_(protected_5|._child)' GROUP BY 1;
BEGIN; CREATE TABLE guard_protected_2 (tenant_id int) PARTITION BY LIST (tenant_id); CREATE TABLE guard_protected_2_1 PARTITION OF guard_protected_2 FOR VALUES IN (1); COMMIT;
SET ROLE regress_guard_app;
CREATE TABLE guard_protected_3 AS SELECT 'a'::text AS tenant_id;
RESET ROLE;
RESET rls_tenant.guard;
SELECT relname, relrowsecurity, relforcerowsecurity, (SELECT string_agg(rule, ',') FROM rls_tenant.table_faults(oid)) FROM pg_class
WHERE relname ~ '^guard_(warned|part_6|part_7|unguarded|protected)' AND relkind IN ('r', 'p') ORDER BY relname;
SET rls_tenant.tenant_column = org_id;
CREATE TABLE guard_column (tenant_id uuid);
RESET rls_tenant.tenant_column;

-- The event trigger is its own, and always on.
SELECT evtname, evtevent, evtenabled, evttags FROM pg_event_trigger WHERE evtname LIKE 'rls_tenant%' ORDER BY evtname;
SET session_replication_role = replica;
CREATE TABLE guard_replica (id int);
RESET session_replication_role;
SELECT rls_tenant.guard_note_ddl();
-- A transaction that drops the extension is not checked by what it drops.
BEGIN; CREATE TABLE guard_gone (id int); DROP EXTENSION rls_tenant CASCADE; COMMIT;
CREATE TABLE guard_gone_2 (id int);
CREATE EXTENSION rls_tenant;
CREATE TABLE guard_back (id int);

SET client_min_messages = warning;
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY (SELECT array_agg(oid::regclass::text) FROM pg_class WHERE relname LIKE 'guard\_%' AND relkind IN ('r', 'p')) LOOP
    EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', name);
  END LOOP;
END $$;
DROP MATERIALIZED VIEW guard_matview;
DROP EXTENSION pg_stat_statements CASCADE;
DROP SCHEMA guard_extension CASCADE;
DROP TYPE guard_type CASCADE;
DROP FUNCTION guard_maker, guard_judge, guard_definer, guard_partition_manager;
DROP PROCEDURE guard_committer;
REVOKE CREATE ON SCHEMA public FROM regress_guard_app, regress_guard_dba, regress_guard_owner;
REVOKE CREATE ON DATABASE contrib_regression FROM regress_guard_owner;
DROP ROLE regress_guard_app, regress_guard_dba, regress_guard_owner;
