-- Files and programs of the server: by predefined roles, over another role, by functions.
-- expect: leak server_access role app
-- expect: leak server_access role middle
-- expect: leak server_access function pg_read_file(text)
-- expect: leak server_access function lo_import(text)
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE middle NOLOGIN;
GRANT pg_execute_server_program TO app;
GRANT pg_read_server_files TO middle;
GRANT middle TO app;
GRANT EXECUTE ON FUNCTION pg_read_file(text) TO app;
GRANT EXECUTE ON FUNCTION lo_import(text) TO PUBLIC;
