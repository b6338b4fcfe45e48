-- A materialised view keeps rows of all tenants, and may be read.
-- expect: leak matview materialized view public.totals
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE MATERIALIZED VIEW totals AS SELECT tenant_id, count(*) FROM orders GROUP BY 1 WITH NO DATA;
GRANT SELECT ON totals TO app, PUBLIC;
