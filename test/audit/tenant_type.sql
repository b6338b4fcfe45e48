-- A tenant column of a type that no getter gives.
-- expect: leak rls_off table public.orders
-- remedy: by hand
-- expect: note tenant_type table public.orders
-- remedy: by hand
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id numeric NOT NULL);
