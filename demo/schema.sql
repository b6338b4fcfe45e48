-- demo/schema.sql: the migration, run by the owner of the database, who is no superuser. Every table is protected in
-- the transaction that makes it; without that, rls_tenant refuses the COMMIT.

BEGIN;

CREATE TABLE sections (
  name text PRIMARY KEY
);

CREATE TABLE publishers (
  tenant_id uuid PRIMARY KEY,
  name text NOT NULL
);

CREATE TABLE packages (
  tenant_id uuid NOT NULL REFERENCES publishers,
  package_id bigint GENERATED ALWAYS AS IDENTITY,
  name text NOT NULL,
  version text NOT NULL,
  section text NOT NULL REFERENCES sections,
  priority text NOT NULL DEFAULT 'optional',
  installed_size bigint, -- kB
  size bigint NOT NULL, -- bytes
  description text,
  PRIMARY KEY (tenant_id, package_id),
  UNIQUE (tenant_id, name)
);

CREATE TABLE dependencies (
  tenant_id uuid NOT NULL,
  dependency_id bigint GENERATED ALWAYS AS IDENTITY,
  package_id bigint NOT NULL,
  depends_on text NOT NULL,
  kind text NOT NULL,
  version_constraint text,
  alternative integer NOT NULL,
  PRIMARY KEY (tenant_id, dependency_id),
  FOREIGN KEY (tenant_id, package_id) REFERENCES packages
) PARTITION BY HASH (tenant_id);
CREATE INDEX ON dependencies (tenant_id, package_id);

SELECT format('CREATE TABLE dependencies_%s PARTITION OF dependencies FOR VALUES WITH (MODULUS 16, REMAINDER %s)', n, n)
FROM generate_series(0, 15) n
\gexec

SELECT rls_tenant.protect('publishers');
SELECT rls_tenant.protect('packages');
SELECT rls_tenant.protect('dependencies');
SELECT rls_tenant.exempt('public', 'sections', 'the sections are the same for every publisher', '{no_tenant_column}');

GRANT SELECT ON sections TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON publishers, packages, dependencies TO app;

COMMIT;
