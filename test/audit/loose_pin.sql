-- Pinned logins that may set the parameter: by themselves, through a role, as everybody.
-- expect: risk loose_pin role role app
-- expect: risk loose_pin role role app
-- expect: risk loose_pin role role Clerk
-- expect: note pinned_context role role app
-- expect: note pinned_context role role app in database loose_pin
-- expect: note pinned_context role role Clerk
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE "Desk" NOLOGIN;
CREATE ROLE "Clerk" LOGIN IN ROLE "Desk";
ALTER ROLE app SET "RLS_tenant.tenant_id" = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
ALTER ROLE app IN DATABASE loose_pin SET rls_tenant.account_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
ALTER ROLE "Clerk" SET rls_tenant.user_id = '7';
GRANT SET ON PARAMETER rls_tenant.tenant_id TO app WITH GRANT OPTION;
GRANT SET ON PARAMETER rls_tenant.user_id TO "Desk";
GRANT SET ON PARAMETER rls_tenant.account_id TO PUBLIC;
