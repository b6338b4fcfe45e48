-- The tenant leads the primary key, or a unique one; on parts nobody asks.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, tenant_id uuid, PRIMARY KEY (tenant_id, id)) PARTITION BY LIST (tenant_id);
CREATE TABLE orders_0 PARTITION OF orders DEFAULT;
SELECT rls_tenant.protect('orders');
