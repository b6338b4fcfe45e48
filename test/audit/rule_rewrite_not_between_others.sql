-- A rule between tables that have no tenants.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE a (n int);
CREATE TABLE b (n int);
RESET ROLE;
SELECT rls_tenant.exempt('public', '_', 'no tenants');
SET ROLE owner;
CREATE RULE fill AS ON INSERT TO a DO ALSO INSERT INTO b VALUES (NEW.n);
