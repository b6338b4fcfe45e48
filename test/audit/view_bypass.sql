-- A view of a superuser's reads with a superuser's rights.
-- expect: leak view_bypass view public.all_orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE VIEW all_orders AS SELECT * FROM orders;
GRANT SELECT ON all_orders TO app;
