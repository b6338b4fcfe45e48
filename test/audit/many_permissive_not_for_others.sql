-- For other commands, and for other roles.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY floor ON orders AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_uuid());
RESET ROLE;
CREATE ROLE other NOLOGIN;
SET ROLE owner;
CREATE POLICY reading ON orders FOR SELECT TO app USING (true);
CREATE POLICY reading_too ON orders FOR SELECT TO other USING (true);
CREATE POLICY writing ON orders FOR INSERT WITH CHECK (true);
