-- A membership that another role has granted.
-- from: 16
-- expect: leak bypass_login role app
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE admin NOLOGIN;
CREATE ROLE batch NOLOGIN BYPASSRLS;
GRANT batch TO admin WITH ADMIN TRUE;
SET ROLE admin;
GRANT batch TO app;
