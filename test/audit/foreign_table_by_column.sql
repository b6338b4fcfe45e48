-- One of its columns may be read.
-- expect: risk foreign_table foreign table public.remote_orders
RESET ROLE;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE remote_orders (id bigint, tenant_id uuid) SERVER files OPTIONS (program 'echo');
GRANT SELECT (id) ON remote_orders TO app;
