-- Of a login that reaches no tenant table, and of a role that no login has; another predefined role and function.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE loader LOGIN;
CREATE ROLE nobody NOLOGIN;
GRANT pg_read_server_files TO loader, nobody;
GRANT EXECUTE ON FUNCTION pg_read_file(text), lo_export(oid, text) TO loader, nobody;
GRANT pg_monitor TO app;
GRANT EXECUTE ON FUNCTION pg_rotate_logfile() TO app;
