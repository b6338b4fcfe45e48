-- The libraries that a role's sessions load stay in the list, in its order, whatever their names; what holds for all roles is its beginning.
-- options: -c session_preload_libraries=rls_tenant
-- audit: SELECT severity, rule, '=', remedy, finding, remedy FROM rls_tenant.audit() WHERE rule = 'loose_pin'
-- expect: risk loose_pin = ALTER ROLE app SET session_preload_libraries = 'b', 'my, "lib" ', '/A.so', 'rls_tenant';
-- expect: risk loose_pin = ALTER ROLE clerk SET session_preload_libraries = 'auto_explain', 'plpgsql', 'rls_tenant';
RESET ROLE;
CREATE ROLE clerk LOGIN;
ALTER ROLE app SET session_preload_libraries = 'b', 'my, "lib" ', '/A.so';
ALTER ROLE app SET rls_tenant.tenant_id = '1';
ALTER ROLE ALL SET session_preload_libraries = 'auto_explain', 'plpgsql';
ALTER ROLE clerk SET rls_tenant.tenant_id = '1';
GRANT SET ON PARAMETER rls_tenant.tenant_id TO app, clerk;
