-- demo/load.sql: the rows of demo/data, loaded by a superuser, who passes row-level security by: the tables' owner
-- cannot, since it is forced on him, too. To be run in the directory of the data.

BEGIN;

CREATE TEMP TABLE publisher_file (name text) ON COMMIT DROP;
CREATE TEMP TABLE package_file (source text, name text, version text, section text, priority text,
  installed_size bigint, size bigint, description text) ON COMMIT DROP;
CREATE TEMP TABLE dependency_file (number bigint GENERATED ALWAYS AS IDENTITY, source text, package text,
  depends_on text, kind text, version_constraint text, alternative integer) ON COMMIT DROP;
CREATE TEMP TABLE section_file (name text, packages integer) ON COMMIT DROP;

\copy publisher_file FROM PROGRAM 'gzip -dc publishers.csv.gz' (FORMAT csv, HEADER)
\copy package_file FROM PROGRAM 'gzip -dc packages.csv.gz' (FORMAT csv, HEADER)
\copy dependency_file (source, package, depends_on, kind, version_constraint, alternative) FROM PROGRAM 'gzip -dc dependencies.csv.gz' (FORMAT csv, HEADER)
\copy section_file FROM PROGRAM 'gzip -dc sections.csv.gz' (FORMAT csv, HEADER)

INSERT INTO sections SELECT name FROM section_file;

INSERT INTO publishers (tenant_id, name)
SELECT md5('rls_tenant:' || name)::uuid, name FROM publisher_file;

INSERT INTO packages (tenant_id, name, version, section, priority, installed_size, size, description)
SELECT md5('rls_tenant:' || source)::uuid, name, version, section, priority, installed_size, size, description
FROM package_file;

INSERT INTO dependencies (tenant_id, package_id, depends_on, kind, version_constraint, alternative)
SELECT p.tenant_id, p.package_id, d.depends_on, d.kind, d.version_constraint, d.alternative
FROM dependency_file d JOIN packages p ON p.tenant_id = md5('rls_tenant:' || d.source)::uuid AND p.name = d.package
ORDER BY d.number;

COMMIT;

VACUUM (ANALYZE) sections, publishers, packages, dependencies;
