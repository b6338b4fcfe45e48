-- Also where it is for one role only: it reads all tenants.
-- expect: leak always_true table public.orders
-- expect: speed many_permissive table public.orders
-- remedy: by hand
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE support NOLOGIN;
SET ROLE owner;
CREATE POLICY mine ON orders USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE POLICY everything ON orders FOR SELECT TO support USING (true);
