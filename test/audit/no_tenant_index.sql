-- No index leads with the tenant column: another column does, it is partial, it is no btree, or it is not there.
-- expect: speed no_tenant_index table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
DROP INDEX orders_tenant_id_idx;
CREATE INDEX ON orders (id, tenant_id);
CREATE INDEX ON orders (tenant_id) WHERE id > 10;
CREATE INDEX ON orders USING hash (tenant_id);
CREATE INDEX ON orders USING brin (tenant_id);
