-- A setting for all roles, wherever they log in.
-- expect: risk guard_off role all roles
RESET ROLE;
ALTER ROLE ALL SET rls_tenant.guard = off;
