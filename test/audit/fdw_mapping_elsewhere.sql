-- What holds a role elsewhere cannot be seen.
-- expect: note fdw_mapping user mapping public on server elsewhere
-- remedy: by hand
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE EXTENSION postgres_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'db.example.com', dbname 'app');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'reader');
