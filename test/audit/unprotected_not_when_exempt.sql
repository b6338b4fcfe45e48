-- What is exempt is not a tenant table, and nothing around it counts.
-- expect: note exempt_but_tenant table public.orders
-- remedy: by hand
CREATE TABLE orders (id bigint PRIMARY KEY, tenant_id uuid NOT NULL);
GRANT ALL ON orders TO app;
RESET ROLE;
CREATE VIEW all_orders AS SELECT * FROM orders;
SELECT rls_tenant.exempt('public', '%', 'kept apart by the application');
