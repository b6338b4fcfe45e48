-- Two tables whose policies read each other.
-- expect: risk recursive_policy table public.orders
-- remedy: by hand
-- expect: risk recursive_policy table public.items
-- remedy: by hand
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('items');
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY "both" ON orders AS RESTRICTIVE USING ((SELECT count(*) FROM items) >= 0);
CREATE POLICY "both" ON items AS RESTRICTIVE USING ((SELECT count(*) FROM orders) >= 0);
