-- Without a grant of their own: over a role that cannot log in to an owner with BYPASSRLS, by a predefined role, as owner.
-- expect: leak toast_access role backup
-- expect: leak bypass_login role app
-- expect: leak bypass_login role backup
-- expect: leak bypass_login role migrator
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
RESET ROLE;
CREATE ROLE middle NOLOGIN;
GRANT owner TO middle;
GRANT middle TO app;
ALTER ROLE owner BYPASSRLS;
CREATE ROLE backup LOGIN BYPASSRLS;
GRANT pg_read_all_data TO backup;
CREATE ROLE migrator LOGIN BYPASSRLS;
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('items');
ALTER TABLE items OWNER TO migrator;
CREATE ROLE web LOGIN;
GRANT SELECT ON items TO web;
