-- What a transaction may not do to tables that keep tenants apart, and to what reads or refers to them. What was wrong before
-- the transaction is not held against it.
\set SHOW_CONTEXT never
\set VERBOSITY default
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_changes_owner;
CREATE ROLE regress_changes_bypass BYPASSRLS;
GRANT regress_changes_bypass TO regress_changes_owner;
CREATE SCHEMA gc AUTHORIZATION regress_changes_owner;
GRANT ALL ON SCHEMA gc TO regress_changes_bypass;
SET search_path = gc;
SET rls_tenant.guard = off;
CREATE TABLE legacy (id int, tenant_id int, note text);  -- nobody protected it, and nobody says anything of it
CREATE TABLE legacy_bare (id int);
ALTER TABLE legacy OWNER TO regress_changes_owner;
ALTER TABLE legacy_bare OWNER TO regress_changes_owner;
RESET rls_tenant.guard;
SET ROLE regress_changes_owner;
BEGIN;
CREATE TABLE good (id int, tenant_id int, note text, PRIMARY KEY (tenant_id, id), UNIQUE (id));
SELECT rls_tenant.protect('good');
CREATE TABLE other (id int, tenant_id int, good_id int, PRIMARY KEY (tenant_id, id));
SELECT rls_tenant.protect('other');
CREATE TABLE parted (id int, tenant_id int) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
SELECT rls_tenant.protect('parted');
COMMIT;

-- Changes that say nothing of tenants pass, on legacy tables, too.
ALTER TABLE good ADD COLUMN more text;
ALTER TABLE good RENAME COLUMN more TO less;
CREATE INDEX ON good (note);
CREATE STATISTICS good_statistics ON note, less FROM good;
ALTER TABLE legacy ADD COLUMN more text;
ALTER TABLE legacy DROP COLUMN more;
ALTER TABLE legacy ALTER COLUMN note SET NOT NULL;
ALTER TABLE legacy RENAME TO legacy_1;
ALTER TABLE legacy_1 RENAME TO legacy;
ALTER TABLE legacy_bare ADD COLUMN more int REFERENCES good (id);
ALTER TABLE legacy_bare DROP COLUMN more;
COMMENT ON TABLE legacy IS 'old';
CREATE FUNCTION definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM gc.good';

-- Row-level security, the tenant column.
ALTER TABLE good DISABLE ROW LEVEL SECURITY;
ALTER TABLE good NO FORCE ROW LEVEL SECURITY;
ALTER TABLE parted_1 DISABLE ROW LEVEL SECURITY;
SELECT relrowsecurity FROM pg_class WHERE oid = 'parted_1'::regclass; -- the guard has enabled it again
ALTER TABLE other ALTER COLUMN tenant_id DROP NOT NULL;
BEGIN; ALTER TABLE good DROP CONSTRAINT good_pkey; ALTER TABLE good ALTER COLUMN tenant_id DROP NOT NULL; COMMIT;
ALTER TABLE good DROP COLUMN tenant_id;
ALTER TABLE good DROP COLUMN tenant_id CASCADE;
ALTER TABLE good ALTER COLUMN tenant_id TYPE text;
BEGIN; ALTER TABLE good RENAME COLUMN tenant_id TO org; COMMIT;
SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'good'::regclass ORDER BY polname;
ALTER TABLE good RENAME COLUMN org TO tenant_id;
-- Steps within one transaction are no matter.
BEGIN;
ALTER TABLE good DISABLE ROW LEVEL SECURITY;
ALTER TABLE good ENABLE ROW LEVEL SECURITY;
COMMIT;
BEGIN;
SAVEPOINT s;
DROP POLICY tenant_isolation ON good;
DROP POLICY tenant_access ON good;
ROLLBACK TO s;
COMMIT;

