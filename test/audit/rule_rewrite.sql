-- A rule on a tenant table.
-- expect: risk rule_rewrite table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE RULE quiet AS ON DELETE TO orders DO INSTEAD NOTHING;
