-- A foreign key that gives rows to the tenant that is the column's default.
-- expect: leak fk_crosses table public.lines
CREATE TABLE orders (id bigint, tenant_id uuid, PRIMARY KEY (tenant_id, id));
SELECT rls_tenant.protect('orders');
CREATE TABLE lines (tenant_id uuid, order_id bigint, line int, PRIMARY KEY (tenant_id, order_id, line),
  FOREIGN KEY (tenant_id, order_id) REFERENCES orders ON DELETE SET DEFAULT);
SELECT rls_tenant.protect('lines');
