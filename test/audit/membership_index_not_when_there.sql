-- With one; and a source that is a view, which has none.
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (user_id, tenant_id));
CREATE VIEW active AS SELECT * FROM members;
RESET ROLE;
SELECT rls_tenant.exempt('public', 'members', 'who belongs to whom');
SELECT rls_tenant.add_membership('tenant', 'public.members', 'user_id', 'tenant_id'), rls_tenant.add_membership('active', 'public.active', 'user_id', 'tenant_id');
