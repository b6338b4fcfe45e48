-- Started with the guard off.
-- expect: risk guard_off setting rls_tenant.guard
-- remedy: by hand
-- options: -c rls_tenant.guard=off
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
