-- demo/speed.sql: two copies of the packages, to measure against: one without row-level security, one with the policy
-- that is usually written by hand. Their rows lie in the same order as those of the packages, since that decides what
-- the processor's caches hold.

CREATE SCHEMA speed;
SET client_min_messages = warning;
SELECT rls_tenant.exempt('speed', unnest('{without\_rls,with\_setting,tenants}'::text[]), 'copies to measure against');

CREATE TABLE speed.without_rls (LIKE packages INCLUDING ALL);
INSERT INTO speed.without_rls OVERRIDING SYSTEM VALUE SELECT * FROM packages;

CREATE TABLE speed.with_setting (LIKE packages INCLUDING ALL);
INSERT INTO speed.with_setting OVERRIDING SYSTEM VALUE SELECT * FROM packages;
ALTER TABLE speed.with_setting ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON speed.with_setting USING (tenant_id = current_setting('rls_tenant.tenant_id')::uuid);

-- So that a random number names a tenant.
CREATE TABLE speed.tenants (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
INSERT INTO speed.tenants (tenant_id) SELECT tenant_id FROM publishers;

GRANT USAGE ON SCHEMA speed TO app;
GRANT SELECT ON ALL TABLES IN SCHEMA speed TO app;
VACUUM (ANALYZE) speed.without_rls, speed.with_setting, speed.tenants;
