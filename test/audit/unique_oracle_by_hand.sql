-- What foreign keys refer to, and an exclusion constraint.
-- expect: risk unique_oracle table public.items
-- remedy: by hand
-- expect: risk unique_oracle table public.rooms
-- remedy: by hand
CREATE TABLE items (code text PRIMARY KEY, tenant_id uuid, of_code text, UNIQUE (tenant_id, code));
SELECT rls_tenant.protect('items');
CREATE TABLE rooms (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, during tsrange, EXCLUDE USING gist (during WITH &&));
SELECT rls_tenant.protect('rooms');
CREATE TABLE labels (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, code text REFERENCES items);
SELECT rls_tenant.protect('labels');
RESET ROLE;
SELECT rls_tenant.exempt('public', 'labels', 'the codes are no secret', '{fk_crosses}');
