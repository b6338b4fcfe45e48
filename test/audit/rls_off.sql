-- A tenant column, and nobody has enabled row-level security.
-- expect: leak rls_off table public.orders
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
GRANT SELECT ON orders TO app;
