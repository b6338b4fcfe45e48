-- rls_tenant 0.1.0: everything lies in the schema rls_tenant, which the extension makes itself: a schema that somebody
-- else had made could hold functions of theirs.

\echo Use "CREATE EXTENSION rls_tenant" to load this file. \quit

CREATE SCHEMA rls_tenant;
GRANT USAGE ON SCHEMA rls_tenant TO PUBLIC;
COMMENT ON SCHEMA rls_tenant IS 'rls_tenant: row-level security as a tenant boundary';

-- Context: reading
--
-- A policy calls current_tenant_uuid(). Its argument defaults to the stable function tenant_setting(), so it is a pure
-- function of its argument, and PostgreSQL sees by itself that an index or a partition key on it would not hold still.
-- The support function puts fast_tenant_uuid(), which looks nothing up, in the place of the call.

CREATE FUNCTION rls_tenant.context_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_context_support';
REVOKE ALL ON FUNCTION rls_tenant.context_support(internal) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.context_support(internal) IS 'planner support: puts the fast call in the place of a context function';

CREATE FUNCTION rls_tenant.tenant_setting() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_tenant_setting';
COMMENT ON FUNCTION rls_tenant.tenant_setting() IS 'the tenant of the context as text: the default argument of current_tenant_uuid() and its kin';

CREATE FUNCTION rls_tenant.fast_tenant_uuid() RETURNS uuid
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_tenant_uuid';
COMMENT ON FUNCTION rls_tenant.fast_tenant_uuid() IS 'what the planner puts in the place of current_tenant_uuid()';

CREATE FUNCTION rls_tenant.current_tenant_uuid(setting text DEFAULT rls_tenant.tenant_setting()) RETURNS uuid
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_tenant_uuid';
COMMENT ON FUNCTION rls_tenant.current_tenant_uuid(text) IS 'the tenant that this transaction stands for, as uuid; raises 55000 if none is set (NULL with rls_tenant.missing_context = null) and 22P02 if it is no uuid';

CREATE FUNCTION rls_tenant.fast_tenant_bigint() RETURNS bigint
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_tenant_bigint';
COMMENT ON FUNCTION rls_tenant.fast_tenant_bigint() IS 'what the planner puts in the place of current_tenant_bigint()';

CREATE FUNCTION rls_tenant.current_tenant_bigint(setting text DEFAULT rls_tenant.tenant_setting()) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_tenant_bigint';
COMMENT ON FUNCTION rls_tenant.current_tenant_bigint(text) IS 'the tenant that this transaction stands for, as bigint; raises 55000 if none is set (NULL with rls_tenant.missing_context = null) and 22P02 if it is no bigint';

CREATE FUNCTION rls_tenant.fast_tenant_text() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_tenant_text';
COMMENT ON FUNCTION rls_tenant.fast_tenant_text() IS 'what the planner puts in the place of current_tenant_text()';

CREATE FUNCTION rls_tenant.current_tenant_text(setting text DEFAULT rls_tenant.tenant_setting()) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_tenant_text';
COMMENT ON FUNCTION rls_tenant.current_tenant_text(text) IS 'the tenant that this transaction stands for, as text; raises 55000 if none is set (NULL with rls_tenant.missing_context = null) and 22P02 if it is no text';

CREATE FUNCTION rls_tenant.account_setting() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_account_setting';
COMMENT ON FUNCTION rls_tenant.account_setting() IS 'the account of the context as text: the default argument of current_account_uuid() and its kin';

CREATE FUNCTION rls_tenant.fast_account_uuid() RETURNS uuid
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_account_uuid';
COMMENT ON FUNCTION rls_tenant.fast_account_uuid() IS 'what the planner puts in the place of current_account_uuid()';

CREATE FUNCTION rls_tenant.current_account_uuid(setting text DEFAULT rls_tenant.account_setting()) RETURNS uuid
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_account_uuid';
COMMENT ON FUNCTION rls_tenant.current_account_uuid(text) IS 'the account that this transaction stands for, as uuid; raises 55000 if none is set (NULL with rls_tenant.missing_context = null) and 22P02 if it is no uuid';

