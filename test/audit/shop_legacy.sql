-- A grown schema: many faults, each told once.
-- expect: leak view_bypass view public.order_report
-- expect: leak definer_function function public.find_order(bigint)
-- expect: leak matview materialized view public.revenue
-- expect: leak not_confined table public.orders
-- expect: leak rls_off table public.invoices
-- expect: risk definer_search_path function public.find_order(bigint)
-- expect: risk no_tenant_column table public.settings
-- remedy: by hand
-- expect: risk unique_oracle table public.orders
-- expect: speed per_row_setting table public.orders
-- remedy: by hand
-- expect: risk references_grant table public.orders
-- expect: risk trigger_grant table public.orders
-- expect: leak truncate_grant table public.orders
-- expect: speed no_tenant_index table public.orders
-- expect: speed many_permissive table public.orders
-- remedy: by hand
CREATE TABLE settings (key text PRIMARY KEY, value text);
CREATE TABLE invoices (id bigserial PRIMARY KEY, tenant_id bigint NOT NULL, total numeric);
CREATE TABLE orders (id bigserial PRIMARY KEY, tenant_id bigint NOT NULL, number text UNIQUE);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON orders USING (tenant_id = rls_tenant.current_tenant_bigint());
CREATE POLICY support ON orders FOR UPDATE TO app USING (tenant_id = current_setting('app.tenant')::bigint);
GRANT ALL ON orders TO app;
GRANT SELECT, INSERT ON invoices, settings TO app;
CREATE MATERIALIZED VIEW revenue AS SELECT o.tenant_id, count(*) FROM orders o GROUP BY 1 WITH NO DATA;
GRANT SELECT ON revenue TO app;
RESET ROLE;
CREATE VIEW order_report AS SELECT o.number FROM orders o;
GRANT SELECT ON order_report TO app;
CREATE FUNCTION find_order(bigint) RETURNS SETOF orders LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM orders WHERE id = $1';
