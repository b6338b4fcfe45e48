-- A tenant table in the membership form; its source is exempt, and no application role may write it.
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (user_id, tenant_id));
RESET ROLE;
SELECT rls_tenant.exempt('public', 'members', 'it says who belongs to which tenants');
SELECT rls_tenant.add_membership('tenant', 'public.members', 'user_id', 'tenant_id');
SET ROLE owner;
CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('reviews', membership => 'tenant');
GRANT SELECT ON reviews, members TO app;
