-- Without a context everything shows.
-- expect: leak null_matches table public.orders
-- expect: speed per_row_setting table public.orders
-- remedy: by hand
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY mine ON orders USING (tenant_id = rls_tenant.current_tenant_uuid() OR current_setting('rls_tenant.tenant_id', true) IS NULL);
