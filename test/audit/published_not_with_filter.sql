-- A row filter; and a table without tenants.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE country (code text PRIMARY KEY);
ALTER TABLE orders REPLICA IDENTITY FULL;
RESET ROLE;
SELECT rls_tenant.exempt('public', 'country', 'the same for all');
CREATE PUBLICATION one_tenant FOR TABLE orders WHERE (tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e'), TABLE country;
