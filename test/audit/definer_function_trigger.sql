-- A superuser's trigger function, and one INSTEAD OF: who writes runs them, without a right to execute them.
-- expect: leak definer_function function public.latest()
-- expect: leak definer_function function public.instead()
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, text text);
SELECT rls_tenant.protect('notes');
GRANT INSERT (tenant_id, text) ON notes TO app;
CREATE VIEW entry WITH (security_invoker = on) AS SELECT 1 AS n;
GRANT INSERT ON entry TO app;
RESET ROLE;
CREATE FUNCTION latest() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  NEW.text := (SELECT max(id) FROM orders);
  RETURN NEW;
END $$;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  NEW.n := (SELECT max(id) FROM orders);
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION latest(), instead() FROM PUBLIC;
CREATE TRIGGER latest BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION latest();
CREATE TRIGGER instead INSTEAD OF INSERT ON entry FOR EACH ROW EXECUTE FUNCTION instead();
