-- What status(), guard_refusals() and tenant_tables() tell.
\set SHOW_CONTEXT never
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA gs;
SET search_path = gs;
CREATE VIEW status AS SELECT item, detail FROM rls_tenant.status() WHERE item !~ '^refused';
SELECT * FROM status WHERE item <> 'library';
BEGIN;
CREATE TABLE orders (id int PRIMARY KEY, tenant_id int);
CREATE TABLE parted (tenant_id int) PARTITION BY LIST (tenant_id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
SELECT rls_tenant.protect(t) FROM unnest('{orders,parted}'::regclass[]) t;
CREATE TABLE items (order_id int REFERENCES orders);
ALTER TABLE items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY items ON items USING (order_id IN (SELECT id FROM orders WHERE tenant_id = rls_tenant.current_tenant_bigint()));
SELECT rls_tenant.exempt('gs', 'old', 'no tenant', '{no_tenant_column}'), rls_tenant.exempt('gs', 'older\_%', 'legacy');
COMMIT;
SELECT relation, tenant_column, ancestor FROM rls_tenant.tenant_tables() ORDER BY relation::text;
SET rls_tenant.guard = off;
CREATE TABLE old (id int);
CREATE TABLE older_1 (tenant_id int);
CREATE TABLE faulty (id int);
CREATE VIEW leaking AS SELECT * FROM orders;
CREATE TEMP TABLE passing (tenant_id int);
SELECT * FROM status WHERE item <> 'library';
RESET rls_tenant.guard;
-- Refusals, and warnings.
CREATE TABLE refused (id int);
BEGIN; CREATE TABLE refused (tenant_id int); PREPARE TRANSACTION 'gs';
SET rls_tenant.guard = warn;
CREATE TABLE warned (tenant_id int);
RESET rls_tenant.guard;
SELECT refused_at BETWEEN now() - interval '5 minutes' AND now(), message, detail FROM rls_tenant.guard_refusals() LIMIT 2;
-- Ten are kept, of each 4,000 bytes.
SELECT format('CREATE TABLE again_%s (id int)', n) FROM generate_series(1, 11) n \gexec
BEGIN; SELECT format('CREATE TABLE many_%s (id int)', n) FROM generate_series(1, 50) n \gexec
COMMIT;
SELECT count(*), max(octet_length(detail)) <= 4000 AND max(octet_length(detail)) > 3990 FROM rls_tenant.guard_refusals();
-- What is switched off is said.
BEGIN;
ALTER EVENT TRIGGER rls_tenant_guard DISABLE;
ALTER EVENT TRIGGER rls_tenant_guard_drop ENABLE;
SELECT * FROM rls_tenant.status() WHERE item ~ '^event trigger ';
ROLLBACK;
-- For those to whom it is granted.
CREATE ROLE regress_status;
SET ROLE regress_status;
SELECT * FROM rls_tenant.status();
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA gs CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'gs';
DROP ROLE regress_status;
