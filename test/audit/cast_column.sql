-- The column is cast, so that no index serves.
-- expect: risk no_floor table public.orders
-- expect: speed cast_column table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY mine ON orders USING (tenant_id::text = rls_tenant.current_tenant_text());
