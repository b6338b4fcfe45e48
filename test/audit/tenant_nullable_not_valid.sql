-- The tenant column is NOT NULL for new rows only.
-- from: 18
-- expect: risk tenant_nullable table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
ALTER TABLE orders ALTER tenant_id DROP NOT NULL;
ALTER TABLE orders ADD NOT NULL tenant_id NOT VALID;
