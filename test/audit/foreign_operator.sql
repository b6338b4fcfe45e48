-- A function of somebody else's decides about our rows.
-- expect: leak foreign_operator policy everything on public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY floor ON orders AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_uuid());
RESET ROLE;
CREATE ROLE stranger NOLOGIN;
CREATE SCHEMA theirs AUTHORIZATION stranger;
GRANT USAGE ON SCHEMA theirs TO owner, app;
SET ROLE stranger;
CREATE FUNCTION theirs.allowed(bigint) RETURNS boolean LANGUAGE sql STABLE RETURN $1 > 0;
SET ROLE owner;
CREATE POLICY everything ON orders USING (theirs.allowed(id));
