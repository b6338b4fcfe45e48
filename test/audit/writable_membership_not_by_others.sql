-- A login that has nothing to do with tenant tables writes it; the application reads.
CREATE TABLE members (user_id uuid, tenant_id uuid, PRIMARY KEY (user_id, tenant_id));
RESET ROLE;
CREATE ROLE office LOGIN;
SELECT rls_tenant.exempt('public', 'members', 'who belongs to whom', '{rls_off}');
SELECT rls_tenant.add_membership('tenant', 'public.members', 'user_id', 'tenant_id');
SET ROLE owner;
CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('reviews', membership => 'tenant');
GRANT SELECT ON reviews, members TO app;
GRANT INSERT, DELETE ON members TO office;
