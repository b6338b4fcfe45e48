-- A domain over one of the types is as good.
CREATE DOMAIN tenant_key AS uuid;
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id tenant_key);
SELECT rls_tenant.protect('orders');
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id varchar(20));
SELECT rls_tenant.protect('items');
