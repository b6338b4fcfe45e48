-- One that nobody but its owner may read; and one of other tables.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE MATERIALIZED VIEW totals AS SELECT tenant_id, count(*) FROM orders GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW numbers AS SELECT * FROM generate_series(1, 3) n;
GRANT SELECT ON numbers TO app;
