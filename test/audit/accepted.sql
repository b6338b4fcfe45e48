-- What is accepted is listed on request, at the end, with its reason.
-- audit: SELECT severity, rule, object_type, object || ': ' || finding, finding, remedy FROM rls_tenant.audit(accepted => true)
-- expect: leak truncate_grant table public.orders: TRUNCATE granted to app
-- expect: accepted trigger_grant table public.orders: TRIGGER granted to app (risk, accepted: it makes triggers)
-- expect: accepted pinned_context role role app: its sessions start with rls_tenant.tenant_id=1 (note, accepted: one customer each)
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
GRANT TRUNCATE, TRIGGER ON orders TO app;
RESET ROLE;
ALTER ROLE app SET rls_tenant.tenant_id = '1';
SELECT rls_tenant.exempt('public', 'orders', 'it makes triggers', '{trigger_grant}'), rls_tenant.exempt('*', 'app', 'one customer each', '{pinned_context}');
