-- A foreign key by the number alone; what it does on deletion is kept.
-- expect: leak fk_crosses table public.lines
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, order_id bigint REFERENCES orders ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
SELECT rls_tenant.protect('lines');
GRANT SELECT, INSERT, UPDATE, DELETE ON lines TO app;
