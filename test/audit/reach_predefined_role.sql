-- Rights from a predefined role count as grants do.
-- expect: leak definer_function function public.number_of_orders()
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
RESET ROLE;
GRANT pg_write_all_data TO app;
CREATE FUNCTION number_of_orders() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  RETURN (SELECT count(*) FROM orders);
END $$;
