-- ADMIN of a role that has no more rights; a login with CREATEROLE that reaches no tenant table.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE creator LOGIN CREATEROLE;
CREATE ROLE readers NOLOGIN;
GRANT readers TO app WITH ADMIN OPTION;
