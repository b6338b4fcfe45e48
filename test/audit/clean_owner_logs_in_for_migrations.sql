-- The owner may log in for migrations, and the application logs in as somebody else.
RESET ROLE;
ALTER ROLE owner LOGIN;
SET ROLE owner;
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
