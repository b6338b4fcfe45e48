-- A membership that neither inherits nor allows SET ROLE gives nothing.
-- from: 16
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE writers NOLOGIN;
GRANT writers TO app WITH SET FALSE, INHERIT FALSE;
GRANT TRUNCATE ON orders TO writers;
