-- The guard: exemptions, event triggers, and what the guard does now.

-- Exemptions
--
-- The baseline accepts how tables are today, and does not say that they belong to no tenant: audit() goes on looking
-- around them.
CREATE TABLE rls_tenant.exemption (
  schema_name text NOT NULL,
  relation_pattern text NOT NULL CHECK (relation_pattern !~ '(^|[^\\])(\\\\)*\\$'),
  rules text[] CHECK (cardinality(rules) > 0),
  reason text NOT NULL CHECK (reason ~ '\S'),
  added_by name NOT NULL DEFAULT session_user,
  added_at timestamptz NOT NULL DEFAULT now(),
  baseline boolean NOT NULL DEFAULT false,
  PRIMARY KEY (schema_name, relation_pattern)
);
REVOKE ALL ON rls_tenant.exemption FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('rls_tenant.exemption', '');
COMMENT ON TABLE rls_tenant.exemption IS
  'what the guard does not check and audit() reports as accepted, each with a reason; written by exempt() and '
  'baseline()';
COMMENT ON COLUMN rls_tenant.exemption.schema_name IS
  'the schema''s name, to the letter; * for roles, settings and the server';
COMMENT ON COLUMN rls_tenant.exemption.relation_pattern IS
  'a LIKE pattern for the names of tables, views, functions or, with schema *, roles and settings; \_ is an '
  'underscore to the letter';
COMMENT ON COLUMN rls_tenant.exemption.rules IS 'the rules that are waived; NULL: all';
COMMENT ON COLUMN rls_tenant.exemption.reason IS 'why these tables need no protection';
COMMENT ON COLUMN rls_tenant.exemption.added_by IS 'the session user who added it';
COMMENT ON COLUMN rls_tenant.exemption.added_at IS 'when it was added';
COMMENT ON COLUMN rls_tenant.exemption.baseline IS
  'whether baseline() added it: it accepts how the table is, so audit() goes on looking at what is around it';

CREATE FUNCTION rls_tenant.table_faults(relation regclass, OUT rule text, OUT detail text, OUT remedy text)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_table_faults';
REVOKE ALL ON FUNCTION rls_tenant.table_faults(regclass) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.table_faults(regclass) IS
  'the rules that a table or view breaks, whatever its exemptions, each with the statement that fixes it';

CREATE FUNCTION rls_tenant.table_rules() RETURNS text[]
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_table_rules';
REVOKE ALL ON FUNCTION rls_tenant.table_rules() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.table_rules() IS 'the names of the rules that the guard knows; audit_rules() has all';

CREATE FUNCTION rls_tenant.exempt(schema name, relation_pattern text, reason text, rules text[] DEFAULT NULL)
RETURNS void
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
      USING ERRCODE = 'invalid_escape_sequence', DETAIL = 'It is a pattern for LIKE.',
        HINT = 'Write \\ for a backslash.';
  END IF;
  IF pg_catalog.cardinality($4) = 0 OR pg_catalog.array_position($4, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'the list of rules is empty, or one of them is NULL'
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'rules names the rules that are waived.',
        HINT = 'NULL instead of a list waives all.';
  END IF;
  SELECT r INTO unknown FROM pg_catalog.unnest($4) r WHERE r NOT IN (SELECT rule FROM rls_tenant.audit_rules()) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'rule "%" does not exist', unknown
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'rules names the rules that are waived; NULL waives all.',
        HINT = 'The guard''s rules are: ' || pg_catalog.array_to_string(rls_tenant.table_rules(), ', ')
          || '; SELECT * FROM rls_tenant.audit_rules() lists all.';
  END IF;
  INSERT INTO rls_tenant.exemption AS e (schema_name, relation_pattern, rules, reason)
  VALUES ($1, $2, $4, $3)
  ON CONFLICT ON CONSTRAINT exemption_pkey
  DO UPDATE SET rules = excluded.rules, reason = excluded.reason, added_by = excluded.added_by,
    added_at = excluded.added_at, baseline = false;
  IF $1 = '*' THEN RETURN; END IF;  -- roles and the server: who knows which there will be
  SELECT count(*) INTO matches
  FROM (SELECT relnamespace, relname FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
        UNION ALL SELECT pronamespace, proname FROM pg_catalog.pg_proc) c(schema, name)
  JOIN pg_catalog.pg_namespace n ON n.oid = c.schema
  WHERE n.nspname = $1 AND c.name LIKE $2;
  IF matches <> 1 THEN
    RAISE NOTICE 'the exemption covers % relations and functions of schema "%" today', matches, $1;
  END IF;
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.exempt(name, text, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.exempt(name, text, text, text[]) IS
  'exempts the tables, views and functions of a schema (* for roles and settings) whose names are LIKE the pattern '
  'from rules, for a reason; rules: those that are waived, NULL for all; raises 22004, 22023 or 22025';

CREATE FUNCTION rls_tenant.judged_relations(OUT relation oid, OUT schema_name name, OUT relation_name name)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.oid, n.nspname, c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'rls_tenant')
    AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
        AND (d.classid, d.objid) IN (('pg_class'::regclass, c.oid), ('pg_namespace'::regclass, n.oid)))
