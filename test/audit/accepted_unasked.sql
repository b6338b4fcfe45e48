-- Otherwise it is not listed.
-- expect: leak truncate_grant table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
GRANT TRUNCATE, TRIGGER ON orders TO app;
RESET ROLE;
SELECT rls_tenant.exempt('public', 'orders', 'it makes triggers', '{trigger_grant}');
