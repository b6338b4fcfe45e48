-- The row that is looked up need not be the tenant's.
-- expect: leak rls_off table public.parcels
-- expect: risk no_tenant_column table public.lines
-- remedy: by hand
CREATE TABLE parcels (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE lines (parcel_id bigint, line int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
ALTER TABLE lines ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON lines USING (EXISTS (SELECT FROM parcels p WHERE p.id = parcel_id));