CREATE FUNCTION rls_tenant.fast_account_bigint() RETURNS bigint
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_account_bigint';
COMMENT ON FUNCTION rls_tenant.fast_account_bigint() IS 'what the planner puts in the place of current_account_bigint()';

CREATE FUNCTION rls_tenant.current_account_bigint(setting text DEFAULT rls_tenant.account_setting()) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_account_bigint';
COMMENT ON FUNCTION rls_tenant.current_account_bigint(text) IS 'the account that this transaction stands for, as bigint; raises 55000 if none is set (NULL with rls_tenant.missing_context = null) and 22P02 if it is no bigint';

CREATE FUNCTION rls_tenant.fast_account_text() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_account_text';
COMMENT ON FUNCTION rls_tenant.fast_account_text() IS 'what the planner puts in the place of current_account_text()';

CREATE FUNCTION rls_tenant.current_account_text(setting text DEFAULT rls_tenant.account_setting()) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_account_text';
COMMENT ON FUNCTION rls_tenant.current_account_text(text) IS 'the account that this transaction stands for, as text; raises 55000 if none is set (NULL with rls_tenant.missing_context = null) and 22P02 if it is no text';

CREATE FUNCTION rls_tenant.user_setting() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_user_setting';
COMMENT ON FUNCTION rls_tenant.user_setting() IS 'the user of the context as text: the default argument of current_user_uuid() and its kin';

CREATE FUNCTION rls_tenant.fast_user_uuid() RETURNS uuid
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_user_uuid';
COMMENT ON FUNCTION rls_tenant.fast_user_uuid() IS 'what the planner puts in the place of current_user_uuid()';

CREATE FUNCTION rls_tenant.current_user_uuid(setting text DEFAULT rls_tenant.user_setting()) RETURNS uuid
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_user_uuid';
COMMENT ON FUNCTION rls_tenant.current_user_uuid(text) IS 'the user that this transaction stands for, as uuid; raises 55000 if none is set (NULL with rls_tenant.missing_context = null) and 22P02 if it is no uuid';

CREATE FUNCTION rls_tenant.fast_user_bigint() RETURNS bigint
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_user_bigint';
COMMENT ON FUNCTION rls_tenant.fast_user_bigint() IS 'what the planner puts in the place of current_user_bigint()';

CREATE FUNCTION rls_tenant.current_user_bigint(setting text DEFAULT rls_tenant.user_setting()) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_user_bigint';
COMMENT ON FUNCTION rls_tenant.current_user_bigint(text) IS 'the user that this transaction stands for, as bigint; raises 55000 if none is set (NULL with rls_tenant.missing_context = null) and 22P02 if it is no bigint';

CREATE FUNCTION rls_tenant.fast_user_text() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_user_text';
COMMENT ON FUNCTION rls_tenant.fast_user_text() IS 'what the planner puts in the place of current_user_text()';

CREATE FUNCTION rls_tenant.current_user_text(setting text DEFAULT rls_tenant.user_setting()) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_user_text';
COMMENT ON FUNCTION rls_tenant.current_user_text(text) IS 'the user that this transaction stands for, as text; raises 55000 if none is set (NULL with rls_tenant.missing_context = null) and 22P02 if it is no text';

-- Context: setting and showing

