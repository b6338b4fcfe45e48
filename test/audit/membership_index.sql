-- A source without an index by the user.
-- expect: speed membership_index table public.members
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (tenant_id, user_id));
RESET ROLE;
SELECT rls_tenant.exempt('public', 'members', 'who belongs to whom');
SELECT rls_tenant.add_membership('tenant', 'public.members', 'user_id', 'tenant_id');
