-- One that inherits, without SET ROLE, gives the privilege.
-- from: 16
-- expect: leak truncate_grant table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE writers NOLOGIN;
GRANT writers TO app WITH SET FALSE, INHERIT TRUE;
GRANT TRUNCATE ON orders TO writers;
