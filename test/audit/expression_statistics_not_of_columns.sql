-- Statistics of columns are held by policies; those of a predicate are none.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, name text);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE INDEX ON orders (tenant_id, name) WHERE lower(name) <> '';
CREATE STATISTICS columns ON name, id FROM orders;
