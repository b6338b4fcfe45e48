-- The same rows several times: a schema of the size :rows, in it one table for each of the :variants. :share percent of
-- the rows are the first tenant's. :kind is UNLOGGED for large tables that are only read.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET rls_tenant.guard = off;
SET synchronize_seqscans = off;
SET maintenance_work_mem = '512MB';
CREATE SCHEMA :schema;
GRANT USAGE ON SCHEMA :schema TO app;
SET search_path = :schema;

CREATE TEMP TABLE variant AS SELECT * FROM string_to_table(:'variants', ' ') WITH ORDINALITY variant (name, number);
SELECT format('CREATE %s TABLE %I (id bigint NOT NULL, tenant_id uuid NOT NULL, amount integer NOT NULL, body text NOT NULL)',
  :'kind', name) FROM variant \gexec

INSERT INTO handwritten
SELECT r, t.id, r % 97, 'row ' || r
FROM generate_series(1, :rows) r
JOIN public.tenant t ON t.number = CASE WHEN r % 100 < :share THEN 1 ELSE 1 + r % 1000 END
ORDER BY r;
SELECT format('INSERT INTO %I SELECT * FROM handwritten', name) FROM variant WHERE name <> 'handwritten' \gexec
SELECT unnest(ARRAY[format('ALTER TABLE %I ADD PRIMARY KEY (id)', name), format('CREATE INDEX ON %I (tenant_id)', name),
  format('CALL public.confine(%L, %L)', name, name), format('VACUUM (FREEZE, ANALYZE) %I', name)])
FROM variant ORDER BY number \gexec
