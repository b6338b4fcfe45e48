-- The tenant column allows NULL.
-- expect: risk tenant_nullable table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
ALTER TABLE orders ALTER tenant_id DROP NOT NULL;
