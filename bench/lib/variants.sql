-- The ways to confine a table to the tenant of the context, for all parts of the suite.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE FUNCTION tenant_by_sql() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
  $$ SELECT current_setting('rls_tenant.tenant_id')::uuid $$;
CREATE FUNCTION tenant_by_plpgsql() RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS
  $$ BEGIN RETURN current_setting('rls_tenant.tenant_id')::uuid; END $$;

-- Gives a table the policies of a variant: those that protect() makes, those that people write without it, or none.
CREATE PROCEDURE confine(relation regclass, variant text) LANGUAGE plpgsql AS $$
DECLARE
  tenant text := CASE variant
    WHEN 'setting' THEN 'current_setting(''rls_tenant.tenant_id'')::uuid'
    WHEN 'subselect' THEN '(SELECT current_setting(''rls_tenant.tenant_id'')::uuid)'
    WHEN 'sql' THEN 'public.tenant_by_sql()'
    WHEN 'plpgsql' THEN 'public.tenant_by_plpgsql()'
    -- Steps between a hand-written WHERE and protect(), to see what each of them costs.
    WHEN 'fast' THEN 'rls_tenant.fast_tenant_uuid()'
    WHEN 'current' THEN 'rls_tenant.current_tenant_uuid()'
  END;
BEGIN
  IF variant = 'protected' THEN
    PERFORM rls_tenant.protect(relation);
  ELSIF tenant IS NOT NULL THEN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format('CREATE POLICY tenant ON %s USING (tenant_id = %s)', relation, tenant);
  ELSIF variant <> 'handwritten' THEN
    RAISE 'no such variant: %', variant;
  END IF;
  EXECUTE format('GRANT ALL ON %s TO app', relation);
END
$$;
