-- A table without tenants for everybody, and default privileges for one role, or for functions.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE country (code text PRIMARY KEY);
GRANT SELECT ON country TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
RESET ROLE;
SELECT rls_tenant.exempt('public', 'country', 'the same for all');
