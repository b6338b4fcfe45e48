-- A policy whose function has gone from the catalogs.
-- expect: risk not_judged table public.orders
-- remedy: by hand
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE FUNCTION allowed(bigint) RETURNS boolean LANGUAGE sql STABLE RETURN $1 > 0;
CREATE POLICY everything ON orders USING (allowed(id));
RESET ROLE;
SET allow_system_table_mods = on;
DELETE FROM pg_proc WHERE oid = 'allowed'::regproc;
