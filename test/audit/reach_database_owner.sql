-- The same for the owner of the database, where pg_database_owner owns the table.
-- expect: leak definer_function function public.number_of_orders()
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
RESET ROLE;
ALTER TABLE orders OWNER TO pg_database_owner;
DO $do$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO app', current_database()); END $do$;
CREATE FUNCTION number_of_orders() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  RETURN (SELECT count(*) FROM orders);
END $$;
