-- A policy that reads its own table.
-- expect: risk recursive_policy table public.orders
-- remedy: by hand
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY again ON orders AS RESTRICTIVE USING ((SELECT count(*) FROM orders) >= 0);
