-- An exempt table without the tenant column, and a membership source, which must have it.
CREATE TABLE country (code text PRIMARY KEY);
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (user_id, tenant_id));
RESET ROLE;
SELECT rls_tenant.exempt('public', 'country', 'the same for all'), rls_tenant.exempt('public', 'members', 'who belongs to whom');
SELECT rls_tenant.add_membership('tenant', 'public.members', 'user_id', 'tenant_id');
