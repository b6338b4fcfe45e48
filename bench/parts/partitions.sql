-- The same rows once for each of the :variants, each time in :partitions partitions by hash of the tenant.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET rls_tenant.guard = off;
CREATE SCHEMA :schema;
GRANT USAGE ON SCHEMA :schema TO app;
SET search_path = :schema;

CREATE TEMP TABLE variant AS SELECT * FROM string_to_table(:'variants', ' ') WITH ORDINALITY variant (name, number);
SELECT unnest(ARRAY[
  format('CREATE TABLE %I (id bigint NOT NULL, tenant_id uuid NOT NULL, amount integer NOT NULL, body text NOT NULL) '
         'PARTITION BY HASH (tenant_id)', name),
  format('CREATE INDEX ON %I (tenant_id)', name)])
FROM variant \gexec
SELECT format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s)', name || '_' || i, name, :partitions, i)
FROM variant, generate_series(0, :partitions - 1) i \gexec

INSERT INTO handwritten
SELECT r, t.id, r % 97, 'row ' || r
FROM generate_series(1, :rows) r JOIN public.tenant t ON t.number = 1 + r % 1000
ORDER BY r;
SELECT format('INSERT INTO %I SELECT * FROM handwritten', name) FROM variant WHERE name <> 'handwritten' \gexec
SELECT format('CALL public.confine(%L, %L)', name, name) FROM variant \gexec

VACUUM (FREEZE, ANALYZE);
