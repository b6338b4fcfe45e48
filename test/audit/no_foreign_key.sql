-- A line outlives its order, and is the next one's.
-- expect: leak no_foreign_key table public.lines
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE lines (order_id bigint, line int GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (order_id, line));
ALTER TABLE lines ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody ON lines
  USING (EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_uuid()));
CREATE POLICY floor ON lines AS RESTRICTIVE
  USING (order_id IN (SELECT id FROM orders WHERE tenant_id = rls_tenant.current_tenant_uuid()));
