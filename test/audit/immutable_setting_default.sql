-- In a default.
-- expect: leak immutable_setting function public.me()
CREATE FUNCTION me() RETURNS uuid LANGUAGE sql IMMUTABLE AS $$SELECT rls_tenant.current_user_uuid()$$;
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, author uuid DEFAULT me());
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
