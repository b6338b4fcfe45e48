-- Policies that nobody enforces; one fault, not two.
-- expect: leak rls_off_with_policies table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
ALTER TABLE orders DISABLE ROW LEVEL SECURITY;
GRANT SELECT ON orders TO app;
