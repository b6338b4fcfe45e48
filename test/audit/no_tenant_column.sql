-- A table that says nobody whose its rows are; a person decides.
-- expect: risk no_tenant_column table public.country
-- remedy: by hand
CREATE TABLE country (code text PRIMARY KEY);
