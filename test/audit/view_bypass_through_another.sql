-- Through another view, which by itself asks as its reader.
-- expect: leak view_bypass view public.outer_view
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE VIEW inner_view WITH (security_invoker = on) AS SELECT * FROM orders;
CREATE VIEW outer_view AS SELECT * FROM inner_view;
GRANT SELECT ON inner_view, outer_view TO app;
