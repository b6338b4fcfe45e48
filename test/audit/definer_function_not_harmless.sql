-- Of an owner whom policies hold; not to be executed; naming it in a comment; of another table; as the invoker.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE FUNCTION held() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT count(*) FROM orders';
RESET ROLE;
CREATE FUNCTION hidden() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT count(*) FROM orders';
REVOKE ALL ON FUNCTION hidden() FROM PUBLIC;
CREATE FUNCTION remark() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  -- has nothing to do with orders
  SELECT 1::bigint$$;
CREATE FUNCTION reordered() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) AS orders_total FROM pg_class';
CREATE FUNCTION invoked() RETURNS bigint LANGUAGE sql SET search_path = public, pg_temp AS 'SELECT count(*) FROM orders';
