-- tenant_isolation beside the form holds the public rows back: nothing is public, and two policies do not matter but for speed.
-- expect: speed many_permissive table public.posts
-- remedy: by hand
CREATE TABLE posts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, is_published boolean);
SELECT rls_tenant.protect('posts', public_read => 'is_published');
CREATE POLICY tenant_isolation ON posts AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_uuid());
GRANT SELECT, INSERT, UPDATE, DELETE ON posts TO app;
