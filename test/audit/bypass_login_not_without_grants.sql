-- A backup's login that has no grants, and a superuser that has none; a role that cannot log in.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE backup LOGIN BYPASSRLS;
CREATE ROLE root LOGIN SUPERUSER;
CREATE ROLE batch NOLOGIN BYPASSRLS;
GRANT SELECT ON orders TO batch;
