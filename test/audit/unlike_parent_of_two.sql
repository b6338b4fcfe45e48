-- One of two parents is not a tenant table.
-- expect: risk unlike_parent table public.shared
CREATE TABLE base (tenant_id uuid NOT NULL);
RESET ROLE;
SELECT rls_tenant.exempt('public', 'base', 'a shape', '{rls_off,exempt_but_tenant}');
SET ROLE owner;
CREATE TABLE orders (tenant_id uuid NOT NULL);
SELECT rls_tenant.protect('orders');
CREATE TABLE shared () INHERITS (orders, base);
ALTER TABLE shared ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
