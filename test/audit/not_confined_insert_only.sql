-- Nothing confines what is inserted.
-- expect: leak not_confined table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY reading ON orders FOR SELECT USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE POLICY writing ON orders FOR INSERT WITH CHECK (id > 0);
