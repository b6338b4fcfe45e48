-- What a parent that is not a tenant table shows, no policy of the child hides.
-- expect: risk unlike_parent table public.orders
CREATE TABLE base (id bigint GENERATED ALWAYS AS IDENTITY, tenant_id uuid NOT NULL);
RESET ROLE;
SELECT rls_tenant.exempt('public', 'base', 'a shape', '{rls_off,exempt_but_tenant}');
SET ROLE owner;
CREATE TABLE orders (PRIMARY KEY (tenant_id, id)) INHERITS (base);
SELECT rls_tenant.protect('orders');
