-- Temporary and unlogged tables, system and extension schemas: only the unlogged one is ours.
-- expect: leak rls_off table public.unlogged
RESET ROLE;
CREATE TEMP TABLE temporary (id int, tenant_id uuid);
CREATE UNLOGGED TABLE unlogged (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
