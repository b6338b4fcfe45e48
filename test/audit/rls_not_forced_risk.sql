-- The owner cannot log in, and nobody can become the owner.
-- expect: risk rls_not_forced table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
ALTER TABLE orders NO FORCE ROW LEVEL SECURITY;
