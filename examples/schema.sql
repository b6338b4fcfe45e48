-- The database of the examples. As a superuser: createdb shop && psql -v ON_ERROR_STOP=1 -f examples/schema.sql shop
-- The role "web", as which the applications log in, is there: CREATE ROLE web LOGIN;

CREATE EXTENSION IF NOT EXISTS rls_tenant;

-- What is not a uuid is refused as a tenant, when the context is set.
SELECT format('ALTER DATABASE %I SET %s', current_database(), setting)
FROM unnest(ARRAY['session_preload_libraries = rls_tenant', 'rls_tenant.tenant_type = uuid']) AS setting
\gexec

BEGIN;
CREATE TABLE invoice (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid,
  note text NOT NULL,
  created_by text NOT NULL DEFAULT rls_tenant.current_user_text()
);
SELECT rls_tenant.protect('invoice');
GRANT SELECT, INSERT ON invoice TO web;
COMMIT;
