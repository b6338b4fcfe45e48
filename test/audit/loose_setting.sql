-- Settings on which the boundary depends: granted, to everybody, too; loosened for a role, and for the database.
-- expect: risk loose_setting role app
-- expect: risk loose_setting role app
-- expect: risk loose_setting role PUBLIC
-- expect: risk loose_setting role role app
-- expect: risk loose_setting database database loose_setting
RESET ROLE;
GRANT SET ON PARAMETER rls_tenant.guard TO app WITH GRANT OPTION;
GRANT SET, ALTER SYSTEM ON PARAMETER rls_tenant.missing_context TO app;
GRANT ALTER SYSTEM ON PARAMETER session_preload_libraries TO PUBLIC;
ALTER ROLE app SET session_replication_role = 'replica';
ALTER DATABASE loose_setting SET rls_tenant.one_tenant_per_transaction = off;
