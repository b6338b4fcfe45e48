-- The same, exempt for a reason: there is the note that it has the column.
-- expect: note exempt_but_tenant table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
GRANT SELECT ON orders TO app;
RESET ROLE;
SELECT rls_tenant.exempt('public', 'orders', 'being migrated');
