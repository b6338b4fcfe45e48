-- In an index, which would have to be made anew for each tenant.
-- expect: leak immutable_setting function public.mine(uuid)
-- remedy: by hand
-- expect: risk expression_statistics index public.orders_mine_idx
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY floor ON orders AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE POLICY mine ON orders USING (true);
CREATE FUNCTION mine(uuid) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN $1 = rls_tenant.current_tenant_uuid(); END$$;
CREATE INDEX ON orders (mine(tenant_id));
