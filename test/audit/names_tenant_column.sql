-- A tenant column whose name must be quoted, in every remedy that names it.
-- expect: risk unique_oracle table public.orders
-- expect: risk unique_oracle table public.orders
-- expect: speed no_tenant_index table public.orders
-- expect: leak fk_crosses table public.lines
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Tenant""); DROP TABLE lines; --" uuid, email text UNIQUE);
CREATE UNIQUE INDEX "x USING btree (; --" ON orders (email DESC);
SELECT rls_tenant.protect('orders', 'Tenant"); DROP TABLE lines; --', access => $$"Tenant""); DROP TABLE lines; --"::text = rls_tenant.current_tenant_text()$$);
DROP INDEX "orders_Tenant""); DROP TABLE lines; --_idx";
CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Tenant""); DROP TABLE lines; --" uuid, order_id bigint REFERENCES orders ON DELETE SET NULL);
SELECT rls_tenant.protect('lines', 'Tenant"); DROP TABLE lines; --');
GRANT SELECT ON orders, lines TO app;
