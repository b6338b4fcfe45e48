-- The same above a floor, in AND with something else.
-- expect: speed subquery_per_row table public.orders
-- remedy: by hand
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (user_id, tenant_id));
RESET ROLE;
SELECT rls_tenant.exempt('public', 'members', 'who belongs to whom', '{no_tenant_column,rls_off,tenant_nullable,exempt_but_tenant}');
SET ROLE owner;
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY floor ON orders AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE POLICY mine ON orders USING (id > 0 AND EXISTS (SELECT FROM members m WHERE m.tenant_id = orders.tenant_id AND m.user_id = rls_tenant.current_user_uuid()));
