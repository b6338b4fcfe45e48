-- Other settings of a role.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
ALTER ROLE app SET statement_timeout = '10s';
ALTER ROLE app SET rls_tenant.membership_cost = 3;
