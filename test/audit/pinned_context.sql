-- Who is held to which tenant.
-- expect: note pinned_context role role app
-- expect: note pinned_context database database pinned_context
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
ALTER ROLE app SET rls_tenant.tenant_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
ALTER DATABASE pinned_context SET rls_tenant.account_id = '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e';
