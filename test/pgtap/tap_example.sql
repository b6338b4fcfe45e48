-- Tenant isolation of the application's database: pg_prove -d app_test tests/tenants.sql
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS rls_tenant;
CREATE EXTENSION IF NOT EXISTS rls_tenant_tap;
SELECT no_plan();

-- 1. The schema. In a project of your own the migrations have made it, and these lines are left out.

CREATE ROLE app_web;
CREATE ROLE app_report;
CREATE TABLE invoice (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, tenant_id uuid, number text, UNIQUE (tenant_id, number));
CREATE TABLE country (code text PRIMARY KEY);
SELECT '# ' || count(*) FROM rls_tenant.protect('invoice');
GRANT SELECT, INSERT, UPDATE, DELETE ON invoice TO app_web;
GRANT SELECT ON invoice TO app_report;
GRANT SELECT ON country TO app_web, app_report;
SELECT '# ' || count(*) FROM rls_tenant.exempt('public', 'country', 'the same for all tenants', '{no_tenant_column}');
SELECT '# ' || count(*) FROM rls_tenant.exempt('*', '%', 'the machine of a test may be behind', '{server_outdated}');

-- 2. Rows of two tenants. A test without another tenant's rows cannot fail.

\set one '''00000000-0000-0000-0000-000000000001'''
\set two '''00000000-0000-0000-0000-000000000002'''
SELECT as_tenant(:one);
INSERT INTO invoice (number) VALUES ('A-1'), ('A-2');
SELECT as_tenant(:two);
INSERT INTO invoice (number) VALUES ('B-1');
SELECT as_nobody();

-- 3. Every relation that has a tenant, each command, by each role of the application.

SELECT * FROM tenant_isolated_schema('public', as_role => 'app_web');
SELECT tenant_isolated('invoice', as_role => 'app_report', description => 'reports are of one tenant');
SELECT context_missing_raises('invoice', as_role => 'app_web');

-- 4. What the catalogs say.

SELECT is_protected('invoice');
SELECT policies_confine('invoice');
SELECT audit_clean('leak', 'public');

-- 5. What the application does, as its role. That it may do its work belongs here as much as that it may do no more.

SET LOCAL ROLE app_web;
SELECT as_tenant(:one);
SELECT results_eq('SELECT number FROM invoice ORDER BY number', ARRAY['A-1', 'A-2'], 'a tenant sees its invoices, and no other');
SELECT lives_ok($$INSERT INTO invoice (number) VALUES ('B-1')$$, 'a number that another tenant has is free');
SELECT is_empty($$UPDATE invoice SET number = 'X' WHERE number = 'B-1' AND tenant_id = '00000000-0000-0000-0000-000000000002' RETURNING id$$, 'another''s invoice is not found');
SELECT throws_ok($$UPDATE invoice SET tenant_id = '00000000-0000-0000-0000-000000000002' WHERE number = 'A-1'$$, '42501', NULL, 'no invoice is given away');
SELECT as_tenant(:two);
SELECT results_eq('SELECT number FROM invoice', ARRAY['B-1'], 'the other tenant sees its own');
SELECT as_nobody();
SELECT throws_ok('SELECT number FROM invoice', '55000', NULL, 'without a tenant there is an error');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
