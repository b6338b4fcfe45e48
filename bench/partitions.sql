-- The same rows four times, each time in :partitions partitions by hash of the tenant.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET rls_tenant.guard = off;
CREATE SCHEMA :schema;
GRANT USAGE ON SCHEMA :schema TO app;
SET search_path = :schema;

CREATE TABLE handwritten (id bigint NOT NULL, tenant_id uuid NOT NULL, amount integer NOT NULL, body text NOT NULL)
PARTITION BY HASH (tenant_id);
CREATE INDEX ON handwritten (tenant_id);
CREATE TABLE protected (LIKE handwritten) PARTITION BY HASH (tenant_id);
CREATE INDEX ON protected (tenant_id);
CREATE TABLE setting (LIKE handwritten) PARTITION BY HASH (tenant_id);
CREATE INDEX ON setting (tenant_id);
CREATE TABLE subselect (LIKE handwritten) PARTITION BY HASH (tenant_id);
CREATE INDEX ON subselect (tenant_id);
SELECT format('CREATE TABLE %1$s_%2$s PARTITION OF %1$s FOR VALUES WITH (MODULUS %3$s, REMAINDER %2$s)', t, i, :partitions)
FROM unnest('{handwritten,protected,setting,subselect}'::text[]) t, generate_series(0, :partitions - 1) i \gexec

INSERT INTO handwritten
SELECT r, t.id, r % 97, 'row ' || r
FROM generate_series(1, :rows) r JOIN public.tenant t ON t.number = 1 + r % 1000
ORDER BY r;
INSERT INTO protected SELECT * FROM handwritten;
INSERT INTO setting SELECT * FROM handwritten;
INSERT INTO subselect SELECT * FROM handwritten;

SELECT rls_tenant.protect('protected') \g /dev/null
ALTER TABLE setting ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON setting USING (tenant_id = current_setting('rls_tenant.tenant_id')::uuid);
ALTER TABLE subselect ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON subselect USING (tenant_id = (SELECT current_setting('rls_tenant.tenant_id')::uuid));

GRANT SELECT ON ALL TABLES IN SCHEMA :schema TO app;
VACUUM (FREEZE, ANALYZE);
