-- Policies that stand each by itself, as Citus needs them, with a floor where RESTRICTIVE ones are kept.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY floor ON orders AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE POLICY everybody ON orders USING (tenant_id = rls_tenant.current_tenant_uuid() AND rls_tenant.with_tenant_isolation());
