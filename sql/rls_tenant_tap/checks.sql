CREATE FUNCTION @extschema@._tenant_faults(relation regclass, rules text[]) RETURNS text[]
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(format(E'%s: %s\n%s', f.rule, f.detail, f.remedy)), '{}')
  FROM rls_tenant.table_faults(relation) f WHERE rules IS NULL OR f.rule = ANY (rules)
$$;
COMMENT ON FUNCTION @extschema@._tenant_faults(regclass, text[]) IS
  'part of the tests: the faults of a relation by these rules (NULL: all), each with its remedy';

CREATE FUNCTION @extschema@.is_protected(relation regclass, description text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  faults text[] := @extschema@._tenant_faults(relation, NULL);
BEGIN
  IF faults = '{}' AND NOT EXISTS (SELECT FROM rls_tenant.tenant_tables() t WHERE t.relation = $1) THEN
    faults := ARRAY[format('%s is not a tenant table', relation)];
  END IF;
  RETURN @extschema@._tenant_report(CASE WHEN faults = '{}' THEN 'ok' ELSE 'not ok' END,
    coalesce(description, format('%s is protected', relation)), faults);
END
$$;
COMMENT ON FUNCTION @extschema@.is_protected(regclass, text) IS
  'a pgTAP test: whether a table is a tenant table that breaks no rule of rls_tenant.table_faults(), which the '
  'caller must be granted; the rules that it breaks are listed with their remedies';

CREATE FUNCTION @extschema@.policies_confine(relation regclass, description text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  faults text[] := @extschema@._tenant_faults(relation,
    '{rls_off,rls_off_with_policies,no_policy,only_restrictive,not_confined,always_true,check_wider,null_matches,'
    'floor_not_public,no_tenant_column}');
BEGIN
  RETURN @extschema@._tenant_report(CASE WHEN faults = '{}' THEN 'ok' ELSE 'not ok' END,
    coalesce(description, format('the policies of %s confine rows to their tenant', relation)), faults);
END
$$;
COMMENT ON FUNCTION @extschema@.policies_confine(regclass, text) IS
  'a pgTAP test: whether the policies of a table confine every row to its tenant, by the rules of '
  'rls_tenant.table_faults() on policies; the caller must be granted that function';

CREATE FUNCTION @extschema@.context_missing_raises(relation regclass, as_role name DEFAULT NULL,
  description text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  tried name := coalesce(as_role, current_user);
  given bigint;
  line text;
BEGIN
  PERFORM @extschema@._tenant_unbind();
  BEGIN
    PERFORM rls_tenant.clear_context();
    PERFORM set_config('role', tried, true);
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %s) t', relation) INTO given;
    RAISE EXCEPTION USING ERRCODE = 'RTTAP';
  EXCEPTION
    WHEN SQLSTATE 'RTTAP' THEN
      line := format('%I without a context gets %s rows, and no error: SELECT FROM %s', tried, given, relation);
    WHEN object_not_in_prerequisite_state THEN NULL;
    WHEN OTHERS THEN
      line := format('%I without a context gets another error: SELECT FROM %s: %s: %s', tried, relation, SQLSTATE,
        SQLERRM);
  END;
  RETURN @extschema@._tenant_report(CASE WHEN line IS NULL THEN 'ok' ELSE 'not ok' END,
    coalesce(description, format('%s is not read without a context', relation)), array_remove(ARRAY[line], NULL));
END
$$;
COMMENT ON FUNCTION @extschema@.context_missing_raises(regclass, name, text) IS
  'a pgTAP test: whether reading a relation as a role (default: the current one) without a context raises 55000, '
  'instead of giving nothing or something';

CREATE FUNCTION @extschema@.audit_clean(severity text DEFAULT 'risk', schema_pattern text DEFAULT '%',
  description text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  wanted CONSTANT text[] := rls_tenant.severities(severity);
  lines text[];
BEGIN
  SELECT coalesce(array_agg(
    format(E'%s: %s: %s %s: %s\n%s', a.severity, a.rule, a.object_type, a.object, a.finding, a.remedy)), '{}')
  INTO lines
  FROM rls_tenant.audit(schema_pattern) a WHERE a.severity = ANY (wanted);
  RETURN @extschema@._tenant_report(CASE WHEN lines = '{}' THEN 'ok' ELSE 'not ok' END,
    coalesce(description, format('the audit finds no %s', array_to_string(wanted, ', no '))), lines);
END
$$;
COMMENT ON FUNCTION @extschema@.audit_clean(text, text, text) IS
  'a pgTAP test: whether rls_tenant.audit(), which the caller must be granted, finds nothing of that severity '
  '(leak, risk, speed, note) or worse in the schemas whose name is LIKE the pattern, and in roles and server; the '
  'findings are listed with their remedies. 22023: no such severity';
