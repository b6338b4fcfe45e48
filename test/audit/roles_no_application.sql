-- Where nobody logs in with privileges there is no application: its rules are silent.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
RESET ROLE;
CREATE ROLE b NOLOGIN;
GRANT ALL ON orders TO b;
CREATE FUNCTION number_of_orders() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT count(*) FROM orders';
