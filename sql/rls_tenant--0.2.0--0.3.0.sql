-- rls_tenant 0.2.0 to 0.3.0: the guard, complete.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.3.0'" to load this file. \quit

-- Guard: what it does now

CREATE FUNCTION rls_tenant.tenant_tables(OUT relation regclass, OUT tenant_column name, OUT ancestor regclass) RETURNS SETOF record
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_tenant_tables';
COMMENT ON FUNCTION rls_tenant.tenant_tables() IS 'the tables whose policies keep tenants apart, and their parts; tenant_column is NULL where another table says whose a row is';

CREATE FUNCTION rls_tenant.guard_refusals(OUT refused_at timestamptz, OUT message text, OUT detail text) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rls_tenant_guard_refusals';
COMMENT ON FUNCTION rls_tenant.guard_refusals() IS 'the last ten transactions of this session that the guard refused or warned of, the latest first';

CREATE FUNCTION rls_tenant.status(OUT item text, OUT detail text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH judged AS (
    SELECT c.oid, array_agg(DISTINCT f.rule ORDER BY f.rule) FILTER (WHERE e.reason IS NULL) AS standing
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL rls_tenant.table_faults(c.oid) f
    LEFT JOIN rls_tenant.exemption e ON n.nspname = e.schema_name AND c.relname LIKE e.relation_pattern
      AND (e.rules IS NULL OR f.rule = ANY (e.rules))
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'rls_tenant')
      AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
          AND (d.classid, d.objid) IN (('pg_class'::regclass, c.oid), ('pg_namespace'::regclass, n.oid)))
    GROUP BY c.oid),
  rows AS (
    SELECT 1 AS place, 0 AS number, 'mode' AS item, current_setting('rls_tenant.guard') AS detail
    UNION ALL
    SELECT 2, 0, 'library', CASE
      WHEN concat_ws(',', current_setting('session_preload_libraries'), current_setting('shared_preload_libraries')) ~ '\mrls_tenant\M'
        THEN 'preloaded'
        ELSE 'loaded when it is first needed: until then EXPLAIN ANALYZE CREATE TABLE AS goes unseen; set session_preload_libraries = ''rls_tenant''' END
    UNION ALL
    SELECT 3, 0, 'event trigger ' || t.name, CASE e.evtenabled WHEN 'A' THEN 'enabled always'
      WHEN 'O' THEN 'enabled, but not for session_replication_role = replica: ALTER EVENT TRIGGER ' || t.name || ' ENABLE ALWAYS;'
        ELSE coalesce('DISABLED: ALTER EVENT TRIGGER ' || e.evtname || ' ENABLE ALWAYS;', 'MISSING: DROP EXTENSION rls_tenant and create it anew') END
    FROM (VALUES ('rls_tenant_guard'), ('rls_tenant_guard_drop')) t(name)
    LEFT JOIN pg_event_trigger e ON e.evtname = t.name
    UNION ALL
    SELECT 4, 0, 'event_triggers', 'OFF: no event trigger fires; SET event_triggers = on'
    WHERE current_setting('event_triggers', true) = 'off'
    UNION ALL
    SELECT 5, 0, 'tenant tables', format('%s, and %s parts of them', count(*) FILTER (WHERE ancestor IS NULL), count(ancestor))
    FROM rls_tenant.tenant_tables()
    UNION ALL
    SELECT 6, 0, 'relations with faults that are not exempt', CASE WHEN count(*) = 0 THEN 'none' ELSE count(*)
      || ' (SELECT * FROM rls_tenant.table_faults(''…'')): ' || array_to_string((array_agg(oid::regclass::text ORDER BY oid::regclass::text))[:20], ', ') || CASE WHEN count(*) > 20 THEN ', …' ELSE '' END END
    FROM judged WHERE standing IS NOT NULL
    UNION ALL
    SELECT 7, row_number() OVER (ORDER BY reason)::int, 'exempt: ' || reason, string_agg(format('%I.%s%s', schema_name, relation_pattern,
      CASE WHEN rules IS NOT NULL THEN ' (' || array_to_string(rules, ', ') || ')' END), ', ' ORDER BY schema_name, relation_pattern)
    FROM rls_tenant.exemption GROUP BY reason
    UNION ALL
    SELECT 8, number::int, format('refused at %s', date_trunc('second', refused_at)), message || E'\n' || r.detail
    FROM rls_tenant.guard_refusals() WITH ORDINALITY r(refused_at, message, detail, number))
  SELECT item, detail FROM rows ORDER BY place, number, item
$$;
REVOKE ALL ON FUNCTION rls_tenant.status() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.status() IS 'what the guard does now: its mode, event triggers, tenant tables, relations with faults, exemptions by reason, and the last refusals of this session; granted to nobody';

-- Restoring as a role that is no superuser
--
-- A dump copies the rows of the configuration tables. Everybody may INSERT; a trigger decides, before constraints and
-- unique indexes could tell of other rows.

CREATE FUNCTION rls_tenant.check_configuration_row() RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_check_configuration_row';
REVOKE ALL ON FUNCTION rls_tenant.check_configuration_row() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.check_configuration_row() IS 'row trigger on the configuration tables: lets in a row that a role restores whose guard is off, for schemas in which it may make tables and relations that it owns; 42501 else. Raises 39P01 when called otherwise';

-- Their names come first: triggers fire in the order of names.
CREATE TRIGGER rls_tenant_check BEFORE INSERT ON rls_tenant.exemption
FOR EACH ROW EXECUTE FUNCTION rls_tenant.check_configuration_row();
ALTER TABLE rls_tenant.exemption ENABLE ALWAYS TRIGGER rls_tenant_check;
CREATE TRIGGER rls_tenant_check BEFORE INSERT ON rls_tenant.membership_source
FOR EACH ROW EXECUTE FUNCTION rls_tenant.check_configuration_row();
ALTER TABLE rls_tenant.membership_source ENABLE ALWAYS TRIGGER rls_tenant_check;
GRANT INSERT ON rls_tenant.exemption, rls_tenant.membership_source TO PUBLIC;

-- A dump repeats the comment, which fails for who does not own the extension; with -1 so does everything. The control file
-- keeps it, for pg_available_extensions.
COMMENT ON EXTENSION rls_tenant IS NULL;
