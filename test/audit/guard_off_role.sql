-- A role whose guard is off, and the database's, which only warns.
-- expect: risk guard_off role role app
-- expect: risk guard_off database database guard_off_role
RESET ROLE;
ALTER ROLE app SET rls_tenant.guard = off;
ALTER DATABASE guard_off_role SET rls_tenant.guard = warn;
