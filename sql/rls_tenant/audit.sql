-- audit() and audit_check(): the parts put together
--
-- audit_relations() and the four that follow find, each in its part of the catalogs; audit() puts them together with
-- the rules and with what has been accepted. All run as the extension's owner, so that nothing is hidden from them;
-- they are granted to nobody. Without JIT, which would take longer than all the rest. No name stands in a comment of a
-- remedy: whoever named the object could end the comment.

CREATE FUNCTION rls_tenant.audit_rules(OUT rule text, OUT severity text, OUT meaning text) RETURNS SETOF record
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_audit_rules';
COMMENT ON FUNCTION rls_tenant.audit_rules() IS
  'the rules of audit(), with their severity (leak: rows cross tenants; risk: they would after one ordinary '
  'mistake, or something shows; speed; note) and meaning';

CREATE FUNCTION rls_tenant.severities(down_to text DEFAULT 'note') RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  all_of_them CONSTANT text[] := '{leak,risk,speed,note}';
BEGIN
  IF NOT coalesce(down_to = ANY (all_of_them), false) THEN
    RAISE EXCEPTION 'severity "%" does not exist', down_to
      USING ERRCODE = 'invalid_parameter_value',
        DETAIL = format('From worst to least they are: %s.', array_to_string(all_of_them, ', ')),
        HINT = 'Name one of them, such as ''risk''.';
  END IF;
  RETURN all_of_them[:array_position(all_of_them, down_to)];
END
$$;
COMMENT ON FUNCTION rls_tenant.severities(text) IS
  'part of audit_check() and of the tests for pgTAP: the severities down to this one, the worst first; 22023: there is '
  'no such one';

CREATE FUNCTION rls_tenant.audit(schema_pattern text DEFAULT '%', accepted boolean DEFAULT false, OUT severity text,
  OUT rule text, OUT object_type text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH found AS (
    SELECT * FROM rls_tenant.audit_relations()
    UNION ALL SELECT * FROM rls_tenant.audit_policies()
    UNION ALL SELECT * FROM rls_tenant.audit_surroundings()
    UNION ALL SELECT * FROM rls_tenant.audit_roles()
    UNION ALL SELECT * FROM rls_tenant.audit_pins()
    UNION ALL SELECT * FROM rls_tenant.audit_speed()),
  judged AS (
    SELECT f.*, coalesce(f.severity, r.severity) AS own_severity, e.reason
    FROM found f LEFT JOIN rls_tenant.audit_rules() r ON r.rule = f.rule
    LEFT JOIN LATERAL (
      -- What is said of exempt tables, and of the membership sources among them, must be waived by its own name.
      SELECT e.reason FROM rls_tenant.exemption e
      WHERE e.schema_name = f.schema_name AND f.object_name LIKE e.relation_pattern
        AND (f.rule = ANY (e.rules)
          OR (e.rules IS NULL AND f.rule NOT IN (
            'exempt_but_tenant', 'fk_from_exempt', 'writable_membership', 'membership_index')))
      ORDER BY e.relation_pattern LIMIT 1) e ON true
    WHERE f.schema_name = '*' OR f.schema_name LIKE $1)
  SELECT CASE WHEN j.reason IS NULL THEN j.own_severity ELSE 'accepted' END, j.rule, j.object_type, j.object,
    j.finding || CASE WHEN j.reason IS NULL THEN '' ELSE format(' (%s, accepted: %s)', j.own_severity, j.reason) END,
    j.remedy
  FROM judged j
  WHERE j.reason IS NULL OR $2
  ORDER BY j.reason IS NOT NULL, array_position(rls_tenant.severities(), j.own_severity), j.rule COLLATE "C",
    j.object COLLATE "C", j.finding COLLATE "C"
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit(text, boolean) IS
  'every way known around the tenant boundary of this database, worst first, each with its remedy. '
  'schema_pattern: for LIKE, of the objects'' schemas (NULL: nothing but roles and server); accepted: also what '
  'exempt() has accepted. Granted to nobody';

CREATE FUNCTION rls_tenant.audit_check(severity text DEFAULT 'risk', schema_pattern text DEFAULT '%') RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  wanted CONSTANT text[] := rls_tenant.severities($1);
  number bigint;
  list text;
BEGIN
  SELECT count(*), string_agg(
    format(E'%s: %s: %s %s: %s\n    %s', a.severity, a.rule, a.object_type, a.object, a.finding, a.remedy), E'\n'
    ORDER BY n) FILTER (WHERE n <= 100)
  INTO number, list
  FROM rls_tenant.audit($2) WITH ORDINALITY a(severity, rule, object_type, object, finding, remedy, n)
  WHERE a.severity = ANY (wanted);
  IF number > 0 THEN
    RAISE EXCEPTION 'the audit has % finding(s) of severity % or worse', number, $1
      USING ERRCODE = 'object_not_in_prerequisite_state',
        DETAIL = list || CASE WHEN number > 100 THEN E'\n…' ELSE '' END,
        HINT = 'SELECT * FROM rls_tenant.audit(); To accept a finding: SELECT rls_tenant.exempt('
               '''schema'', ''object'', ''reason'', ''{rule}''); schema * for roles and server.';
  END IF;
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_check(text, text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_check(text, text) IS
  'raises 55000 if audit() has a finding of that severity (leak, risk, speed, note) or worse, and lists the first '
  'hundred: for a step of your CI. 22023: no such severity. Granted to nobody';
