-- A materialised view of what a function reads.
-- expect: leak matview materialized view public.totals
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE FUNCTION total() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.orders';
CREATE MATERIALIZED VIEW totals AS SELECT total() WITH NO DATA;
GRANT SELECT ON totals TO app;
