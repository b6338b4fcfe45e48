-- BYPASSRLS is not inherited, and this membership allows no SET ROLE.
-- from: 16
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE batch NOLOGIN BYPASSRLS;
GRANT batch TO app WITH SET FALSE, INHERIT TRUE;
