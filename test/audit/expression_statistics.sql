-- Statistics of expressions show values of all tenants.
-- expect: risk expression_statistics index public.orders_tenant_id_lower_length_idx
-- expect: risk expression_statistics statistics public.lengths
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, name text);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE INDEX ON orders (tenant_id, lower(name), length(name));
CREATE STATISTICS lengths ON (length(name)), id FROM orders;
ANALYZE orders;
