-- No index can hold a virtual generated column.
-- from: 18
-- expect: speed no_tenant_index table public.orders
-- remedy: by hand
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, of text, tenant_id text GENERATED ALWAYS AS (of) VIRTUAL NOT NULL);
CREATE POLICY tenant_isolation ON orders AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_text());
CREATE POLICY tenant_access ON orders USING (tenant_id = rls_tenant.current_tenant_text());
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
