-- audit_json(), audit_sarif() and audit_changes() say what audit() says.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS rls_tenant;
SELECT plan(20);
SET LOCAL rls_tenant.guard = off;
CREATE SCHEMA "odd ""sales";
CREATE TABLE "odd ""sales"."ord\er" (id int, tenant_id uuid);
CREATE TABLE "odd ""sales".country (code text);
SELECT rls_tenant.exempt('odd "sales', 'country', 'the same for (all) tenants', '{no_tenant_column}');
CREATE TEMP TABLE kept AS SELECT rls_tenant.audit_json('odd%') AS before;

SELECT results_eq(
  $$SELECT f.* FROM kept, jsonb_to_recordset(before -> 'findings') f(severity text, rule text, object_type text, object text, finding text, remedy text)$$,
  $$SELECT * FROM rls_tenant.audit('odd%', true)$$, 'audit_json() has the findings of audit(), in its order');
SELECT is((SELECT sum(value::int) FROM kept, jsonb_each_text(before -> 'counts')), (SELECT count(*) FROM rls_tenant.audit('odd%', true)), 'it counts them all');
SELECT is(before -> 'counts' ->> 'accepted', '1', 'those that are accepted apart') FROM kept;
SELECT is(jsonb_typeof(rls_tenant.audit_json(NULL) -> 'findings'), 'array', 'without a schema there is a list, too');
SELECT is(before ->> 'database', current_database()::text, 'it names the database') FROM kept;

CREATE TEMP TABLE sarif AS SELECT log, log -> 'runs' -> 0 AS run FROM rls_tenant.audit_sarif('odd%') log;
SELECT is(log ->> 'version', '2.1.0', 'the version of SARIF') FROM sarif;
SELECT is(jsonb_array_length(log -> 'runs'), 1, 'one run') FROM sarif;
SELECT is(run #>> '{tool,driver,name}', 'rls_tenant', 'the tool is named') FROM sarif;
SELECT results_eq($$SELECT r ->> 'id' FROM sarif, jsonb_array_elements(run #> '{tool,driver,rules}') r$$, $$SELECT rule FROM rls_tenant.audit_rules()$$, 'all rules are described');
SELECT results_eq($$SELECT r ->> 'ruleId', r #>> '{locations,0,logicalLocations,0,fullyQualifiedName}' FROM sarif, jsonb_array_elements(run -> 'results') r$$,
  $$SELECT rule, object FROM rls_tenant.audit('odd%', true)$$, 'each finding is a result at its object');
SELECT is_empty($$SELECT FROM sarif, jsonb_array_elements(run -> 'results') r
  WHERE run #>> ARRAY['tool', 'driver', 'rules', r ->> 'ruleIndex', 'id'] IS DISTINCT FROM r ->> 'ruleId' OR r ->> 'level' NOT IN ('error', 'warning', 'note')
    OR coalesce(r #>> '{message,text}', '') = ''$$, 'with the rule, a level and a text');
SELECT results_eq($$SELECT r ->> 'level', r #>> '{suppressions,0,justification}' FROM sarif, jsonb_array_elements(run -> 'results') r WHERE r ? 'suppressions'$$,
  $$VALUES ('warning', 'the same for (all) tenants')$$, 'what is accepted is suppressed, for its reason');
SELECT is_empty($$SELECT r FROM sarif, jsonb_array_elements(run -> 'results') r WHERE r #> '{locations,0}' ? 'physicalLocation'$$, 'it names no file');
SELECT results_eq($$SELECT DISTINCT r #> '{locations,0,physicalLocation}' FROM jsonb_array_elements(rls_tenant.audit_sarif('odd%', U&'db/migrate/1-neue T\00FCr.sql') #> '{runs,0,results}') r$$,
  $$SELECT '{"artifactLocation": {"uri": "db/migrate/1-neue%20T%C3%BCr.sql"}, "region": {"startLine": 1}}'::jsonb$$, 'but the one that it is given, as a URI');

SELECT is_empty($$SELECT c.* FROM kept, rls_tenant.audit_changes(before, 'odd%') c$$, 'nothing has changed');
SELECT rls_tenant.protect('"odd ""sales"."ord\er"');
CREATE TABLE "odd ""sales".later (id int);
SELECT results_eq($$SELECT change, severity, rule, object, remedy IS NULL FROM kept, rls_tenant.audit_changes(before, 'odd%') c WHERE rule IN ('rls_off', 'no_tenant_column')$$,
  $$VALUES ('new', 'risk', 'no_tenant_column', '"odd ""sales".later', false), ('gone', 'leak', 'rls_off', '"odd ""sales"."ord\er"', true)$$, 'what is new, and what is gone');
SELECT throws_ok('SELECT rls_tenant.audit_changes(NULL)', '22023', 'this is not what audit_json() gave');
SELECT throws_ok($$SELECT rls_tenant.audit_changes('{"findings": 1}')$$, '22023', 'this is not what audit_json() gave');
SELECT throws_ok($$SELECT rls_tenant.audit_changes('[]')$$, '22023', 'this is not what audit_json() gave');
SELECT is_empty($$SELECT f FROM unnest('{audit_json(text),"audit_sarif(text,text)","audit_changes(jsonb,text)"}'::text[]) f
  WHERE has_function_privilege('public', 'rls_tenant.' || f, 'EXECUTE')$$, 'they are granted to nobody');
SELECT * FROM finish();
ROLLBACK;
