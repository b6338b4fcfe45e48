-- demo/totals.sql: asks for every tenant how many rows there are, each in a transaction of its own, as the application.
-- The tenants come on standard input; the answers go to standard output.

CREATE TEMP TABLE tenants (tenant_id uuid);
\copy tenants FROM pstdin

CREATE TEMP TABLE answers (tenant_id uuid, packages bigint, dependencies bigint);

DO $$
DECLARE
  tenant uuid;
BEGIN
  FOR tenant IN SELECT tenant_id FROM tenants LOOP
    PERFORM rls_tenant.set_context(tenant);
    INSERT INTO answers SELECT tenant, (SELECT count(*) FROM packages), (SELECT count(*) FROM dependencies);
    COMMIT;
  END LOOP;
END
$$;

\copy (SELECT * FROM answers ORDER BY tenant_id) TO pstdout
