-- An index that is not valid serves nobody.
-- expect: speed no_tenant_index table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_tenant_id_idx'::regclass;
