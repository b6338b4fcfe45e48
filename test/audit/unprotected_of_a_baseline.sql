-- A baseline accepts what it names; what is wrong around its tables is still found, and a partition is what its table is.
-- expect: note exempt_but_tenant table public.orders
-- expect: note exempt_but_tenant table public.parts
-- expect: leak view_bypass view public.all_orders
-- expect: leak truncate_grant table public.orders
-- expect: risk unique_oracle table public.orders
CREATE TABLE orders (id bigint PRIMARY KEY, tenant_id uuid);
GRANT SELECT, TRUNCATE ON orders TO app;
CREATE TABLE parts (id bigint, tenant_id uuid) PARTITION BY LIST (tenant_id);
CREATE TABLE parts_0 PARTITION OF parts DEFAULT;
GRANT SELECT ON parts, parts_0 TO app;
RESET ROLE;
SELECT rls_tenant.baseline();
CREATE VIEW all_orders AS SELECT * FROM orders;
