-- A login for replication that reaches no tenant table.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE replica LOGIN REPLICATION;
