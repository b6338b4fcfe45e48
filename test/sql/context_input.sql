-- Bad and odd values: refused at SET where the type is declared, else by the typed function; the context before stays.
\set SHOW_CONTEXT never
LOAD 'rls_tenant';

-- The error of a statement, as SQLSTATE, message, detail and hint. The text is cut: it may be long.
CREATE FUNCTION pg_temp.fails(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE state text; message text; detail text; hint text;
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN format(E'%s %s\n%s\n%s', state, left(message, 120), left(detail, 120), hint);
END $$;

\pset format unaligned
\pset tuples_only on
SET rls_tenant.one_tenant_per_transaction = off;
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'before';

-- No type declared.
SELECT pg_temp.fails(format('SET LOCAL rls_tenant.tenant_id = %L', repeat('x', 256)));
SELECT pg_temp.fails(format('SET LOCAL rls_tenant.tenant_id = %L', repeat('ä', 128)));
SELECT pg_temp.fails(format('SET LOCAL rls_tenant.tenant_id = %L', repeat('x', 1048576)));
SELECT pg_temp.fails(format('SELECT rls_tenant.set_context(%L)', repeat('x', 1048576)));
SELECT pg_temp.fails(format('SELECT rls_tenant.current_tenant_uuid(%L)', repeat('x', 1048576)));
SELECT pg_temp.fails(format('SET LOCAL rls_tenant.tenant_id = %L', 'a' || chr(c) || 'b')) FROM unnest('{1,9,10,13,27,31,127,128,159}'::int[]) c;
SELECT c, pg_temp.fails(format('SET LOCAL rls_tenant.account_id = %L', 'a' || chr(c) || 'b')) FROM unnest('{32,160,228,8364,128512}'::int[]) c;
SELECT rls_tenant.current_tenant_text();
SET LOCAL rls_tenant.tenant_id = 'x''"\;--%s';
SELECT rls_tenant.current_tenant_text();
SELECT pg_temp.fails('SELECT rls_tenant.current_tenant_uuid()');
SELECT pg_temp.fails('SELECT rls_tenant.current_tenant_bigint()');
SELECT length(rls_tenant.current_user_text(repeat('x', 255)));

-- Which texts are uuids: those that PostgreSQL takes.
CREATE TEMP TABLE uuids (value text);
INSERT INTO uuids VALUES
  ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'), ('{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'),
  ('a0eebc999c0b4ef8bb6d6bb9bd380a11'), ('a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11'), ('{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}'),
  ('00000000-0000-0000-0000-000000000000'), ('ffffffff-ffff-ffff-ffff-ffffffffffff'),
  ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g'),
  ('{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'), ('a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11'),
  ('a-0eebc999c0b4ef8bb6d6bb9bd380a11'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-'), (' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
  ('-a0eebc999c0b4ef8bb6d6bb9bd380a11'), ('{}'), ('{'), ('-'), ('a'), ('nonsense');
SELECT value, pg_temp.fails(format('SELECT %L::uuid', value)) = 'no error' AS postgresql,
  pg_temp.fails(format('SELECT rls_tenant.current_tenant_uuid(%L)', value)) = 'no error' AS ours FROM uuids;
SELECT count(*) FROM (SELECT value FROM uuids WHERE pg_temp.fails(format('SELECT %L::uuid', value)) = 'no error' OFFSET 0) u
WHERE rls_tenant.current_tenant_uuid(value) <> value::uuid;

-- Which texts are bigints: a sign and digits that fit.
SELECT value, pg_temp.fails(format('SELECT rls_tenant.current_tenant_bigint(%L)', value)) = 'no error' AS taken
FROM unnest('{0,-0,+1,007,9223372036854775807,9223372036854775808,-9223372036854775808,-9223372036854775809,99999999999999999999,1.0,1e3,0x1f,1_000," 1","1 ",-,+,--1,１}'::text[]) value;

-- A declared type refuses at SET and keeps the context that was there; a uuid gets one spelling.
SET LOCAL rls_tenant.tenant_id = '';
SET rls_tenant.tenant_type = uuid;
SET LOCAL rls_tenant.tenant_id = '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}';
SELECT pg_temp.fails('SET LOCAL rls_tenant.tenant_id = ''42''');
SELECT pg_temp.fails('SELECT rls_tenant.set_context(42::bigint)');
SELECT pg_temp.fails('SELECT set_config(''rls_tenant.tenant_id'', ''nonsense'', false)');
SHOW rls_tenant.tenant_id;
SELECT rls_tenant.current_tenant_text();
SET LOCAL rls_tenant.tenant_id = '';
SELECT pg_temp.fails('SELECT rls_tenant.current_tenant_text()');
SET rls_tenant.tenant_type = bigint;
SET LOCAL rls_tenant.tenant_id = '+0042';
SHOW rls_tenant.tenant_id;
SELECT pg_temp.fails('SET LOCAL rls_tenant.tenant_id = ''9223372036854775808''');
SELECT pg_temp.fails('SET LOCAL rls_tenant.tenant_id = ''a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11''');
SELECT rls_tenant.current_tenant_bigint(), rls_tenant.current_tenant_text();
-- A type declared after the value was set holds for the read.
SET rls_tenant.tenant_type = 'any';
SET LOCAL rls_tenant.tenant_id = 'text';
SET rls_tenant.tenant_type = uuid;
SELECT pg_temp.fails('SELECT rls_tenant.current_tenant_text()');
ROLLBACK;
