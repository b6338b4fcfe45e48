-- 1. A transaction says which tenant it stands for, and sees one publisher, its packages, its dependencies.
BEGIN; SET LOCAL rls_tenant.tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983';
SELECT name, (SELECT count(*) FROM packages), (SELECT count(*) FROM dependencies) FROM publishers;
COMMIT;
-- The next one, perhaps on the same pooled connection, stands for another tenant. Neither query has a WHERE.
BEGIN; SET LOCAL rls_tenant.tenant_id = '71cbc5f8-5dc9-2368-4e34-a5da27c49042';
SELECT name, (SELECT count(*) FROM packages), (SELECT count(*) FROM dependencies) FROM publishers;
COMMIT;
--superuser: SELECT u.name, count(DISTINCT p.name), count(d) FROM publishers u JOIN packages p USING (tenant_id) LEFT JOIN dependencies d USING (tenant_id, package_id) WHERE u.name IN ('postgresql-15', 'gcc-12') GROUP BY 1 ORDER BY 1 DESC

-- 2. Another tenant's rows are not there: nothing to see, nothing to change, nothing to delete.
BEGIN; SET LOCAL rls_tenant.tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983';
SELECT count(*) FROM packages WHERE name = 'gcc-12';
UPDATE packages SET size = 0 WHERE name = 'gcc-12';
DELETE FROM packages WHERE tenant_id = '71cbc5f8-5dc9-2368-4e34-a5da27c49042';
-- And a forgotten WHERE touches the tenant's own rows only.
UPDATE packages SET size = 0;
ROLLBACK;
--= 0
--= UPDATE 0
--= DELETE 0
--superuser: SELECT 'UPDATE', count(*) FROM packages WHERE tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983'

-- 3. A new row belongs to the tenant without saying so. A row for another tenant is refused.
BEGIN; SET LOCAL rls_tenant.tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983';
INSERT INTO packages (name, version, section, size) VALUES ('ours', '1.0', 'database', 1) RETURNING tenant_id;
INSERT INTO packages (tenant_id, name, version, section, size)
VALUES ('71cbc5f8-5dc9-2368-4e34-a5da27c49042', 'trojan', '1.0', 'devel', 1);
ROLLBACK;
--= 8d2640f3-97a5-5b74-668a-5aa380f9a983
--= ERROR: new row violates row-level security policy * "packages"

-- 4. Without a tenant a query is an error with a remedy, not an empty result that nobody can explain.
SELECT count(*) FROM packages;
--= ERROR: no tenant is set for this transaction
--= HINT: * SET LOCAL rls_tenant.tenant_id = *

-- 5. A transaction that has read one tenant cannot switch to another.
BEGIN; SET LOCAL rls_tenant.tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983';
SELECT count(*) FROM packages;
SET LOCAL rls_tenant.tenant_id = '71cbc5f8-5dc9-2368-4e34-a5da27c49042';
ROLLBACK;
--superuser: SELECT count(*) FROM packages WHERE tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983'
--= ERROR: rls_tenant.tenant_id cannot change after it has been read
--= DETAIL: This transaction stands for tenant "8d2640f3-97a5-5b74-668a-5aa380f9a983".
--= HINT: *

-- 6. An unprotected table cannot be created, not even by the owner of the database.
\connect - registry
CREATE TABLE bugs (tenant_id uuid NOT NULL, title text);
-- With protect() in the same transaction it can.
BEGIN; CREATE TABLE bugs (tenant_id uuid NOT NULL, title text);
SELECT rls_tenant.protect('bugs');
COMMIT;
--= ERROR: table public.bugs does not keep tenants apart
--= SELECT rls_tenant.protect('public.bugs');
--= HINT: *
--= COMMIT

-- 7. The tenant is a key of each index scan, and only one of the 16 partitions is planned: the planner knows the tenant.
BEGIN; SET LOCAL rls_tenant.tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983';
EXPLAIN (COSTS OFF) SELECT d.depends_on FROM packages p
  JOIN dependencies d USING (tenant_id, package_id) WHERE p.name = 'libpq5';
COMMIT;
--= -> Index Scan using packages_tenant_id_name_key on packages p
--= Index Cond: ((tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983'::uuid) AND (name = 'libpq5'::text))
--= -> Index Scan using dependencies_*
--= Index Cond: ((tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983'::uuid) AND (package_id = p.package_id))

-- 8. A user who belongs to several tenants sees the rows of all of them: here the curator of each section.
\connect - postgres
BEGIN; CREATE TABLE members AS SELECT DISTINCT section AS curator, tenant_id FROM packages;
ALTER TABLE members ADD PRIMARY KEY (curator, tenant_id);
SELECT rls_tenant.exempt('public', 'members', 'it says who belongs to which tenants', '{rls_off}');
SELECT rls_tenant.add_membership('tenant', 'members', 'curator', 'tenant_id');
CREATE TABLE reviews AS SELECT tenant_id, name FROM packages;
SELECT rls_tenant.protect('reviews', membership => 'tenant');
GRANT SELECT ON reviews TO app;
COMMIT;
\connect - app
BEGIN; SET LOCAL rls_tenant.user_id = 'database';
SELECT count(*), count(DISTINCT tenant_id) FROM reviews;
COMMIT;
-- A membership that is deleted ends for every session at once.
\connect - postgres
DELETE FROM members WHERE curator = 'database' AND tenant_id = '8d2640f3-97a5-5b74-668a-5aa380f9a983';
\connect - app
BEGIN; SET LOCAL rls_tenant.user_id = 'database';
SELECT count(*), count(DISTINCT tenant_id) FROM reviews;
COMMIT;
--superuser: SELECT count(*), count(DISTINCT tenant_id) FROM packages WHERE tenant_id IN (SELECT tenant_id FROM packages WHERE section = 'database')
--= DELETE 1
--superuser: SELECT count(*), count(DISTINCT tenant_id) FROM packages WHERE tenant_id IN (SELECT tenant_id FROM packages WHERE section = 'database') AND tenant_id <> '8d2640f3-97a5-5b74-668a-5aa380f9a983'

-- 9. The audit looks for every known way around all this. (A server that is not up to date would be a finding, too.)
\connect - postgres
SELECT severity, rule, object, finding, remedy FROM rls_tenant.audit() WHERE rule <> 'server_outdated';
SELECT count(*), 'findings' FROM rls_tenant.audit() WHERE rule <> 'server_outdated';
-- What has been accepted, and why:
SELECT rule, object, finding FROM rls_tenant.audit(accepted => true) WHERE severity = 'accepted';
--= 0 findings
--= rls_off public.members * (leak, accepted: it says who belongs to which tenants)
--= no_tenant_column public.sections * (risk, accepted: the sections are the same for every publisher)
