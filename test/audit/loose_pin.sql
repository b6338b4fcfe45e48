-- A pinned login that need not load the library, and may set the parameter.
-- options: -c session_preload_libraries=
-- expect: risk loose_pin role role app
-- expect: note pinned_context role role app
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
ALTER DATABASE loose_pin SET session_preload_libraries = 'rls_tenant';
ALTER ROLE app SET session_preload_libraries = 'auto_explain', 'plpgsql';
ALTER ROLE app SET rls_tenant.tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
GRANT SET ON PARAMETER rls_tenant.tenant_id TO app;
