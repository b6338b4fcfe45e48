-- The application's login, and a role that it can become, have REPLICATION.
-- expect: leak replication_login role app
-- expect: leak replication_login role streams
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
ALTER ROLE app REPLICATION;
CREATE ROLE streams NOLOGIN REPLICATION;
GRANT streams TO app;
