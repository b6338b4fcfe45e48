-- The view's owner owns the table, whose row-level security is not forced.
-- expect: risk rls_not_forced table public.orders
-- expect: leak view_bypass view public.all_orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
ALTER TABLE orders NO FORCE ROW LEVEL SECURITY;
CREATE VIEW all_orders AS SELECT * FROM orders;
GRANT SELECT ON all_orders TO app;
