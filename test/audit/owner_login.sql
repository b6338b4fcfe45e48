-- The application logs in as the owner of its tables.
-- expect: leak owner_login role web
RESET ROLE;
CREATE ROLE web LOGIN;
CREATE SCHEMA shop AUTHORIZATION web;
SET ROLE web;
CREATE TABLE shop.orders (id bigserial PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('shop.orders');
