-- An event trigger that is disabled, and one that is not for replicas.
-- expect: risk guard_off event trigger rls_tenant_guard
-- expect: risk guard_off event trigger rls_tenant_guard_drop
RESET ROLE;
ALTER EVENT TRIGGER rls_tenant_guard DISABLE;
ALTER EVENT TRIGGER rls_tenant_guard_drop ENABLE;
