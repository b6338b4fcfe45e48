-- The library is loaded when it is first needed.
-- expect: note not_preloaded setting session_preload_libraries
-- options: -c session_preload_libraries=
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
