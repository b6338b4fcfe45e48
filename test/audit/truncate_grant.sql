-- TRUNCATE asks no policy; a login through two roles, one of which does not inherit.
-- expect: leak truncate_grant table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE middle NOLOGIN NOINHERIT;
CREATE ROLE writers NOLOGIN;
GRANT writers TO middle;
GRANT middle TO app;
GRANT TRUNCATE ON orders TO writers;
