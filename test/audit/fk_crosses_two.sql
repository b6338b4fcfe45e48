-- Two keys to one table, which get one unique constraint; one to itself.
-- expect: leak fk_crosses table public.lines
-- expect: leak fk_crosses table public.lines
-- expect: leak fk_crosses table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, parent bigint REFERENCES orders ON DELETE CASCADE);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, order_id bigint REFERENCES orders, other_id bigint REFERENCES orders);
SELECT rls_tenant.protect('lines');
GRANT SELECT, INSERT, UPDATE, DELETE ON lines TO app;
