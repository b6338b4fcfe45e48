-- A privilege that was passed on by somebody else than the owner.
-- expect: leak truncate_grant table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE middle NOLOGIN;
GRANT TRUNCATE ON orders TO middle WITH GRANT OPTION;
SET ROLE middle;
GRANT TRUNCATE ON orders TO app;
