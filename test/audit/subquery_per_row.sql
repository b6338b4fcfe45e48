-- A look into a membership table for each row, without a floor: one statement mends both.
-- expect: leak not_confined table public.orders
-- expect: speed subquery_per_row table public.orders
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (user_id, tenant_id));
RESET ROLE;
SELECT rls_tenant.exempt('public', 'members', 'who belongs to whom', '{no_tenant_column,rls_off,tenant_nullable,exempt_but_tenant}');
SET ROLE owner;
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY mine ON orders USING (EXISTS (SELECT FROM members m WHERE m.tenant_id = orders.tenant_id AND m.user_id = rls_tenant.current_user_uuid()));
