-- One column of the table below a view that is the source, through a role.
-- expect: leak writable_membership table public.people
CREATE TABLE people (user_id uuid PRIMARY KEY, tenant_id uuid NOT NULL, active boolean);
CREATE VIEW members AS SELECT user_id, tenant_id FROM people WHERE active;
RESET ROLE;
CREATE ROLE clerks NOLOGIN;
GRANT clerks TO app;
SELECT rls_tenant.exempt('public', 'people', 'who belongs to whom', '{rls_off}');
SELECT rls_tenant.add_membership('tenant', 'public.members', 'user_id', 'tenant_id');
SET ROLE owner;
CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('reviews', membership => 'tenant');
GRANT SELECT ON reviews TO app;
GRANT UPDATE (active) ON people TO clerks;
