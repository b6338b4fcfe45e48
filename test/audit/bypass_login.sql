-- A login with grants that is a superuser, one that has BYPASSRLS, and one that can become such a role.
-- expect: leak bypass_login role root
-- expect: leak bypass_login role reporter
-- expect: leak bypass_login role app
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE root LOGIN SUPERUSER;
CREATE ROLE reporter LOGIN BYPASSRLS;
CREATE ROLE backup NOLOGIN BYPASSRLS;
CREATE ROLE middle NOLOGIN;
GRANT backup TO middle;
GRANT middle TO app;
GRANT SELECT ON orders TO root, reporter;
