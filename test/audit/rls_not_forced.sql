-- The owner, who may log in, passes row-level security by.
-- expect: leak rls_not_forced table public.orders
RESET ROLE;
ALTER ROLE owner LOGIN;
SET ROLE owner;
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
ALTER TABLE orders NO FORCE ROW LEVEL SECURITY;
