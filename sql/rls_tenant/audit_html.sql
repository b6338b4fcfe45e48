-- Audit as a page
--
-- The page is ASCII, so that it is the same in every client encoding, and well-formed as XML, too. Values stand in
-- texts, never in attributes. It loads and runs nothing: its Content-Security-Policy forbids what an error of ours
-- could let in.
CREATE FUNCTION rls_tenant.audit_html_text(value text, exact boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF value COLLATE "C" !~ '[^ -~]' THEN
    RETURN replace(replace(replace(replace(replace(value, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'),
      '''', '&#39;');
  END IF;
  RETURN (
    SELECT string_agg(CASE
        WHEN point IN (34, 38, 39, 60, 62) THEN format('&#%s;', point)
        WHEN point BETWEEN 32 AND 126 THEN c
        WHEN exact AND point = 10 THEN c
        WHEN exact AND point IN (9, 13) THEN format('&#%s;', point)
        WHEN point < 32 THEN format('&#%s;', 9216 + point)  -- its picture
        -- What is not seen, or turns the direction of what is, gets a name that is seen; so does what no page may hold.
        WHEN point BETWEEN 127 AND 159 OR (point & 65534) = 65534 OR point BETWEEN 64976 AND 65007
          OR NOT exact AND (point IN (173, 1564, 4447, 4448, 12644, 65279, 65440) OR point BETWEEN 6155 AND 6159
            OR point BETWEEN 8203 AND 8207 OR point BETWEEN 8232 AND 8238 OR point BETWEEN 8288 AND 8303
            OR point BETWEEN 65529 AND 65531 OR point BETWEEN 917504 AND 921599)
          THEN format('[U+%s]', lpad(upper(to_hex(point)), 4, '0'))
        ELSE format('&#%s;', point) END, '' ORDER BY n)
    FROM string_to_table(value, NULL) WITH ORDINALITY t(c, n)
    CROSS JOIN LATERAL (SELECT CASE
      WHEN octet_length(c) = 1 AND ascii(c) < 128 THEN NULL
      WHEN getdatabaseencoding() IN ('SQL_ASCII', 'MULE_INTERNAL') THEN '\xefbfbd'
      ELSE convert_to(c, 'UTF8') END) u(utf8)
    CROSS JOIN LATERAL (SELECT CASE length(utf8)
      WHEN 2 THEN ((get_byte(utf8, 0) & 31) << 6) + (get_byte(utf8, 1) & 63)
      WHEN 3 THEN ((get_byte(utf8, 0) & 15) << 12) + ((get_byte(utf8, 1) & 63) << 6) + (get_byte(utf8, 2) & 63)
      WHEN 4 THEN ((get_byte(utf8, 0) & 7) << 18) + ((get_byte(utf8, 1) & 63) << 12)
        + ((get_byte(utf8, 2) & 63) << 6) + (get_byte(utf8, 3) & 63)
      ELSE ascii(c) END) p(point));
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_html_text(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_html_text(text, boolean) IS
  'part of audit_html(): a value as HTML in ASCII; what cannot be seen is named or, where exact, kept for copying; '
  'NULL gives NULL';

CREATE FUNCTION rls_tenant.audit_html_number(number bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(number, 'FM999,999,999');
REVOKE ALL ON FUNCTION rls_tenant.audit_html_number(bigint) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_html_number(bigint) IS 'part of audit_html(): a number, in groups of digits';

CREATE FUNCTION rls_tenant.audit_html_time(at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN format('<time datetime="%s">%s</time>', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
  to_char(at AT TIME ZONE 'UTC', 'FMDD Mon YYYY, HH24:MI "UTC"'));
REVOKE ALL ON FUNCTION rls_tenant.audit_html_time(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_html_time(timestamptz) IS 'part of audit_html(): a time';

CREATE FUNCTION rls_tenant.audit_html_remedy(remedy text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
  WHEN remedy ~ '^/\*.*\*/$' AND strpos(remedy, '*/') = length(remedy) - 1
    THEN format('<p class="detail">To do: %s.</p>', rls_tenant.audit_html_text(btrim(remedy, '/* ')))
  ELSE format('<pre dir="ltr"><code>%s</code></pre>%s', rls_tenant.audit_html_text(remedy, true),
    CASE WHEN rls_tenant.audit_html_text(remedy) <> rls_tenant.audit_html_text(replace(remedy, E'\n', ' '), true)
      THEN '<p class="by">The statement holds characters that cannot be seen.</p>' END) END;
REVOKE ALL ON FUNCTION rls_tenant.audit_html_remedy(text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_html_remedy(text) IS
  'part of audit_html(): what a person has to do, or a statement for copying';

CREATE FUNCTION rls_tenant.audit_html_style() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $$
:root {
  color-scheme: light dark;
  --page: #f7f7f8; --card: #ffffff; --code: #f2f3f5; --line: #dddfe4; --hover: #eef1f6;
  --text: #1b1d22; --soft: #565c69; --link: #1d4ed8;
  --leak: #b3261e; --on-leak: #ffffff; --leak-ink: #a31f18;
  --risk: #f3bd55; --on-risk: #3d2800; --risk-ink: #8a5200;
  --speed: #bcd3f5; --on-speed: #0f3266; --speed-ink: #2457a6;
  --note: #dfe1e7; --on-note: #31343c; --note-ink: #565c69;
  --good: #cfe8d5; --on-good: #123d22; --good-ink: #1d6b3a;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #131417; --card: #1b1d21; --code: #24262c; --line: #363943; --hover: #25282f;
    --text: #e8e9ed; --soft: #a6abb8; --link: #93b7ff;
    --leak: #c9372c; --on-leak: #ffffff; --leak-ink: #ff9d94;
    --risk: #e0a63a; --on-risk: #241700; --risk-ink: #f0bd62;
    --speed: #31548a; --on-speed: #eaf1fd; --speed-ink: #9dc0f5;
    --note: #444853; --on-note: #eceef2; --note-ink: #a6abb8;
    --good: #24583a; --on-good: #e4f6ea; --good-ink: #86d3a2;
  }
}
*, ::before, ::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
h1, h2, h3, h4, p, ul, dl, dd, pre { margin: 0; padding: 0; }
h1, h2, h3, h4 { line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: 1.875rem; font-weight: 650; letter-spacing: -.015em; }
h2 { font-size: 1.375rem; font-weight: 650; letter-spacing: -.01em; }
h3 { font-size: 1.125rem; font-weight: 650; }
h4 { font-size: 1rem; font-weight: 600; }
ul { list-style: none; }
a { color: var(--link); text-underline-offset: .2em; text-decoration-thickness: 1px; }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 4px; }
code, pre { font-family: ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  font-size: .875em; overflow-wrap: anywhere; }
.hidden { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
.skip { position: absolute; left: 1rem; top: -4rem; z-index: 9; padding: .5rem 1rem; background: var(--card);
  border-radius: 0 0 6px 6px; }
.skip:focus { top: 0; }
header { padding-top: 3rem; }
.eyebrow { margin-bottom: .25rem; color: var(--soft); font-size: .875rem; }
.facts { display: flex; flex-wrap: wrap; gap: .25rem 2rem; margin-top: .75rem; color: var(--soft); font-size: .875rem; }
.facts div { display: flex; gap: .5rem; min-width: 0; }
.facts dt::after { content: ":"; }
.facts dd { color: var(--text); overflow-wrap: anywhere; }
.counts { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; margin-top: 1.75rem; }
.counts li { padding: 1rem 1.25rem 1.125rem; background: var(--card); border: 1px solid var(--line);
  border-top: 4px solid var(--tint); border-radius: 8px; }
.counts strong { display: block; font-size: 1.5rem; font-weight: 650; line-height: 1.3; color: var(--ink);
  font-variant-numeric: tabular-nums; }
.counts a { color: inherit; }
.counts span { color: var(--soft); font-size: .875rem; }
.leak { --tint: var(--leak); --on: var(--on-leak); --ink: var(--leak-ink); }
.risk { --tint: var(--risk); --on: var(--on-risk); --ink: var(--risk-ink); }
.speed { --tint: var(--speed); --on: var(--on-speed); --ink: var(--speed-ink); }
.note { --tint: var(--note); --on: var(--on-note); --ink: var(--note-ink); }
.good { --tint: var(--good); --on: var(--on-good); --ink: var(--good-ink); }
nav { margin-top: 1.5rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .9375rem; }
nav a { display: inline-block; padding: .25rem 0; }
section > h2 { margin-top: 3rem; padding-bottom: .5rem; border-bottom: 1px solid var(--line); }
section > h3 { margin-top: 2rem; }
section > h4 { margin-top: 1.5rem; }
section > p { max-width: 46rem; margin-top: .5rem; }
.soft { color: var(--soft); }
.tag { display: inline-block; min-width: 1.5em; padding: 0 .5em; border-radius: 4px; background: var(--tint);
  color: var(--on); font: 600 .8125rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue",
  "Liberation Sans", Arial, sans-serif; text-align: center; font-variant-numeric: tabular-nums; }
.key { display: flex; flex-wrap: wrap; gap: .375rem 1.25rem; margin-top: 1rem; font-size: .875rem; }
.map { position: relative; width: fit-content; max-width: 100%; max-height: 85vh; margin-top: 1rem; overflow: auto;
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.map table { border-collapse: separate; border-spacing: 0; font-size: .875rem; }
.map caption { padding: .75rem 1rem .5rem; color: var(--soft); text-align: left; }
.map caption span { position: sticky; left: 1rem; display: inline-block; max-width: min(44rem, 100vw - 5rem); }
.map thead { position: sticky; top: 0; z-index: 2; }
.map th { font-weight: 400; text-align: left; background: var(--card); }
.map thead th { vertical-align: bottom; }
.map thead tr:last-child th { border-bottom: 1px solid var(--line); }
.map th[scope=colgroup] { padding: .5rem 2px .25rem; color: var(--ink); font-size: .75rem; font-weight: 650;
  text-align: center; }
.map .rule { height: 1px; padding: .375rem 2px .5rem; }
.map .rule a { display: inline-block; width: 2.125rem; padding: .125rem 0; line-height: 2.125rem; color: inherit;
  text-decoration: none; white-space: nowrap; writing-mode: vertical-rl; transform: rotate(180deg); }
.map .rule a:hover { text-decoration: underline; }
.map .name { position: sticky; left: 0; z-index: 1; min-width: 9rem; max-width: min(24rem, 42vw);
  padding: .25rem 1rem; overflow-wrap: anywhere; border-right: 1px solid var(--line); }
.map td { padding: 2px; text-align: center; }
.map tbody tr:hover > * { background: var(--hover); }
.map .first { border-left: 1px solid var(--line); }
.map .name + .first { border-left: 0; }
.map td a, .map td b { display: block; min-width: 2.125rem; height: 2.125rem; border-radius: 4px;
  background: var(--tint); color: var(--on); font-weight: 650; line-height: 2.125rem; text-decoration: none;
  font-variant-numeric: tabular-nums; }
.map td a:hover { box-shadow: 0 0 0 2px var(--text); }
.cards { margin-top: .75rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.cards > li { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: .5rem 2rem;
  padding: .875rem 1.25rem; scroll-margin-top: 1rem; }
.cards > li + li { border-top: 1px solid var(--line); }
.cards > li:first-child { border-radius: 7px 7px 0 0; }
.cards > li:last-child { border-radius: 0 0 7px 7px; }
.cards > li:only-child { border-radius: 7px; }
.cards.of { border-left: 4px solid var(--tint); }
.cards > li:target { background: var(--hover); outline: 2px solid var(--link); outline-offset: -2px; }
.object { font-weight: 600; overflow-wrap: anywhere; }
.map .kind { font-size: inherit; }
.kind { color: var(--soft); font-size: .875rem; font-weight: 400; }
.cards p + p { margin-top: .25rem; }
.detail { font-size: .9375rem; overflow-wrap: anywhere; }
pre { padding: .625rem .875rem; background: var(--code); border-radius: 6px; font-size: .8125rem; line-height: 1.55;
  white-space: pre-wrap; }
pre code { font-size: inherit; }
.by { color: var(--soft); font-size: .875rem; }
.waived { font-size: .875rem; }
.waived li + li { margin-top: .375rem; }
.rules { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .5rem 1.5rem; margin-top: .75rem;
  font-size: .9375rem; }
.rules > div { display: contents; }
.rules dt, .rules dd { scroll-margin-top: 1rem; }
.rules dt:target { outline: 2px solid var(--link); outline-offset: 4px; border-radius: 2px; }
footer { margin-top: 4rem; padding-top: 1rem; padding-bottom: 3rem; color: var(--soft); font-size: .875rem; }
@media screen and (max-width: 48rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  header { padding-top: 1.5rem; }
  h1 { font-size: 1.5rem; }
  .facts { display: block; }
  .counts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .75rem; }
  .counts li { padding: .75rem .875rem; }
  .counts strong { font-size: 1.25rem; }
  nav a { padding: .375rem 0; }
  .map { max-height: 75vh; }
  .map .name { min-width: 7.5rem; padding: .25rem .625rem; }
  .cards > li { grid-template-columns: minmax(0, 1fr); padding: .875rem 1rem; }
  .rules { display: block; }
  .rules > div { display: block; margin-top: .75rem; }
}
@media print {
  html { font-size: 12px; }
  body { background: none; font-size: 1rem; }
  header, main, footer { max-width: none; padding: 0; }
  nav, .skip { display: none; }
  a { color: inherit; text-decoration: none; }
  .counts { grid-template-columns: repeat(auto-fit, minmax(0, 1fr)); }
  .counts li, .map td a, .map td b, .tag, .cards, pre { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  h1, h2, h3, h4 { break-after: avoid; }
  section > p { break-inside: avoid; break-after: avoid; }
  .map { max-height: none; overflow: visible; border: 0; border-radius: 0; }
  .map table { font-size: .75rem; }
  .map thead { position: static; display: table-header-group; }
  .map .name, .map caption span { position: static; }
  .map caption { padding: 0 0 .5rem; }
  .map .name { min-width: 0; padding: .125rem .5rem .125rem 0; }
  .map .rule a { width: 1.25rem; line-height: 1.25rem; }
  .map td { padding: 1px; }
  .map td a, .map td b { min-width: 1.25rem; height: 1.25rem; line-height: 1.25rem; border-radius: 2px; }
  .map tr, .cards > li, .counts li, .rules > div { break-inside: avoid; }
  .cards > li:target { outline: 0; background: none; }
}
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_html_style() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_html_style() IS 'part of audit_html(): the style sheet of the page';

CREATE FUNCTION rls_tenant.audit_html(schema_pattern text DEFAULT '%') RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH most(tables, findings, exemptions) AS (VALUES (200, 3000, 1000)),  -- a page that a phone can show
  grade(severity, place, letter, one, many, title, meaning) AS (VALUES
    ('leak', 1, 'L', 'leak', 'leaks', 'Leaks', 'Rows cross tenants today.'),
    ('risk', 2, 'R', 'risk', 'risks', 'Risks',
      'Rows would cross after one ordinary mistake, or something about them shows.'),
    ('speed', 3, 'S', 'speed issue', 'speed issues', 'Speed', 'Policies cost more than they need to.'),
    ('note', 4, 'N', 'note', 'notes', 'Notes', 'Worth knowing.')),
  rule AS MATERIALIZED (
    SELECT r.rule, r.severity, g.place, upper(left(r.meaning, 1)) || substr(r.meaning, 2) AS meaning
    FROM rls_tenant.audit_rules() r JOIN grade g USING (severity)),
  audited AS MATERIALIZED (
    SELECT a.*, i.name[1] AS schema_name, i.name[2] AS object_name
    FROM rls_tenant.audit($1, true) WITH ORDINALITY a(severity, rule, object_type, object, finding, remedy, n)
    -- The relation that a finding is about, or the function; else NULL.
    CROSS JOIN LATERAL (SELECT CASE
      WHEN a.object_type IN ('table', 'view', 'materialized view', 'foreign table', 'function', 'procedure')
        THEN parse_ident(a.object, false)
      WHEN a.object_type IN ('policy', 'rule')
        THEN parse_ident(regexp_replace(a.object, '^("([^"]|"")*"|[^" ]+) on ', ''), false)
      WHEN a.object_type = 'index' THEN (
        SELECT ARRAY[n.nspname, c.relname]::text[]
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE i.indexrelid = to_regclass(a.object))
      WHEN a.object_type = 'statistics' THEN (
        SELECT ARRAY[n.nspname, c.relname]::text[]
        FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_namespace m ON m.oid = s.stxnamespace
        WHERE format('%I.%I', m.nspname, s.stxname) = a.object) END) i(name)),
  finding AS MATERIALIZED (
    SELECT a.*, g.place, row_number() OVER (ORDER BY a.n) AS number,
      a.object_name IS NOT NULL AND a.object_type NOT IN ('function', 'procedure') AS in_map
    FROM audited a JOIN grade g USING (severity)),
  counted AS (
    SELECT g.*, count(f.number) AS found,
      count(f.number) FILTER (WHERE f.number <= (SELECT findings FROM most)) AS listed,
      format('%s %s', rls_tenant.audit_html_number(count(f.number)),
        CASE count(f.number) WHEN 1 THEN g.one ELSE g.many END) AS words
    FROM grade g LEFT JOIN finding f USING (severity)
    GROUP BY g.severity, g.place, g.letter, g.one, g.many, g.title, g.meaning),
  summary AS (
    SELECT coalesce(string_agg(words, ', ' ORDER BY place) FILTER (WHERE found > 0), 'Nothing found') AS words,
      sum(found)::bigint AS found
    FROM counted),
  mapped AS MATERIALIZED (
    SELECT m.*, row_number() OVER (ORDER BY leaks DESC, risks DESC, speeds DESC, notes DESC,
      schema_name COLLATE "C", object_name COLLATE "C") AS place
    FROM (SELECT schema_name, object_name,
            max(object_type) FILTER (WHERE object_type IN ('view', 'materialized view', 'foreign table')) AS kind,
            count(*) FILTER (WHERE severity = 'leak') AS leaks, count(*) FILTER (WHERE severity = 'risk') AS risks,
            count(*) FILTER (WHERE severity = 'speed') AS speeds, count(*) FILTER (WHERE severity = 'note') AS notes
          FROM finding WHERE in_map GROUP BY schema_name, object_name) m),
  map_row AS MATERIALIZED (SELECT * FROM mapped WHERE place <= (SELECT tables FROM most)),
  map_cell AS MATERIALIZED (
    SELECT r.place AS row, f.rule, min(f.place) AS grade, count(*) AS found, min(f.number) AS number
    FROM map_row r JOIN finding f USING (schema_name, object_name) WHERE f.in_map GROUP BY r.place, f.rule),
  map_column AS MATERIALIZED (
    SELECT m.*, lag(m.grade) OVER (ORDER BY m.place) IS DISTINCT FROM m.grade AS first
    FROM (SELECT c.rule, coalesce(r.place, min(c.grade)) AS grade, r.rule IS NOT NULL AS known,
            row_number() OVER (ORDER BY coalesce(r.place, min(c.grade)), c.rule COLLATE "C") AS place
          FROM map_cell c LEFT JOIN rule r USING (rule) GROUP BY c.rule, r.rule, r.place) m),
  tenant_table AS (
    SELECT count(*) AS number, count(*) FILTER (WHERE m.place IS NULL) AS clean
    FROM rls_tenant.tenant_tables() t JOIN pg_class c ON c.oid = t.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN mapped m ON m.schema_name = n.nspname AND m.object_name = c.relname
    WHERE t.ancestor IS NULL AND n.nspname LIKE $1),
  exempted AS MATERIALIZED (
    SELECT e.*, row_number() OVER (ORDER BY e.schema_name COLLATE "C", e.relation_pattern COLLATE "C") AS place
    FROM rls_tenant.exemption e WHERE e.schema_name = '*' OR e.schema_name LIKE $1),
  waived AS MATERIALIZED (  -- accepted findings, each with the exemption whose reason it names
    SELECT a.*, e.place, left(a.finding, -length(e.tail)) AS head
    FROM audited a LEFT JOIN LATERAL (
      SELECT x.place, format(', accepted: %s)', x.reason) AS tail FROM exempted x
      WHERE x.schema_name = coalesce(a.schema_name, '*') AND (x.rules IS NULL OR a.rule = ANY (x.rules))
        AND (a.object_name IS NULL OR a.object_name LIKE x.relation_pattern)
        AND right(a.finding, length(x.reason) + 13) = format(', accepted: %s)', x.reason)
      ORDER BY length(x.reason) DESC, a.object LIKE x.relation_pattern DESC, x.relation_pattern LIMIT 1) e ON true
    WHERE a.severity = 'accepted'),
  waived_part AS (
    SELECT w.place, count(*) AS number,
      string_agg(format('<li><span class="tag %s">%s</span> <code>%s</code> <bdi>%s</bdi>: <bdi>%s</bdi></li>',
        coalesce(w.own_severity, 'note'), coalesce(w.own_severity, 'accepted'),
        rls_tenant.audit_html_text(w.rule), rls_tenant.audit_html_text(w.object),
        rls_tenant.audit_html_text(coalesce(regexp_replace(w.head, ' \(\w+$', ''), w.finding))), E'\n'
        ORDER BY w.n) AS list
    FROM (SELECT w.*, substring(w.head, ' \((leak|risk|speed|note)$') AS own_severity,
            row_number() OVER (PARTITION BY w.place ORDER BY w.n) AS in_place FROM waived w) w
    WHERE w.in_place <= CASE WHEN w.place IS NULL THEN 1000 ELSE 20 END GROUP BY w.place),
  waived_count AS (SELECT place, count(*) AS number FROM waived GROUP BY place),
  part(place, html) AS (
    -- The head
    SELECT 1, format($html$<!DOCTYPE html>
<html lang="en" xmlns="http://www.w3.org/1999/xhtml">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="referrer" content="no-referrer"/>
<meta name="robots" content="noindex"/>
<title>%1$s: %2$s - audit by rls_tenant</title>
<style>%3$s</style>
</head>
<body>
<a class="skip" href="#main">Skip to the findings</a>
<header>
<p class="eyebrow">Audit of tenant isolation</p>
<h1><span class="hidden">Audit of database </span><bdi>%1$s</bdi></h1>
<dl class="facts">
<div><dt>Server</dt><dd>PostgreSQL %4$s</dd></div>
<div><dt>Extension</dt><dd>rls_tenant %5$s</dd></div>
<div><dt>Schemas</dt><dd>%6$s</dd></div>
<div><dt>Time</dt><dd>%7$s</dd></div>
</dl>$html$,
      rls_tenant.audit_html_text(current_database()), s.words, rls_tenant.audit_html_style(),
      rls_tenant.audit_html_text(current_setting('server_version')),
      rls_tenant.audit_html_text((SELECT extversion FROM pg_extension WHERE extname = 'rls_tenant')),
      CASE WHEN $1 = '%' THEN 'all' WHEN $1 IS NULL THEN 'none: roles and server only'
        ELSE 'like <code><bdi>' || rls_tenant.audit_html_text($1) || '</bdi></code>' END,
      rls_tenant.audit_html_time(now()))
    FROM summary s
    UNION ALL
    SELECT 2, CASE WHEN (SELECT found FROM summary) = 0
        THEN format('<ul class="counts"><li class="good"><strong>Nothing found</strong><span>%s</span></li></ul>',
          CASE WHEN t.number = 0 THEN 'But there is no tenant table in these schemas.'
               ELSE format('%s tenant %s, and the roles and settings around, keep every rule.',
                 rls_tenant.audit_html_number(t.number), CASE t.number WHEN 1 THEN 'table' ELSE 'tables' END) END)
      ELSE format(E'<ul class="counts">\n%s\n</ul>', (
        SELECT string_agg(format('<li class="%s"><strong>%s</strong><span>%s</span></li>', severity,
          CASE WHEN listed > 0 THEN format('<a href="#%s">%s</a>', severity, words) ELSE words END, meaning), E'\n'
          ORDER BY place) FROM counted)) END
    FROM tenant_table t
    UNION ALL
    SELECT 3, format(E'<nav aria-label="On this page"><ul>\n%s\n</ul></nav>\n</header>\n<main id="main" tabindex="-1">',
      concat_ws(E'\n',
        CASE WHEN EXISTS (SELECT FROM mapped) THEN '<li><a href="#map">Map</a></li>' END,
        (SELECT string_agg(format('<li><a href="#%s">%s</a></li>', severity, title), E'\n' ORDER BY place)
         FROM counted WHERE listed > 0),
        '<li><a href="#accepted">Accepted</a></li>', '<li><a href="#rules">All rules</a></li>'))
    UNION ALL
    -- The map
    SELECT 4, concat_ws(E'\n', '<section aria-labelledby="map">', '<h2 id="map">Map</h2>',
      format('<p>%s</p>', concat_ws(' ',
        CASE t.clean WHEN 0 THEN 'No tenant table is without a finding.' WHEN 1 THEN '1 tenant table has no finding.'
          ELSE rls_tenant.audit_html_number(t.clean) || ' tenant tables have no finding.' END,
        CASE WHEN m.number > m.most
          THEN format('Of the %s tables and views that have any, these are the %s worst.',
            rls_tenant.audit_html_number(m.number), m.most) END,
        CASE m.elsewhere WHEN 0 THEN NULL
          WHEN 1 THEN '1 finding is about a function, a role or the server, and stands below only.'
          ELSE format('%s findings are about functions, roles and the server, and stand below only.',
            rls_tenant.audit_html_number(m.elsewhere)) END)),
      '<ul class="key" aria-label="What the letters mean">',
      (SELECT string_agg(format('<li class="%s"><span class="tag">%s</span> %s</li>', severity, letter, one), E'\n'
        ORDER BY place) FROM counted WHERE found > 0),
      '</ul>',
      '<div class="map" role="region" aria-label="Map of tables by rules" tabindex="0">',
      '<table>',
      '<caption><span>Tables and views by the rules that they break, the worst first. A number counts findings; each '
      'leads to the finding.</span></caption>',
      '<thead>',
      format('<tr><td class="name"></td>%s</tr>', (
        SELECT string_agg(format('<th scope="colgroup" class="%s first" colspan="%s">%s</th>', g.severity, x.columns,
          g.title), '' ORDER BY g.place)
        FROM (SELECT grade, count(*) AS columns FROM map_column GROUP BY grade) x JOIN grade g ON g.place = x.grade)),
      format('<tr><th scope="col" class="name">Table or view</th>%s</tr>', (
        SELECT string_agg(format('<th scope="col" class="rule%s">%s</th>', CASE WHEN first THEN ' first' END,
          CASE WHEN known THEN format('<a href="#rule-%s">%1$s</a>', rule) ELSE rls_tenant.audit_html_text(rule) END),
          '' ORDER BY place)
        FROM map_column)),
      '</thead>', '<tbody>',
      (SELECT string_agg(x.html, E'\n' ORDER BY x.place) FROM (
        SELECT r.place, format('<tr><th scope="row" class="name"><bdi>%s.</bdi><wbr/><bdi>%s</bdi>%s</th>%s</tr>',
          replace(rls_tenant.audit_html_text(quote_ident(r.schema_name)), '_', '_<wbr/>'),
          replace(rls_tenant.audit_html_text(quote_ident(r.object_name)), '_', '_<wbr/>'),
          ' <span class="kind">' || r.kind || '</span>',
          string_agg(format('<td%s>%s</td>', CASE WHEN l.first THEN ' class="first"' END,
            CASE WHEN c.row IS NOT NULL THEN format(
              CASE WHEN c.number <= b.findings THEN '<a class="%1$s" href="#f%2$s">%3$s</a>'
                ELSE '<b class="%1$s">%3$s</b>' END,
              g.severity, c.number, format('<span aria-hidden="true">%s%s</span><span class="hidden">%s %s: %s</span>',
                g.letter, CASE WHEN c.found > 1 THEN c.found END, c.found,
                CASE c.found WHEN 1 THEN g.one ELSE g.many END, rls_tenant.audit_html_text(l.rule))) END),
            '' ORDER BY l.place)) AS html
        FROM map_row r CROSS JOIN map_column l LEFT JOIN map_cell c ON c.row = r.place AND c.rule = l.rule
        LEFT JOIN grade g ON g.place = c.grade CROSS JOIN most b
        GROUP BY r.place, r.schema_name, r.object_name, r.kind) x),
      '</tbody>', '</table>', '</div>', '</section>')
    FROM tenant_table t, (SELECT count(*) FILTER (WHERE NOT in_map) AS elsewhere,
                            (SELECT count(*) FROM mapped) AS number, (SELECT tables FROM most) AS most FROM finding) m
    WHERE m.number > 0
    UNION ALL
    -- The findings
    SELECT 5, concat_ws(E'\n', '<section aria-labelledby="findings">', '<h2 id="findings">Findings</h2>',
      '<p>' || CASE WHEN s.found > b.findings
        THEN format('The worst %s of %s; SELECT * FROM rls_tenant.audit() gives all. ',
          rls_tenant.audit_html_number(b.findings), rls_tenant.audit_html_number(s.found)) ELSE '' END
        || 'Read each statement before you run it: it fixes what was found, and does not know what else relies on it. '
           'A finding is accepted by <code>rls_tenant.exempt()</code>, with a reason.</p>',
      (SELECT string_agg(x.html, E'\n' ORDER BY x.place) FROM (
        SELECT c.place, concat_ws(E'\n', format('<section class="%s" aria-labelledby="%1$s">', c.severity),
          format('<h3 id="%s">%s</h3>', c.severity, c.words), format('<p class="soft">%s</p>', c.meaning),
          string_agg(y.html, E'\n' ORDER BY y.rule COLLATE "C"), '</section>') AS html
        FROM counted c JOIN (
          SELECT f.severity, f.rule, concat_ws(E'\n',
            format('<h4><code>%s</code> <span class="tag">%s<span class="hidden"> found</span></span></h4>',
              rls_tenant.audit_html_text(f.rule), count(*)),
            '<p class="soft">' || rls_tenant.audit_html_text(r.meaning) || '.</p>',
            '<ul class="cards of">',
            string_agg(format(E'<li id="f%s">\n<div>\n'
                               '<p class="object"><bdi>%s</bdi> <span class="kind">%s</span></p>\n'
                               '<p class="detail"><bdi>%s</bdi></p>\n</div>\n<div>\n%s\n</div>\n</li>', f.number,
                rls_tenant.audit_html_text(f.object), rls_tenant.audit_html_text(f.object_type),
                rls_tenant.audit_html_text(f.finding), rls_tenant.audit_html_remedy(f.remedy)),
              E'\n' ORDER BY f.number),
            '</ul>') AS html
          FROM finding f LEFT JOIN rule r USING (rule), most m WHERE f.number <= m.findings
          GROUP BY f.severity, f.rule, r.meaning) y USING (severity)
        GROUP BY c.severity, c.place, c.words, c.meaning) x),
      '</section>')
    FROM summary s, most b WHERE s.found > 0
    UNION ALL
    -- What is accepted
    SELECT 6, concat_ws(E'\n', '<section aria-labelledby="accepted">', '<h2 id="accepted">Accepted</h2>',
      CASE WHEN e.number = 0 AND w.number = 0 THEN '<p>There is no exemption.</p>'
        ELSE format('<p>%s %s, and %s. They are not in the map.%s</p>', rls_tenant.audit_html_number(e.number),
          CASE e.number WHEN 1 THEN 'exemption' ELSE 'exemptions' END,
          CASE w.number WHEN 0 THEN 'no finding is accepted by them' WHEN 1 THEN '1 finding is accepted'
            ELSE rls_tenant.audit_html_number(w.number) || ' findings are accepted' END,
          CASE WHEN e.number > b.exemptions
            THEN format(' The first %s are shown.', rls_tenant.audit_html_number(b.exemptions)) END) END,
      (SELECT E'<ul class="cards">\n' || string_agg(format(
           E'<li>\n<div>\n<p class="object"><bdi>%s</bdi></p>\n<p class="detail"><bdi>%s</bdi></p>\n'
            '<p class="by">By <bdi>%s</bdi>, %s</p>\n</div>\n'
            '<div class="waived">\n<p>Waives %s.</p>\n%s\n</div>\n</li>',
           CASE WHEN x.schema_name = '*' THEN 'Roles and server: ' || rls_tenant.audit_html_text(x.relation_pattern)
             ELSE rls_tenant.audit_html_text(x.schema_name || '.' || x.relation_pattern) END,
           rls_tenant.audit_html_text(x.reason), rls_tenant.audit_html_text(x.added_by),
           rls_tenant.audit_html_time(x.added_at),
           coalesce((SELECT string_agg(format('<code>%s</code>', rls_tenant.audit_html_text(r)), ', '
                       ORDER BY r COLLATE "C") FROM unnest(x.rules) r), 'every rule'),
           CASE WHEN p.list IS NULL THEN '<p class="by">Nothing would be found today.</p>'
             ELSE format(E'<ul>\n%s%s\n</ul>', p.list, CASE WHEN n.number > p.number
               THEN format(E'\n<li>and %s more</li>', rls_tenant.audit_html_number(n.number - p.number)) END) END),
         E'\n' ORDER BY x.place) || E'\n</ul>'
       FROM exempted x LEFT JOIN waived_part p ON p.place = x.place LEFT JOIN waived_count n ON n.place = x.place
       WHERE x.place <= b.exemptions),
      (SELECT format(E'<h3>Others</h3>\n<ul class="waived">\n%s\n</ul>', p.list)
       FROM waived_part p WHERE p.place IS NULL),
      '</section>')
    FROM most b, (SELECT count(*) FROM exempted) e(number), (SELECT count(*) FROM waived) w(number)
    UNION ALL
    -- The rules
    SELECT 7, concat_ws(E'\n', '<section aria-labelledby="rules">', '<h2 id="rules">All rules</h2>',
      (SELECT string_agg(x.html, E'\n' ORDER BY x.place) FROM (
        SELECT g.place, format(E'<h3>%s</h3>\n<p class="soft">%s</p>\n<dl class="rules">\n%s\n</dl>',
          g.title, g.meaning,
          string_agg(format('<div><dt id="rule-%s"><code>%1$s</code></dt><dd>%s.</dd></div>', r.rule,
            rls_tenant.audit_html_text(r.meaning)), E'\n' ORDER BY r.rule COLLATE "C")) AS html
        FROM rule r JOIN grade g USING (severity) GROUP BY g.severity, g.place, g.title, g.meaning) x),
      '</section>', '</main>', '<footer>',
        '<p>Made by <code>rls_tenant.audit_html()</code>. The page names tables, policies and roles: give it to those '
        'who may know them.</p>', '</footer>', '</body>', '</html>'))
  SELECT string_agg(p.html, E'\n' ORDER BY p.place) FROM part p
$$;
REVOKE ALL ON FUNCTION rls_tenant.audit_html(text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.audit_html(text) IS
  'the audit as one HTML page that needs nothing else: a map of tables by rules, the findings with their remedies, '
  'and what is accepted, by whom and why; schema_pattern as for audit(). Granted to nobody';
