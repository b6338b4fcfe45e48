-- A table that belongs to tenants through another, without a floor.
-- expect: risk no_floor table public.lines
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE lines (order_id bigint REFERENCES orders, line int GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (order_id, line));
ALTER TABLE lines ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY "the tenant's" ON lines USING (EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_uuid()));
