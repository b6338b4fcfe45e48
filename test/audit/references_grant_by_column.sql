-- REFERENCES of a column.
-- expect: risk references_grant table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
GRANT REFERENCES (id) ON orders TO app;
