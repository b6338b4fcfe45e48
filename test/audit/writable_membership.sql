-- Who belongs to which tenant, the application writes.
-- expect: leak writable_membership table public.members
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (user_id, tenant_id));
RESET ROLE;
SELECT rls_tenant.exempt('public', 'members', 'who belongs to whom', '{rls_off}');
SELECT rls_tenant.add_membership('tenant', 'public.members', 'user_id', 'tenant_id');
SET ROLE owner;
CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('reviews', membership => 'tenant');
GRANT SELECT ON reviews TO app;
GRANT SELECT, INSERT ON members TO app;
