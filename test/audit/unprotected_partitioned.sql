-- A partitioned table without protection is one fault, its parts are none.
-- expect: leak rls_off table public.orders
CREATE TABLE orders (id bigint, tenant_id uuid NOT NULL) PARTITION BY LIST (tenant_id);
CREATE TABLE orders_0 PARTITION OF orders DEFAULT;
GRANT SELECT ON orders TO app;
