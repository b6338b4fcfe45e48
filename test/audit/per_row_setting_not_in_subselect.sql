-- A sub-select is asked once; a stable function is none of this rule's.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY floor ON orders AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE POLICY mine ON orders USING (id > (SELECT current_setting('app.least')::bigint) AND now() > '2020-01-01');
