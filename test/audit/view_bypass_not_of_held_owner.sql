-- A view of an owner whom the policies hold, and one of a superuser's with security_invoker.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE VIEW ours AS SELECT * FROM orders;
RESET ROLE;
CREATE VIEW invoked WITH (security_invoker = true) AS SELECT * FROM orders;
GRANT SELECT ON ours, invoked TO app;
