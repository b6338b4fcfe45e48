-- The demo's package index (demo/data), as the registry of 50,000 publishers: about :rows rows, once for each of the
-- :variants, which is a schema. To be run in the directory of the data.
--
-- A publisher of the index is a tenant, and some of them twice. All rows of a tenant come :rows / 500,000 times, as if
-- each of its packages had come out in as many versions, so tenants stay as unlike as they are: most have one package,
-- some hundreds.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET rls_tenant.guard = off;
SET synchronize_seqscans = off;
SET maintenance_work_mem = '512MB';
SET work_mem = '256MB';

CREATE TEMP TABLE publisher_file (number bigint GENERATED ALWAYS AS IDENTITY, name text);
CREATE TEMP TABLE package_file (number bigint GENERATED ALWAYS AS IDENTITY, source text, name text, version text, section text,
  priority text, installed_size bigint, size bigint, description text);
CREATE TEMP TABLE dependency_file (number bigint GENERATED ALWAYS AS IDENTITY, source text, package text, depends_on text,
  kind text, version_constraint text, alternative integer);
\copy publisher_file (name) FROM PROGRAM 'gzip -dc publishers.csv.gz' (FORMAT csv, HEADER)
\copy package_file (source, name, version, section, priority, installed_size, size, description) FROM PROGRAM 'gzip -dc packages.csv.gz' (FORMAT csv, HEADER)
\copy dependency_file (source, package, depends_on, kind, version_constraint, alternative) FROM PROGRAM 'gzip -dc dependencies.csv.gz' (FORMAT csv, HEADER)

-- The id of a tenant holds its number, so that pgbench can make one up.
CREATE TEMP TABLE tenant_of AS
SELECT n AS number, ((10000000 + n) || '-0000-4000-8000-000000000000')::uuid AS tenant_id, p.name
FROM generate_series(1, 50000) n
JOIN publisher_file p ON p.number = 1 + (n * 7919 - 1) % (SELECT count(*) FROM publisher_file);
CREATE TEMP TABLE package_of AS
SELECT row_number() OVER (ORDER BY t.number, p.number) AS package_id, t.tenant_id, p.name, p.version, p.section, p.priority,
  p.installed_size, p.size, p.description, p.source
FROM tenant_of t JOIN package_file p ON p.source = t.name;
CREATE TEMP TABLE dependency_of AS
SELECT p.tenant_id, p.package_id, d.depends_on, d.kind, d.version_constraint, d.alternative
FROM package_of p JOIN dependency_file d ON d.source = p.source AND d.package = p.name
ORDER BY p.package_id, d.number;
ANALYZE package_of, dependency_of;
SELECT greatest(1, round(:rows / ((SELECT count(*) FROM package_of) + (SELECT count(*) FROM dependency_of))::numeric)) AS copies,
  (SELECT max(package_id) FROM package_of) AS step \gset

CREATE TEMP TABLE variant AS SELECT * FROM string_to_table(:'variants', ' ') WITH ORDINALITY variant (name, number);
SELECT unnest(ARRAY[
  format('CREATE SCHEMA %I', name),
  format('GRANT USAGE ON SCHEMA %I TO app', name),
  format('CREATE UNLOGGED TABLE %I.publishers (tenant_id uuid NOT NULL, name text NOT NULL)', name),
  format('CREATE UNLOGGED TABLE %I.packages (tenant_id uuid NOT NULL, package_id bigint NOT NULL, name text NOT NULL, '
         'version text NOT NULL, section text NOT NULL, priority text NOT NULL, installed_size bigint, size bigint NOT NULL, '
         'description text)', name),
  format('CREATE UNLOGGED TABLE %I.dependencies (tenant_id uuid NOT NULL, package_id bigint NOT NULL, depends_on text NOT NULL, '
         'kind text NOT NULL, version_constraint text, alternative integer NOT NULL)', name)])
FROM variant \gexec

-- One version of everything after the other, as it would have come in.
INSERT INTO handwritten.publishers SELECT tenant_id, name || '/' || number FROM tenant_of ORDER BY number;
SELECT unnest(ARRAY[
  format('INSERT INTO handwritten.packages SELECT tenant_id, package_id + %1$s * %2$s, name || ''/%1$s'', version, section, '
         'priority, installed_size, size, description FROM package_of', copy, :step),
  format('INSERT INTO handwritten.dependencies SELECT tenant_id, package_id + %1$s * %2$s, depends_on, kind, '
         'version_constraint, alternative FROM dependency_of', copy, :step)])
FROM generate_series(0, :copies - 1) copy \gexec
SELECT format('INSERT INTO %I.%I SELECT * FROM handwritten.%2$I', name, relation)
FROM variant, unnest(ARRAY['publishers', 'packages', 'dependencies']) relation WHERE name <> 'handwritten' \gexec
SELECT unnest(ARRAY[
  format('ALTER TABLE %I.publishers ADD PRIMARY KEY (tenant_id)', name),
  format('ALTER TABLE %I.packages ADD PRIMARY KEY (tenant_id, package_id)', name),
  format('CREATE UNIQUE INDEX ON %I.packages (tenant_id, name)', name),
  format('CREATE INDEX ON %I.dependencies (tenant_id, package_id)', name)])
FROM variant \gexec
SELECT unnest(ARRAY[format('CALL confine(''%1$I.%2$I'', %1$L)', name, relation), format('VACUUM (FREEZE, ANALYZE) %I.%I', name, relation)])
FROM variant, unnest(ARRAY['publishers', 'packages', 'dependencies']) relation \gexec
