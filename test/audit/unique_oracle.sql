-- Constraints and indexes that tell of other tenants' keys.
-- expect: risk unique_oracle table public.orders
-- expect: risk unique_oracle table public.orders
-- expect: risk unique_oracle table public.items
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, email text UNIQUE, name text);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE UNIQUE INDEX by_name ON orders USING btree (name DESC) INCLUDE (email) WHERE name <> '';
CREATE TABLE items (id bigint PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('items');
