-- The tenant of the context is compared with another column.
-- expect: leak not_confined table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL, shared_with uuid);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY shared ON orders USING (shared_with = rls_tenant.current_tenant_uuid());