CREATE FUNCTION rls_tenant.set_context(tenant_id text, account_id text DEFAULT NULL, user_id text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_set_context_text';
COMMENT ON FUNCTION rls_tenant.set_context(text, text, text) IS 'sets the context to the end of the transaction; account and user go back to their default where NULL; raises 22004 or 22023 without a tenant, 25001 if another one was read before';

CREATE FUNCTION rls_tenant.set_context(tenant_id uuid, account_id uuid DEFAULT NULL, user_id uuid DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_set_context_uuid';
COMMENT ON FUNCTION rls_tenant.set_context(uuid, uuid, uuid) IS 'sets the context to the end of the transaction; account and user go back to their default where NULL; raises 22004 or 22023 without a tenant, 25001 if another one was read before';

CREATE FUNCTION rls_tenant.set_context(tenant_id bigint, account_id bigint DEFAULT NULL, user_id bigint DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_set_context_bigint';
COMMENT ON FUNCTION rls_tenant.set_context(bigint, bigint, bigint) IS 'sets the context to the end of the transaction; account and user go back to their default where NULL; raises 22004 or 22023 without a tenant, 25001 if another one was read before';

CREATE FUNCTION rls_tenant.clear_context() RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_clear_context';
COMMENT ON FUNCTION rls_tenant.clear_context() IS 'takes tenant, account and user back to their defaults; raises 25001 if one of them was read before';

CREATE FUNCTION rls_tenant.current_context(
  OUT tenant_id text, OUT tenant_source text, OUT account_id text, OUT account_source text, OUT user_id text, OUT user_source text)
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_current_context';
COMMENT ON FUNCTION rls_tenant.current_context() IS 'the context in one row, and where each value came from: transaction, role, database, …; NULL where unset. Does not bind the transaction';

-- Policies

CREATE FUNCTION rls_tenant.protect(relation regclass, tenant_column name DEFAULT NULL, access text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_protect';
COMMENT ON FUNCTION rls_tenant.protect(regclass, name, text) IS 'makes a table a tenant table, as the caller: runs what protect_sql() says. May be run again. tenant_column: default rls_tenant.tenant_column; access: who sees which of the tenant''s rows, default all (or what the table says already)';

CREATE FUNCTION rls_tenant.protect_sql(relation regclass, tenant_column name DEFAULT NULL, access text DEFAULT NULL) RETURNS SETOF text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_protect_sql';
COMMENT ON FUNCTION rls_tenant.protect_sql(regclass, name, text) IS 'the statements that a table still needs to be a tenant table, in order, for a migration file; no row if it is one';

-- Guard

CREATE TABLE rls_tenant.exemption (
  schema_name text NOT NULL,
  relation_pattern text NOT NULL CHECK (relation_pattern !~ '(^|[^\\])(\\\\)*\\$'),
  rules text[] CHECK (cardinality(rules) > 0),
  reason text NOT NULL CHECK (reason ~ '\S'),
  added_by name NOT NULL DEFAULT session_user,
  added_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (schema_name, relation_pattern)
);
REVOKE ALL ON rls_tenant.exemption FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('rls_tenant.exemption', '');
COMMENT ON TABLE rls_tenant.exemption IS 'tables that the guard lets be, each with a reason; written by exempt() and baseline()';
COMMENT ON COLUMN rls_tenant.exemption.schema_name IS 'the schema''s name, to the letter';
COMMENT ON COLUMN rls_tenant.exemption.relation_pattern IS 'a LIKE pattern for the names of tables; \_ is an underscore to the letter';
COMMENT ON COLUMN rls_tenant.exemption.rules IS 'the rules that are waived; NULL: all';
COMMENT ON COLUMN rls_tenant.exemption.reason IS 'why these tables need no protection';
COMMENT ON COLUMN rls_tenant.exemption.added_by IS 'the session user who added it';
COMMENT ON COLUMN rls_tenant.exemption.added_at IS 'when it was added';

CREATE FUNCTION rls_tenant.table_faults(relation regclass, OUT rule text, OUT detail text, OUT remedy text) RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_table_faults';
REVOKE ALL ON FUNCTION rls_tenant.table_faults(regclass) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.table_faults(regclass) IS 'the rules of a tenant table that a table breaks, whatever its exemptions, each with the statement that mends it';

CREATE FUNCTION rls_tenant.table_rules() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{no_tenant_column,tenant_nullable,rls_off,rls_off_with_policies,rls_not_forced,no_policy,only_restrictive,not_confined,always_true,floor_not_public,child_unprotected,unlike_parent}'::text[];
REVOKE ALL ON FUNCTION rls_tenant.table_rules() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.table_rules() IS 'the names of the rules that table_faults() knows and exempt() takes';

CREATE FUNCTION rls_tenant.exempt(schema name, relation_pattern text, reason text, rules text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  unknown text;
  matches bigint;
BEGIN
  IF coalesce($1, '') = '' OR coalesce($2, '') = '' OR coalesce($3, '') !~ '\S' THEN
    RAISE EXCEPTION 'an exemption needs a schema, a pattern and a reason'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'One of them is NULL or empty.',
        HINT = 'SELECT rls_tenant.exempt(''schema'', ''table'', ''why it belongs to no tenant'');';
  END IF;
  IF $2 ~ '(^|[^\\])(\\\\)*\\$' THEN
    RAISE EXCEPTION 'the pattern "%" ends in an escape character', $2
      USING ERRCODE = 'invalid_escape_sequence', DETAIL = 'It is a pattern for LIKE.', HINT = 'Write \\ for a backslash.';
  END IF;
  IF pg_catalog.cardinality($4) = 0 OR pg_catalog.array_position($4, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'the list of rules is empty, or one of them is NULL'
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'rules names the rules that are waived.', HINT = 'NULL instead of a list waives all.';
  END IF;
  SELECT r INTO unknown FROM pg_catalog.unnest($4) r WHERE r <> ALL (rls_tenant.table_rules()) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'there is no rule "%"', unknown
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'rules names the rules that are waived; NULL waives all.',
        HINT = 'The rules are: ' || pg_catalog.array_to_string(rls_tenant.table_rules(), ', ') || '.';
  END IF;
  INSERT INTO rls_tenant.exemption AS e (schema_name, relation_pattern, rules, reason)
  VALUES ($1, $2, $4, $3)
  ON CONFLICT ON CONSTRAINT exemption_pkey
  DO UPDATE SET rules = excluded.rules, reason = excluded.reason, added_by = excluded.added_by, added_at = excluded.added_at;
  SELECT count(*) INTO matches
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname LIKE $2 AND c.relkind IN ('r', 'p');
  IF matches <> 1 THEN
    RAISE NOTICE 'the exemption covers % tables of schema "%" today', matches, $1;
  END IF;
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.exempt(name, text, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.exempt(name, text, text, text[]) IS 'lets the tables of a schema whose name is LIKE the pattern be, for a reason; rules: those that are waived, NULL for all; raises 22004, 22023 or 22025';

CREATE FUNCTION rls_tenant.baseline(reason text DEFAULT 'there before the guard') RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  added bigint;
BEGIN
  IF coalesce($1, '') !~ '\S' THEN
    RAISE EXCEPTION 'a baseline needs a reason'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'It is NULL or empty.', HINT = 'SELECT rls_tenant.baseline(''why'');';
  END IF;
  INSERT INTO rls_tenant.exemption (schema_name, relation_pattern, rules, reason)
  SELECT n.nspname, pg_catalog.regexp_replace(c.relname, '([\\%_])', '\\\1', 'g'), pg_catalog.array_agg(DISTINCT f.rule), $1
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL rls_tenant.table_faults(c.oid) f
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'rls_tenant')
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::regclass
        AND (d.classid, d.objid) IN (('pg_catalog.pg_class'::regclass, c.oid), ('pg_catalog.pg_namespace'::regclass, n.oid)))
  GROUP BY n.nspname, c.relname
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS added = ROW_COUNT;
  RETURN added;
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.baseline(text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.baseline(text) IS 'exempts every table that breaks rules today from just these rules, for adoption; gives the number of exemptions added';

CREATE FUNCTION rls_tenant.guard_note_ddl() RETURNS event_trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_guard_note_ddl';
REVOKE ALL ON FUNCTION rls_tenant.guard_note_ddl() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.guard_note_ddl() IS 'event trigger: notes the tables that the transaction makes or alters, for the check at its end';

-- Without a filter on tags: CREATE SCHEMA with elements makes tables, too.
CREATE EVENT TRIGGER rls_tenant_guard ON ddl_command_end EXECUTE FUNCTION rls_tenant.guard_note_ddl();
ALTER EVENT TRIGGER rls_tenant_guard ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER rls_tenant_guard IS 'rls_tenant: tables are checked at the end of the transaction that makes them';
