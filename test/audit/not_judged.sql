-- A policy that cannot be read hides no other table's faults.
-- expect: risk not_judged table public.broken
-- remedy: by hand
-- expect: leak always_true table public.orders
CREATE TABLE broken (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('broken');
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON orders (tenant_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE POLICY everything ON orders USING (true);
RESET ROLE;
SET allow_system_table_mods = on;
UPDATE pg_policy SET polqual = (SELECT ev_action FROM pg_rewrite LIMIT 1) WHERE polrelid = 'broken'::regclass;
