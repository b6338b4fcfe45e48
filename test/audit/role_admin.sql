-- ADMIN of an owner, of which the membership gives the rights, too.
-- expect: leak role_admin role deployer
-- expect: leak owner_login role app
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE deployer NOLOGIN;
GRANT owner TO deployer WITH ADMIN OPTION;
GRANT deployer TO app;
