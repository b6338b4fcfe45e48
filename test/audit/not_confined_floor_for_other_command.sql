-- The RESTRICTIVE policy is for another command.
-- expect: leak not_confined table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY floor ON orders AS RESTRICTIVE FOR SELECT USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE POLICY recent ON orders USING (id > 1000);
