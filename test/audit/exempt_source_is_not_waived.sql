-- An exemption says that a source belongs to no tenant, not that anybody may write it.
-- expect: leak writable_membership table public.members
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (user_id, tenant_id));
RESET ROLE;
SELECT rls_tenant.exempt('public', 'members', 'who belongs to whom');
SELECT rls_tenant.add_membership('tenant', 'public.members', 'user_id', 'tenant_id');
SET ROLE owner;
CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('reviews', membership => 'tenant');
GRANT SELECT ON reviews TO app;
GRANT DELETE ON members TO app;
