-- A role that no login has, and a superuser; writing is another right.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE nobody NOLOGIN;
CREATE ROLE root SUPERUSER;
GRANT pg_read_all_data TO nobody;
GRANT USAGE ON SCHEMA pg_toast TO root;
GRANT pg_write_all_data TO app;
