-- On a table without tenants, and to the owner itself.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
GRANT ALL ON orders TO owner;
CREATE TABLE country (code text PRIMARY KEY);
RESET ROLE;
SELECT rls_tenant.exempt('public', 'country', 'the same for all');
GRANT ALL ON country TO app;
