-- Who may pin a context to a role or database, and take it away.
\set SHOW_CONTEXT never
LOAD 'rls_tenant';
CREATE ROLE regress_pins;
CREATE ROLE regress_pins_admin CREATEROLE;
GRANT regress_pins TO regress_pins_admin WITH ADMIN OPTION;
CREATE ROLE regress_pins_owner;
CREATE DATABASE regress_pins OWNER regress_pins_owner;
SET ROLE regress_pins;
ALTER ROLE regress_pins SET rls_tenant.tenant_id = '1';
ALTER ROLE CURRENT_USER IN DATABASE regress_pins SET "RLS_Tenant.User_Id" = '1';
ALTER USER regress_pins SET rls_tenant.account_id TO '1';
SET LOCAL rls_tenant.tenant_id = '1';
ALTER ROLE regress_pins SET rls_tenant.tenant_id FROM CURRENT;
DO $$ BEGIN EXECUTE 'ALTER ROLE regress_pins SET rls_tenant.tenant_id = 1'; END $$;
-- Other settings are not ours to refuse.
ALTER ROLE regress_pins SET work_mem = '8MB';
ALTER ROLE regress_pins RESET ALL;
RESET ROLE;
-- DBAs: a superuser, and who may alter other roles.
ALTER ROLE regress_pins SET rls_tenant.tenant_id = '1';
SET ROLE regress_pins_admin;
ALTER ROLE regress_pins SET rls_tenant.user_id = '2';
ALTER ROLE regress_pins_admin SET rls_tenant.tenant_id = '1';
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_pins'::regrole;
-- What is pinned stays so.
SET ROLE regress_pins;
ALTER ROLE regress_pins RESET rls_tenant.tenant_id;
ALTER ROLE regress_pins SET rls_tenant.tenant_id TO DEFAULT;
ALTER ROLE regress_pins RESET ALL;
SET ROLE regress_pins_owner;
ALTER DATABASE regress_pins SET rls_tenant.tenant_id = '1';
ALTER DATABASE regress_pins SET work_mem = '8MB';
RESET ROLE;
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_pins'::regrole;
DROP DATABASE regress_pins;
DROP ROLE regress_pins, regress_pins_admin, regress_pins_owner;
