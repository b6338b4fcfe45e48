-- What is wrong around a table shows before it is protected.
-- expect: leak rls_off table public.orders
-- expect: leak rls_off table public.lines
-- expect: leak fk_crosses table public.lines
-- expect: leak view_bypass view public.all_orders
-- expect: leak truncate_grant table public.orders
-- expect: risk references_grant table public.orders
-- expect: risk trigger_grant table public.orders
-- expect: risk unique_oracle table public.orders
-- expect: risk unique_oracle table public.lines
CREATE TABLE orders (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, UNIQUE (id, tenant_id));
CREATE TABLE lines (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, order_id bigint REFERENCES orders (id));
GRANT ALL ON orders TO app;
RESET ROLE;
CREATE VIEW all_orders AS SELECT * FROM orders;
