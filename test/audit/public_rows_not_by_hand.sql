-- A policy by hand that opens rows is no public_rows: it is a leak. Nor is tenant_public without the floor that goes with it.
-- expect: leak not_confined table public.posts
-- expect: leak not_confined table public.pages
-- expect: speed many_permissive table public.posts
-- remedy: by hand
-- expect: speed many_permissive table public.pages
-- remedy: by hand
CREATE TABLE posts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL, is_published boolean);
CREATE INDEX ON posts (tenant_id);
ALTER TABLE posts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON posts USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE POLICY public ON posts FOR SELECT USING (is_published);
CREATE TABLE pages (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, is_published boolean);
SELECT rls_tenant.protect('pages', public_read => 'is_published');
DROP POLICY tenant_isolation_delete ON pages;
GRANT SELECT, INSERT, UPDATE, DELETE ON posts, pages TO app;
