-- The function's owner owns the table, whose row-level security is not forced.
-- expect: leak definer_function function public.number_of_orders()
-- expect: risk rls_not_forced table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
ALTER TABLE orders NO FORCE ROW LEVEL SECURITY;
CREATE FUNCTION number_of_orders() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT count(*) FROM orders';
