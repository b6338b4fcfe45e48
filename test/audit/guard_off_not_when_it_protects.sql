-- Mode protect is no fault, nor a setting of another database.
RESET ROLE;
ALTER DATABASE guard_off_not_when_it_protects SET rls_tenant.guard = protect;
ALTER ROLE app IN DATABASE template SET rls_tenant.guard = off;
