-- Reporting

-- pgTAP can be moved, and finds its own functions by search_path: so each report asks where it lies.
CREATE FUNCTION @extschema@._tenant_report(verdict text, description text, lines text[]) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  home text := (SELECT pg_catalog.quote_ident(n.nspname)
                FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
                WHERE e.extname = 'pgtap');
  result text;
  line text;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, ' || home || ', pg_temp', true);
  IF verdict = 'skip' THEN
    EXECUTE format('SELECT %s.skip($1, 1)', home) INTO result USING description || ': ' || array_to_string(lines, '; ');
    RETURN result;
  END IF;
  EXECUTE format('SELECT %s.ok($1, $2)', home) INTO result USING verdict = 'ok', description;
  FOREACH line IN ARRAY lines LOOP
    result := result || E'\n# ' || replace(replace(line, E'\r', E'\n'), E'\n', E'\n#   ');
  END LOOP;
  RETURN result;
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_report(text, text, text[]) IS
  'part of the tests: ok, not ok or skip by pgTAP, followed by lines of comment';

-- The context
CREATE FUNCTION @extschema@._tenant_unbind() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM rls_tenant.current_context();  -- loads the library, which knows the setting
  IF current_setting('rls_tenant.one_tenant_per_transaction')::boolean THEN
    PERFORM set_config('rls_tenant.one_tenant_per_transaction', 'off', true);
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE EXCEPTION 'tests of several tenants in one transaction are not allowed to role "%"', current_user
    USING ERRCODE = 'insufficient_privilege',
      DETAIL = 'rls_tenant.one_tenant_per_transaction is on, which a superuser alone can change.',
      HINT = format('Let a superuser run this once, and connect again: ALTER ROLE %I SET '
                    'rls_tenant.one_tenant_per_transaction = off;', session_user);
END
$$;
COMMENT ON FUNCTION @extschema@._tenant_unbind() IS
  'part of the tests: lets the context change until the transaction ends; 42501 where the caller may not, and no '
  'DBA has allowed it';

CREATE FUNCTION @extschema@.as_tenant(tenant text, account text DEFAULT NULL, user_id text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM @extschema@._tenant_unbind(), rls_tenant.clear_context();
  IF tenant IS NULL THEN
    PERFORM set_config('rls_tenant.account_id', account, true) WHERE account IS NOT NULL;
    PERFORM set_config('rls_tenant.user_id', user_id, true) WHERE user_id IS NOT NULL;
  ELSE
    PERFORM rls_tenant.set_context(tenant, account, user_id);
  END IF;
  RETURN '# as ' || concat_ws(', ',
    coalesce('tenant ' || tenant, CASE WHEN account IS NULL AND user_id IS NULL THEN 'nobody' END),
      'account ' || account, 'user ' || user_id);
END
$$;
COMMENT ON FUNCTION @extschema@.as_tenant(text, text, text) IS
  'sets the context for the statements that follow in this transaction, whatever it was before, and says so as a '
  'comment of TAP; a tenant NULL is none, all NULL: nobody. 22023: no id; 42501: the context may not change (see '
  'rls_tenant.one_tenant_per_transaction)';

CREATE FUNCTION @extschema@.as_tenant(tenant uuid, account uuid DEFAULT NULL, user_id uuid DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE RETURN @extschema@.as_tenant(tenant::text, account::text, user_id::text);
COMMENT ON FUNCTION @extschema@.as_tenant(uuid, uuid, uuid) IS 'as_tenant() with ids of type uuid';

CREATE FUNCTION @extschema@.as_tenant(tenant bigint, account bigint DEFAULT NULL, user_id bigint DEFAULT NULL)
RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE RETURN @extschema@.as_tenant(tenant::text, account::text, user_id::text);
COMMENT ON FUNCTION @extschema@.as_tenant(bigint, bigint, bigint) IS 'as_tenant() with ids of type bigint';

CREATE FUNCTION @extschema@.as_nobody() RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE RETURN @extschema@.as_tenant(NULL::text);
COMMENT ON FUNCTION @extschema@.as_nobody() IS
  'takes tenant, account and user of the context back to their default, for the statements that follow, and says so '
  'as a comment of TAP';
