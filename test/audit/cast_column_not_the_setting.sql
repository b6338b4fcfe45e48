-- The context is cast, not the column; a varchar column needs no cast that an index would mind.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id varchar(20) NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY floor ON orders AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_text());
CREATE POLICY mine ON orders USING (tenant_id = rls_tenant.current_tenant_uuid()::text);
