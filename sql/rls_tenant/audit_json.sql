-- What audit() finds for programs: as JSON, as SARIF, and what has changed since.

CREATE FUNCTION rls_tenant.audit_json(schema_pattern text DEFAULT '%') RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  SELECT jsonb_build_object('database', current_database(), 'server_version', current_setting('server_version'),
    'extension_version', (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'rls_tenant'),
    'schema_pattern', $1, 'made_at', now(),
    'counts', jsonb_build_object('leak', count(*) FILTER (WHERE a.severity = 'leak'),
      'risk', count(*) FILTER (WHERE a.severity = 'risk'), 'speed', count(*) FILTER (WHERE a.severity = 'speed'),
      'note', count(*) FILTER (WHERE a.severity = 'note'), 'accepted', count(*) FILTER (WHERE a.severity = 'accepted')),
    'findings', coalesce(jsonb_agg(jsonb_build_object('severity', a.severity, 'rule', a.rule,
      'object_type', a.object_type, 'object', a.object, 'finding', a.finding, 'remedy', a.remedy) ORDER BY a.n), '[]'))
  FROM rls_tenant.audit($1, true) WITH ORDINALITY a(severity, rule, object_type, object, finding, remedy, n)
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_json(text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_json(text) IS
  'what audit() finds, with what exempt() has accepted, as one JSON object: counts, and findings, worst first. '
  'schema_pattern as for audit(). Granted to nobody';

CREATE FUNCTION rls_tenant.audit_sarif(schema_pattern text DEFAULT '%', file text DEFAULT NULL) RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH rule AS MATERIALIZED (
    SELECT r.rule, r.severity, r.meaning, n - 1 AS index,
      CASE r.severity WHEN 'leak' THEN 'error' WHEN 'risk' THEN 'warning' ELSE 'note' END AS level
    FROM rls_tenant.audit_rules() WITH ORDINALITY r(rule, severity, meaning, n)),
  place AS (
    -- Code hosts refuse a result without a file. It is a URI: all bytes but letters, digits and -./_~ are encoded.
    SELECT CASE WHEN $2 <> '' THEN jsonb_build_object('physicalLocation', jsonb_build_object(
      'artifactLocation', jsonb_build_object('uri', string_agg(
        CASE WHEN b BETWEEN 45 AND 57 OR b BETWEEN 65 AND 90 OR b BETWEEN 97 AND 122 OR b IN (95, 126) THEN chr(b)
        ELSE '%' || upper(lpad(to_hex(b), 2, '0')) END, '' ORDER BY i)),
      'region', jsonb_build_object('startLine', 1))) ELSE '{}' END AS value
    FROM convert_to($2, 'UTF8') file, generate_series(0, octet_length(file) - 1) i, get_byte(file, i) b),
  result AS (
    -- A finding that was accepted says its own severity and the reason at its end.
    SELECT a.n, jsonb_build_object('ruleId', a.rule, 'ruleIndex', r.index,
      'level', CASE coalesce(x.accepted[1], a.severity) WHEN 'leak' THEN 'error' WHEN 'risk' THEN 'warning'
        ELSE 'note' END,
      'message', jsonb_build_object('text', format('%s %s: %s', a.object_type, a.object, a.finding)),
      'locations', jsonb_build_array((SELECT p.value FROM place p) || jsonb_build_object('logicalLocations',
        jsonb_build_array(jsonb_build_object('fullyQualifiedName', a.object, 'kind', a.object_type)))),
      'partialFingerprints', jsonb_build_object('finding/v1', encode(sha256(convert_to(
        jsonb_build_array(a.rule, a.object_type, a.object, a.finding)::text, 'UTF8')), 'hex')),
      'properties', jsonb_build_object('severity', a.severity, 'remedy', a.remedy))
      || CASE WHEN a.severity = 'accepted' THEN jsonb_build_object('suppressions', jsonb_build_array(
           jsonb_build_object('kind', 'external', 'justification', x.accepted[2]))) ELSE '{}' END AS value
    FROM rls_tenant.audit($1, true) WITH ORDINALITY a(severity, rule, object_type, object, finding, remedy, n)
    JOIN rule r ON r.rule = a.rule
    LEFT JOIN LATERAL (SELECT regexp_match(a.finding, '.* \((leak|risk|speed|note), accepted: (.*)\)$') AS accepted
                       WHERE a.severity = 'accepted') x ON true)
  SELECT jsonb_build_object('$schema', 'https://json.schemastore.org/sarif-2.1.0.json', 'version', '2.1.0',
    'runs', jsonb_build_array(jsonb_build_object(
      'tool', jsonb_build_object('driver', jsonb_build_object('name', 'rls_tenant',
        'version', (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'rls_tenant'),
        'rules', (SELECT jsonb_agg(jsonb_build_object('id', r.rule, 'shortDescription',
          jsonb_build_object('text', r.meaning), 'defaultConfiguration', jsonb_build_object('level', r.level),
          'properties', jsonb_build_object('severity', r.severity)) ORDER BY r.index) FROM rule r))),
      'results', (SELECT coalesce(jsonb_agg(r.value ORDER BY r.n), '[]') FROM result r))))
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_sarif(text, text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_sarif(text, text) IS
  'what audit() finds as SARIF 2.1.0, for systems that show findings of linters; what exempt() has accepted is '
  'suppressed there, with its reason. schema_pattern as for audit(); file: a path in the repository at which code '
  'hosts show the findings, such as the migration; NULL: none. Granted to nobody';

CREATE FUNCTION rls_tenant.audit_changes(before jsonb, schema_pattern text DEFAULT '%', OUT change text,
  OUT severity text, OUT rule text, OUT object_type text, OUT object text, OUT finding text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  IF pg_catalog.jsonb_typeof(before -> 'findings') IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION 'this is not what audit_json() gave'
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'There is no array "findings" in it.',
        HINT = 'SELECT rls_tenant.audit_json(); gives what to keep and to hand over later.';
  END IF;
  RETURN QUERY
  WITH earlier AS (
    SELECT f.* FROM pg_catalog.jsonb_to_recordset(before -> 'findings')
      f(severity text, rule text, object_type text, object text, finding text)),
  present AS MATERIALIZED (SELECT a.* FROM rls_tenant.audit($2, true) a),
  now_known AS (SELECT p.severity, p.rule, p.object_type, p.object, p.finding FROM present p),
  difference AS (
    SELECT 'new' AS change, n.* FROM (SELECT * FROM now_known EXCEPT SELECT * FROM earlier) n
    UNION ALL
    SELECT 'gone', g.* FROM (SELECT * FROM earlier EXCEPT SELECT * FROM now_known) g)
  SELECT d.change, d.severity, d.rule, d.object_type, d.object, d.finding,
    (SELECT p.remedy FROM present p WHERE d.change = 'new' AND p.severity = d.severity AND p.rule = d.rule
       AND p.object_type = d.object_type AND p.object = d.object AND p.finding = d.finding LIMIT 1)
  FROM difference d
  ORDER BY d.change DESC, pg_catalog.array_position(rls_tenant.severities(), d.severity),
    d.rule COLLATE "C", d.object COLLATE "C", d.finding COLLATE "C";
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_changes(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_changes(jsonb, text) IS
  'what audit() finds that it did not find (new), and what it no longer finds (gone), since audit_json() gave before. '
  'schema_pattern: the same as then. 22023: before is not what audit_json() gave. Granted to nobody';
