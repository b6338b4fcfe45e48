-- Settings that everybody may set; a superuser; values that loosen nothing.
RESET ROLE;
CREATE ROLE root SUPERUSER;
GRANT SET ON PARAMETER rls_tenant.guard TO root;
GRANT SET ON PARAMETER rls_tenant.plan_constants TO app;
ALTER ROLE app SET session_replication_role = 'origin';
ALTER ROLE app SET rls_tenant.one_tenant_per_transaction = on;
