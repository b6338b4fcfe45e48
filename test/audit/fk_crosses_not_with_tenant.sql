-- With the tenant column on both sides; and to a table without tenants.
CREATE TABLE country (code text PRIMARY KEY);
RESET ROLE;
SELECT rls_tenant.exempt('public', 'country', 'the same for all');
SET ROLE owner;
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, UNIQUE (tenant_id, id));
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, order_id bigint, country text REFERENCES country, FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id));
SELECT rls_tenant.protect('lines');
GRANT SELECT, INSERT, UPDATE, DELETE ON lines TO app;
