-- Privileges through two roles; the first does not inherit, so the login must SET ROLE.
-- expect: leak truncate_grant table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
RESET ROLE;
CREATE ROLE a NOLOGIN NOINHERIT;
CREATE ROLE b NOLOGIN;
GRANT a TO app;
GRANT b TO a;
GRANT SELECT (id), TRUNCATE ON orders TO b;