-- Policies.
DROP POLICY tenant_isolation ON good;  -- tenant_access isolates by itself
SELECT rls_tenant.protect('good');
BEGIN; DROP POLICY tenant_isolation ON good; DROP POLICY tenant_access ON good; COMMIT;
BEGIN; DROP POLICY tenant_isolation ON good; CREATE POLICY open ON good USING (true); COMMIT;
CREATE POLICY open ON good USING (true);  -- the floor covers it
DROP POLICY tenant_isolation ON good;
BEGIN; DROP POLICY tenant_isolation ON good; CREATE POLICY few ON good AS RESTRICTIVE TO regress_changes_bypass USING (tenant_id = rls_tenant.current_tenant_bigint()); COMMIT;
DROP POLICY open ON good;
BEGIN; DROP POLICY tenant_isolation ON good; ALTER POLICY tenant_access ON good WITH CHECK (true); COMMIT;
BEGIN; DROP POLICY tenant_isolation ON good; ALTER POLICY tenant_access ON good USING (tenant_id = rls_tenant.current_tenant_bigint() OR note = 'public'); COMMIT;
BEGIN; ALTER POLICY tenant_isolation ON good USING (tenant_id IS NOT NULL); ALTER POLICY tenant_access ON good USING (true); COMMIT;
CREATE FUNCTION of_policy(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0';
CREATE POLICY narrow ON good AS RESTRICTIVE USING (of_policy(id));
BEGIN; DROP POLICY tenant_isolation ON good; ALTER POLICY tenant_access ON good USING (of_policy(id)); COMMIT;
DROP FUNCTION of_policy(int) CASCADE;  -- takes the policy "narrow", which held back more, not less
CREATE POLICY open ON legacy USING (true);

-- Parts.
BEGIN; CREATE TABLE part_2 (id int, tenant_id int NOT NULL); ALTER TABLE parted ATTACH PARTITION part_2 FOR VALUES IN (2); COMMIT;
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'part_2'::regclass;
ALTER TABLE parted DETACH PARTITION part_2;  -- closed, which harms nobody
BEGIN; ALTER TABLE parted DETACH PARTITION parted_1; ALTER TABLE parted_1 DISABLE ROW LEVEL SECURITY; COMMIT;
RESET ROLE;
SELECT rls_tenant.exempt('gc', 'shared', 'for all');
SET ROLE regress_changes_owner;
CREATE TABLE shared (id int, tenant_id int NOT NULL) PARTITION BY LIST (id);
CREATE TABLE shared_1 PARTITION OF shared FOR VALUES IN (1);
ALTER TABLE shared DETACH PARTITION shared_1;

-- Owners and schemas.
ALTER TABLE good OWNER TO regress_changes_bypass;
ALTER TABLE legacy_bare OWNER TO regress_changes_bypass;
ALTER TABLE legacy_bare OWNER TO regress_changes_owner;

-- Views: as whom they read.
CREATE VIEW as_owner AS SELECT * FROM good;  -- the owner is held
SET ROLE regress_changes_bypass;
CREATE VIEW as_bypass AS SELECT * FROM good;
CREATE VIEW as_caller WITH (security_invoker) AS SELECT * FROM good;
CREATE VIEW through AS SELECT * FROM as_caller;
CREATE VIEW deep AS SELECT id FROM as_owner;
CREATE VIEW in_sublink AS SELECT id, (SELECT count(*) FROM good) FROM legacy_bare;
CREATE VIEW of_legacy AS SELECT * FROM legacy;
ALTER VIEW as_caller SET (security_invoker = off);
ALTER VIEW as_caller RENAME TO as_caller_2;
SET ROLE regress_changes_owner;
ALTER VIEW as_owner OWNER TO regress_changes_bypass;
CREATE OR REPLACE VIEW as_owner AS SELECT *, 1 AS one FROM good;
-- Materialised views keep rows for whoever may read them.
CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM good WITH NO DATA;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM as_owner WITH NO DATA;
BEGIN; SELECT rls_tenant.set_context(1); CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM good; COMMIT;
CREATE MATERIALIZED VIEW kept_of_legacy AS SELECT count(*) FROM legacy;
RESET ROLE;
SELECT rls_tenant.exempt('gc', 'kept', 'a number for the report', '{matview}');
SET ROLE regress_changes_owner;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM good WITH NO DATA;
-- Rules rewrite with the rights of the table's owner.
CREATE RULE quiet AS ON DELETE TO good DO INSTEAD NOTHING;
CREATE RULE quiet AS ON DELETE TO legacy DO INSTEAD NOTHING;

-- A view that leaked before may stay, but not read more.
RESET ROLE;
SET rls_tenant.guard = off;
CREATE VIEW leaky AS SELECT id FROM good;
RESET rls_tenant.guard;
CREATE OR REPLACE VIEW leaky AS SELECT id FROM good WHERE id > 0;
CREATE OR REPLACE VIEW leaky AS SELECT id FROM good UNION ALL SELECT id FROM other;
SET ROLE regress_changes_owner;
-- Foreign keys between tenant tables hold tenant to tenant.
ALTER TABLE other ADD FOREIGN KEY (good_id) REFERENCES good (id) NOT VALID;
ALTER TABLE other ADD CONSTRAINT whole FOREIGN KEY (tenant_id, good_id) REFERENCES good (tenant_id, id) NOT VALID;
ALTER TABLE other ADD CONSTRAINT twisted FOREIGN KEY (good_id, tenant_id) REFERENCES good (tenant_id, id) NOT VALID;
-- And are not believed to be valid for rows that nobody has looked at.
BEGIN; SELECT rls_tenant.set_context(1); ALTER TABLE other VALIDATE CONSTRAINT whole; ROLLBACK;
BEGIN; SELECT rls_tenant.set_context(1); ALTER TABLE other ADD FOREIGN KEY (tenant_id, good_id) REFERENCES good (tenant_id, id); ROLLBACK;
-- Constraints of another kind, and keys to tables that hide nothing, are no matter.
ALTER TABLE good ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
ALTER TABLE good VALIDATE CONSTRAINT positive;
ALTER TABLE legacy_bare ADD PRIMARY KEY (id);
ALTER TABLE legacy ADD COLUMN bare int REFERENCES legacy_bare (id);
ALTER TABLE legacy ADD FOREIGN KEY (id) REFERENCES legacy_bare (id);
RESET ROLE;
ALTER TABLE other VALIDATE CONSTRAINT whole;
SET ROLE regress_changes_owner;
BEGIN;
CREATE TABLE fresh (id int, tenant_id int, good_id int, FOREIGN KEY (tenant_id, good_id) REFERENCES good (tenant_id, id));
SELECT rls_tenant.protect('fresh');
COMMIT;

-- Mode protect mends what it can; warn says it.
RESET ROLE;
SET rls_tenant.guard = protect;
ALTER TABLE good DISABLE ROW LEVEL SECURITY;
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'good'::regclass;
BEGIN; DROP POLICY tenant_isolation ON good; CREATE POLICY open ON good USING (true); COMMIT;
SELECT polname FROM pg_policy WHERE polrelid = 'good'::regclass ORDER BY 1;
SET rls_tenant.guard = warn;
CREATE VIEW warned AS SELECT * FROM good;
ALTER TABLE good DISABLE ROW LEVEL SECURITY;
-- What the warning let pass is old now; what comes on top is new.
RESET rls_tenant.guard;
ALTER TABLE good ADD COLUMN late int;
ALTER TABLE good NO FORCE ROW LEVEL SECURITY;
ALTER TABLE good ENABLE ROW LEVEL SECURITY;

-- Nor does it help that code which runs while a statement is read makes its names mean something else: a constant of a type
-- with a domain in it asks the domain's CHECK.
CREATE SCHEMA gc_other AUTHORIZATION regress_changes_owner;
SET ROLE regress_changes_owner;
BEGIN; CREATE TABLE diverted (id int, tenant_id int); SELECT rls_tenant.protect('diverted'); COMMIT;
BEGIN; CREATE TABLE gc_other.diverted (id int, tenant_id int); SELECT rls_tenant.protect('gc_other.diverted'); COMMIT;
CREATE FUNCTION divert(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'gc_other', false); RETURN true; END $$;
CREATE DOMAIN diverting AS int CHECK (gc.divert(VALUE));
CREATE TYPE holding AS (x diverting);
ALTER TABLE diverted ALTER COLUMN id SET DEFAULT ('(1)'::holding IS NOT NULL)::int, DISABLE ROW LEVEL SECURITY;
SET search_path = gc;
DROP POLICY tenant_isolation ON diverted;
ALTER POLICY tenant_access ON diverted USING ('(1)'::holding IS NOT NULL);
SET search_path = gc;
CREATE POLICY open ON diverted USING ('(1)'::holding IS NOT NULL);
SET search_path = gc;
ALTER TABLE diverted ALTER COLUMN id SET DEFAULT ('(1)'::holding IS NOT NULL)::int;
SET search_path = gc;
SELECT polname FROM pg_policy WHERE polrelid = 'diverted'::regclass ORDER BY 1;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA gc_other CASCADE;
DROP SCHEMA gc CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'gc';
DROP OWNED BY regress_changes_owner, regress_changes_bypass;
DROP ROLE regress_changes_owner, regress_changes_bypass;
