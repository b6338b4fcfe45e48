-- The same in the membership form.
-- expect: note public_rows table public.reviews
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (user_id, tenant_id));
RESET ROLE;
SELECT rls_tenant.exempt('public', 'members', 'it says who belongs to which tenants');
SELECT rls_tenant.add_membership('tenant', 'public.members', 'user_id', 'tenant_id');
SET ROLE owner;
CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, is_published boolean);
SELECT rls_tenant.protect('reviews', membership => 'tenant', public_read => 'is_published');
GRANT SELECT ON reviews, members TO app;
