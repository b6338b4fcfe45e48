-- An exemption that covers more than one table is for a person to narrow.
-- expect: note exempt_but_tenant table public.orders
-- remedy: by hand
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE country (code text PRIMARY KEY);
RESET ROLE;
SELECT rls_tenant.exempt('public', '%', 'being migrated');
