-- A procedure, by dynamic SQL; a parsed body, too; and a table whose name must be quoted.
-- expect: leak definer_function procedure public.purge()
-- expect: leak definer_function function public.latest()
CREATE TABLE "Orders 2" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('"Orders 2"');
GRANT SELECT ON "Orders 2" TO app;
RESET ROLE;
CREATE PROCEDURE purge() LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$BEGIN EXECUTE format('DELETE FROM %I', 'Orders 2'); END $$;
CREATE FUNCTION latest() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp BEGIN ATOMIC SELECT max(id) FROM "Orders 2"; END;
