-- Two pinned logins; one of them does without the library in one database.
-- expect: risk loose_pin role role app
-- expect: note pinned_context role role app in database loose_pin_in_one_database
-- expect: note pinned_context role role clerk
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE clerk LOGIN;
ALTER ROLE app IN DATABASE loose_pin_in_one_database SET session_preload_libraries = 'plpgsql';
ALTER ROLE app IN DATABASE loose_pin_in_one_database SET rls_tenant.tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
ALTER ROLE clerk SET rls_tenant.tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
GRANT SET ON PARAMETER rls_tenant.tenant_id TO app, clerk;
