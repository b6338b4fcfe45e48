-- The same rows four times: one schema of the size :rows, in it one table for each way to confine a query to a tenant.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET rls_tenant.guard = off;
CREATE SCHEMA :schema;
GRANT USAGE ON SCHEMA :schema TO app;
SET search_path = :schema;

CREATE TABLE handwritten (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, amount integer NOT NULL, body text NOT NULL);
CREATE INDEX ON handwritten (tenant_id);
CREATE TABLE protected (LIKE handwritten INCLUDING INDEXES);
CREATE TABLE setting (LIKE handwritten INCLUDING INDEXES);
CREATE TABLE getter (LIKE handwritten INCLUDING INDEXES);

INSERT INTO handwritten
SELECT r, t.id, r % 97, 'row ' || r
FROM generate_series(1, :rows) r JOIN public.tenant t ON t.number = 1 + r % 1000
ORDER BY r;
INSERT INTO protected SELECT * FROM handwritten ORDER BY id;
INSERT INTO setting SELECT * FROM handwritten ORDER BY id;
INSERT INTO getter SELECT * FROM handwritten ORDER BY id;

-- What the extension makes of a table.
SELECT rls_tenant.protect('protected') \g /dev/null

-- What people write without it: the setting in the policy, or behind a function.
ALTER TABLE setting ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON setting USING (tenant_id = current_setting('rls_tenant.tenant_id')::uuid);
ALTER TABLE getter ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON getter USING (tenant_id = public.tenant());

GRANT SELECT ON ALL TABLES IN SCHEMA :schema TO app;
VACUUM (FREEZE, ANALYZE);