$$;
REVOKE ALL ON FUNCTION rls_tenant.judged_relations() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.judged_relations() IS
  'part of status() and baseline(): tables and views that are neither temporary, nor the system''s, nor an '
  'extension''s';

CREATE FUNCTION rls_tenant.baseline(reason text DEFAULT 'there before the guard') RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  added bigint;
BEGIN
  IF coalesce($1, '') !~ '\S' THEN
    RAISE EXCEPTION 'a baseline needs a reason'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'It is NULL or empty.',
        HINT = 'SELECT rls_tenant.baseline(''why'');';
  END IF;
  INSERT INTO rls_tenant.exemption (schema_name, relation_pattern, rules, reason, baseline)
  SELECT r.schema_name, pg_catalog.regexp_replace(r.relation_name, '([\\%_])', '\\\1', 'g'),
    pg_catalog.array_agg(DISTINCT f.rule), $1, true
  FROM rls_tenant.judged_relations() r CROSS JOIN LATERAL rls_tenant.table_faults(r.relation) f
  GROUP BY r.schema_name, r.relation_name
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS added = ROW_COUNT;
  RETURN added;
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.baseline(text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.baseline(text) IS
  'exempts every table and view that breaks rules today from just these rules, for adoption; gives the number of '
  'exemptions added';

CREATE FUNCTION rls_tenant.guard_note_ddl() RETURNS event_trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_guard_note_ddl';
REVOKE ALL ON FUNCTION rls_tenant.guard_note_ddl() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.guard_note_ddl() IS
  'event trigger: notes the tables that the transaction makes or alters, for the check at its end';

-- Without a filter on tags: CREATE SCHEMA with elements makes tables, too.
CREATE EVENT TRIGGER rls_tenant_guard ON ddl_command_end EXECUTE FUNCTION rls_tenant.guard_note_ddl();
ALTER EVENT TRIGGER rls_tenant_guard ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER rls_tenant_guard IS
  'rls_tenant: tables are checked at the end of the transaction that makes them';

CREATE FUNCTION rls_tenant.guard_note_drop() RETURNS event_trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_guard_note_drop';
REVOKE ALL ON FUNCTION rls_tenant.guard_note_drop() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.guard_note_drop() IS
  'event trigger: notes the tables that the transaction takes policies or columns from, for the check at its end';

CREATE EVENT TRIGGER rls_tenant_guard_drop ON sql_drop EXECUTE FUNCTION rls_tenant.guard_note_drop();
ALTER EVENT TRIGGER rls_tenant_guard_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER rls_tenant_guard_drop IS
  'rls_tenant: tables are checked at the end of the transaction that takes policies or columns from them';

CREATE FUNCTION rls_tenant.guard_triggers(OUT name name, OUT enabled "char") RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT t.name, e.evtenabled
  FROM (VALUES ('rls_tenant_guard'::name), ('rls_tenant_guard_drop')) t(name)
  LEFT JOIN pg_event_trigger e ON e.evtname = t.name
$$;
REVOKE ALL ON FUNCTION rls_tenant.guard_triggers() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.guard_triggers() IS
  'part of status() and audit(): the event triggers of the guard, and pg_event_trigger.evtenabled of each; NULL: it is '
  'missing';

CREATE FUNCTION rls_tenant.is_preloaded() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (
    SELECT
    FROM (VALUES (current_setting('session_preload_libraries')), (current_setting('shared_preload_libraries'))) v(list)
    CROSS JOIN LATERAL regexp_split_to_table(v.list, '[\s,"]+') l(library)
    WHERE l.library ~ '(^|/)rls_tenant(\.so)?$')
$$;
REVOKE ALL ON FUNCTION rls_tenant.is_preloaded() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.is_preloaded() IS
  'part of status() and audit(): whether the settings of this session preload the library';

CREATE FUNCTION rls_tenant.guard_refusals(OUT refused_at timestamptz, OUT message text, OUT detail text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rls_tenant_guard_refusals';
COMMENT ON FUNCTION rls_tenant.guard_refusals() IS
  'the last ten transactions of this session that the guard refused or warned of, the latest first';

CREATE FUNCTION rls_tenant.status(OUT item text, OUT detail text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH judged AS (
    SELECT r.relation, array_agg(DISTINCT f.rule ORDER BY f.rule) FILTER (WHERE e.reason IS NULL) AS standing
    FROM rls_tenant.judged_relations() r
    CROSS JOIN LATERAL rls_tenant.table_faults(r.relation) f
    LEFT JOIN rls_tenant.exemption e ON r.schema_name = e.schema_name AND r.relation_name LIKE e.relation_pattern
      AND (e.rules IS NULL OR f.rule = ANY (e.rules))
    GROUP BY r.relation),
  rows AS (
    SELECT 1 AS place, 0 AS number, 'mode' AS item, current_setting('rls_tenant.guard') AS detail
    UNION ALL
    SELECT 2, 0, 'library', CASE WHEN rls_tenant.is_preloaded() THEN 'preloaded'
      ELSE 'loaded when it is first needed: until then EXPLAIN ANALYZE CREATE TABLE AS goes unseen; '
           'set session_preload_libraries = ''rls_tenant''' END
    UNION ALL
    SELECT 3, 0, 'event trigger ' || t.name, CASE
      WHEN t.enabled IS NULL THEN 'MISSING: DROP EXTENSION rls_tenant and create it again'
      WHEN t.enabled = 'A' THEN 'enabled always'
      ELSE CASE t.enabled WHEN 'O' THEN 'enabled, but not for session_replication_role = replica' ELSE 'DISABLED' END
        || format(': ALTER EVENT TRIGGER %I ENABLE ALWAYS;', t.name) END
    FROM rls_tenant.guard_triggers() t
    UNION ALL
    SELECT 4, 0, 'event_triggers', 'OFF: no event trigger fires; SET event_triggers = on'
    WHERE current_setting('event_triggers', true) = 'off'
    UNION ALL
    SELECT 5, 0, 'tenant tables',
      format('%s, and %s partitions and children of them', count(*) FILTER (WHERE ancestor IS NULL), count(ancestor))
    FROM rls_tenant.tenant_tables()
    UNION ALL
    SELECT 6, 0, 'relations with faults that are not exempt', CASE WHEN count(*) = 0 THEN 'none'
      ELSE format('%s (SELECT * FROM rls_tenant.table_faults(''…'')): %s%s', count(*),
        array_to_string((array_agg(relation::regclass::text ORDER BY relation::regclass::text))[:20], ', '),
        CASE WHEN count(*) > 20 THEN ', …' END) END
    FROM judged WHERE standing IS NOT NULL
    UNION ALL
    SELECT 7, row_number() OVER (ORDER BY reason)::int, 'exempt: ' || reason,
      string_agg(format('%I.%s%s', schema_name, relation_pattern,
        CASE WHEN rules IS NOT NULL THEN ' (' || array_to_string(rules, ', ') || ')' END), ', '
        ORDER BY schema_name, relation_pattern)
    FROM rls_tenant.exemption GROUP BY reason
    UNION ALL
    SELECT 8, number::int, format('refused at %s', date_trunc('second', refused_at)), message || E'\n' || r.detail
    FROM rls_tenant.guard_refusals() WITH ORDINALITY r(refused_at, message, detail, number))
  SELECT item, detail FROM rows ORDER BY place, number, item
$$;
REVOKE ALL ON FUNCTION rls_tenant.status() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.status() IS
  'what the guard does now: its mode, event triggers, tenant tables, relations with faults, exemptions by reason, '
  'and the last refusals of this session; granted to nobody';

-- Restoring as a role that is not a superuser
--
-- A dump copies the rows of the configuration tables. Everybody may INSERT; a trigger decides, before constraints and
-- unique indexes could tell of other rows.
CREATE FUNCTION rls_tenant.check_configuration_row() RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_check_configuration_row';
REVOKE ALL ON FUNCTION rls_tenant.check_configuration_row() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.check_configuration_row() IS
  'row trigger on the configuration tables: lets in a row that a role restores whose guard is off, for schemas in '
  'which it may make tables and relations that it owns; 42501 else. Raises 39P01 when called otherwise';

-- Their names come first: triggers fire in the order of names.
CREATE TRIGGER rls_tenant_check BEFORE INSERT ON rls_tenant.exemption
FOR EACH ROW EXECUTE FUNCTION rls_tenant.check_configuration_row();
ALTER TABLE rls_tenant.exemption ENABLE ALWAYS TRIGGER rls_tenant_check;

CREATE TRIGGER rls_tenant_check BEFORE INSERT ON rls_tenant.membership_source
FOR EACH ROW EXECUTE FUNCTION rls_tenant.check_configuration_row();
ALTER TABLE rls_tenant.membership_source ENABLE ALWAYS TRIGGER rls_tenant_check;
GRANT INSERT ON rls_tenant.exemption, rls_tenant.membership_source TO PUBLIC;
