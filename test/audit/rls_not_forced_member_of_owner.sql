-- The owner cannot log in, but who is a member of it counts as the owner.
-- expect: leak rls_not_forced table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
ALTER TABLE orders NO FORCE ROW LEVEL SECURITY;
RESET ROLE;
CREATE ROLE migrator LOGIN;
GRANT owner TO migrator;
