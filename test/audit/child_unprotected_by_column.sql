-- An inheritance child of which one column may be read.
-- expect: leak child_unprotected table public.old_orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE old_orders () INHERITS (orders);
GRANT SELECT (id) ON old_orders TO app;
