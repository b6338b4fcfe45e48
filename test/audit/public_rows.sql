-- Rows that every tenant may read, in the form of protect(): a note, and nothing else.
-- expect: note public_rows table public.posts
-- expect: note public_rows table public.pages
-- expect: note public_rows table public.events
CREATE TABLE posts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, is_published boolean NOT NULL DEFAULT false);
SELECT rls_tenant.protect('posts', public_read => 'is_published');
CREATE TABLE pages (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Org" text, tenant_id int, published_at timestamptz);
SELECT rls_tenant.protect('pages', 'Org', access => 'id > 0', public_read => 'published_at <= now()');
CREATE TABLE events (tenant_id uuid, day date, open boolean) PARTITION BY LIST (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN ('2026-01-01');
SELECT rls_tenant.protect('events', public_read => 'open');
CREATE TABLE notes (extra text) INHERITS (posts);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON posts, pages, events TO app;
