-- Foreign tables that nobody may read, or that have no tenants.
RESET ROLE;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE remote_orders (id bigint, tenant_id uuid) SERVER files OPTIONS (program 'echo');
CREATE FOREIGN TABLE log (line text) SERVER files OPTIONS (program 'echo');
GRANT SELECT ON log TO app;
