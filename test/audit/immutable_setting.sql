-- A function that says it is immutable, and is not.
-- expect: leak immutable_setting function public.me()
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY floor ON orders AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE FUNCTION me() RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$SELECT current_setting('app.me')$$;
CREATE POLICY mine ON orders USING (me() = 'x');
