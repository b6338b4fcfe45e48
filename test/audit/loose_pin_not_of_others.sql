-- Another parameter, or ALTER SYSTEM, is granted; a role that cannot log in, a superuser, and a database's default hold nobody.
-- expect: note pinned_context role role app
-- expect: note pinned_context role role group
-- expect: note pinned_context role role root
-- expect: note pinned_context database database loose_pin_not_of_others
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE "group" NOLOGIN;
CREATE ROLE root LOGIN SUPERUSER;
ALTER ROLE "group" SET rls_tenant.tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
ALTER ROLE root SET rls_tenant.tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
ALTER ROLE app SET rls_tenant.tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
ALTER DATABASE loose_pin_not_of_others SET rls_tenant.tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
GRANT SET ON PARAMETER rls_tenant.tenant_id TO "group", root;
GRANT SET ON PARAMETER rls_tenant.account_id TO app;
GRANT ALTER SYSTEM ON PARAMETER rls_tenant.tenant_id TO app;
