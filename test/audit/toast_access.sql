-- Over the predefined role, and by USAGE on the schema for the owner.
-- expect: leak toast_access role app
-- expect: leak toast_access schema pg_toast
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
GRANT pg_read_all_data TO app;
GRANT USAGE ON SCHEMA pg_toast TO owner;
