-- What each SQL object promises: volatility, strictness, parallel safety, leakproofness, who may call it, its comment.
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
SELECT plan(30);

SELECT has_schema('rls_tenant');
SELECT schema_privs_are('rls_tenant', 'public', ARRAY['USAGE'], 'everybody may name what lies in the schema, nobody may add to it');

-- Every function in one table: a change of any label shows here.
SELECT set_eq(
  $$SELECT regexp_replace(p.oid::regprocedure::text, '^rls_tenant\.', ''), p.provolatile, p.proisstrict, p.proparallel, p.proleakproof, p.prosecdef,
      has_function_privilege('public', p.oid, 'EXECUTE')
    FROM pg_proc p WHERE p.pronamespace = 'rls_tenant'::regnamespace AND p.proname !~ '^(current_(tenant|account|user)|fast|member_groups|index_groups)_|^(is_member|has_role|member_role)$'$$,
  $$VALUES ('account_setting()', 's'::"char", false, 's'::"char", true, false, true),
    ('add_membership(text,regclass,name,name,name,text)', 'v', false, 'u', false, false, false),
    ('drop_membership(text)', 'v', true, 'u', false, false, false),
    ('forget_dropped_sources()', 'v', false, 'u', false, true, false),
    ('with_tenant_isolation()', 's', false, 's', true, false, true),
    ('tenant_isolation_support(internal)', 'i', true, 's', false, false, false),
    ('membership_cache()', 'v', false, 'r', false, false, true),
    ('membership_sources()', 'v', false, 'u', false, false, false),
    ('membership_support(internal)', 'i', true, 's', false, false, false),
    ('note_membership_change()', 'v', false, 'u', false, false, true),
    ('check_configuration_row()', 'v', false, 'u', false, false, false),
    ('audit_html(text)', 'v', false, 'u', false, true, false),
    ('audit_html_style()', 'i', false, 's', false, false, false),
    ('audit_html_number(bigint)', 's', false, 's', false, false, false),
    ('audit_html_remedy(text)', 's', false, 's', false, false, false),
    ('audit_html_text(text,boolean)', 's', true, 's', false, false, false),
    ('audit_html_time(timestamp with time zone)', 's', false, 's', false, false, false),
    ('application_grantees()', 'v', false, 'u', false, false, false),
    ('application_roles()', 'v', false, 'u', false, false, false),
    ('audit(text,boolean)', 'v', false, 'u', false, true, false),
    ('audit_check(text,text)', 'v', false, 'u', false, true, false),
    ('audit_changes(jsonb,text)', 'v', false, 'u', false, true, false),
    ('audit_json(text)', 'v', false, 'u', false, true, false),
    ('audit_sarif(text,text)', 'v', false, 'u', false, true, false),
    ('audit_pins()', 'v', false, 'u', false, false, false),
    ('audit_policies()', 'v', false, 'u', false, false, false),
    ('audit_relations()', 'v', false, 'u', false, false, false),
    ('audit_roles()', 'v', false, 'u', false, false, false),
    ('audit_rules()', 'i', false, 's', false, false, true),
    ('audit_server_access()', 'v', false, 'u', false, false, false),
    ('audit_speed()', 'v', false, 'u', false, false, false),
    ('audit_surroundings()', 'v', false, 'u', false, false, false),
    ('audited_tables()', 'v', false, 'u', false, false, false),
    ('grantee_name(oid)', 's', true, 's', false, false, false),
    ('grants_on(oid)', 's', false, 's', false, false, false),
    ('guard_triggers()', 's', false, 's', false, false, false),
    ('is_outdated(integer)', 'i', false, 's', false, false, false),
    ('is_preloaded()', 's', false, 's', false, false, false),
    ('severities(text)', 'i', false, 's', false, false, true),
    ('source_relations()', 's', false, 's', false, false, false),
    ('stored_settings()', 's', false, 's', false, false, false),
    ('tenant_relations()', 'v', false, 'u', false, false, false),
    ('logins()', 's', false, 's', false, false, false),
    ('of_extension(regclass,oid)', 's', true, 's', false, false, false),
    ('policy_reads(regclass)', 'v', true, 'u', false, false, false),
    ('public_condition(regclass)', 'v', true, 'u', false, false, false),
    ('relation_findings()', 'v', false, 'u', false, false, false),
    ('restrict_columns()', 'v', false, 'u', false, false, true),
    ('revoke_as(oid,oid,text,text,text,boolean)', 's', true, 's', false, false, false),
    ('revoke_membership(oid,oid,oid)', 's', false, 's', false, false, false),
    ('tenant_grants()', 'v', false, 'u', false, false, false),
    ('tenant_reach()', 'v', false, 'u', false, false, false),
    ('usual_tenant_column()', 's', false, 's', false, false, false),
    ('baseline(text)', 'v', false, 'u', false, true, false),
    ('clear_context()', 'v', false, 'u', false, false, true),
    ('context_support(internal)', 'i', true, 's', false, false, false),
    ('current_context()', 's', false, 's', false, false, true),
    ('exempt(name,text,text,text[])', 'v', false, 'u', false, true, false),
    ('explain_access(regclass,text,name)', 'v', false, 'u', false, false, true),
    ('explain_context()', 'v', false, 'r', false, false, true),
    ('judged_relations()', 's', false, 's', false, false, false),
    ('guard_note_ddl()', 'v', false, 'u', false, false, false),
    ('guard_note_drop()', 'v', false, 'u', false, false, false),
    ('guard_refusals()', 'v', false, 'r', false, false, true),
    ('status()', 'v', false, 'u', false, true, false),
    ('protect(regclass,name,text,text,text)', 'v', false, 'u', false, false, true),
    ('protect_sql(regclass,name,text,text,text)', 'v', false, 'u', false, false, true),
    ('for_each_tenant(text,text,text,text,name)', 'v', false, 'u', false, false, true),
    ('tenant_runs()', 's', false, 's', false, false, true),
    ('setup_roles(name)', 'v', true, 'u', false, false, false),
    ('set_context(bigint,bigint,bigint)', 'v', false, 'u', false, false, true),
    ('set_context(text,text,text)', 'v', false, 'u', false, false, true),
    ('set_context(uuid,uuid,uuid)', 'v', false, 'u', false, false, true),
    ('table_faults(regclass)', 'v', true, 'u', false, false, false),
    ('table_rules()', 'i', false, 's', false, false, false),
    ('tenant_tables()', 's', false, 's', false, false, true),
    ('tenant_setting()', 's', false, 's', true, false, true),
    ('user_setting()', 's', false, 's', true, false, true)$$,
  'labels and privileges of the functions');
SELECT set_eq(
  $$SELECT proname::text, prorettype::regtype::text, provolatile, proisstrict, proparallel, proleakproof, prosupport::text, pg_get_function_arguments(oid),
      has_function_privilege('public', oid, 'EXECUTE')
    FROM pg_proc WHERE pronamespace = 'rls_tenant'::regnamespace AND proname ~ '^current_(tenant|account|user)_'$$,
  $$SELECT format('current_%s_%s', s, t) AS name, t, 'i'::"char" AS c3, true AS c4, 's'::"char" AS c5, false AS c6, 'rls_tenant.context_support' AS c7,
      format('setting text DEFAULT rls_tenant.%s_setting()', s) AS arguments, true AS granted
    FROM unnest('{tenant,account,user}'::text[]) s, unnest('{uuid,bigint,text}'::text[]) t$$,
  'the nine functions of the context are immutable in their argument, whose default is the stable setting');
SELECT set_eq(
  $$SELECT proname::text, prorettype::regtype::text, provolatile, proisstrict, proparallel, proleakproof, pronargs::int, has_function_privilege('public', oid, 'EXECUTE')
    FROM pg_proc WHERE pronamespace = 'rls_tenant'::regnamespace AND proname ~ '^fast_'$$,
  $$SELECT format('fast_%s_%s', s, t) AS name, t, 's'::"char" AS c3, false AS c4, 's'::"char" AS c5, true AS c6, 0 AS c7, true AS granted
    FROM unnest('{tenant,account,user}'::text[]) s, unnest('{uuid,bigint,text}'::text[]) t$$,
  'the nine fast calls are stable, leakproof and without argument');
SELECT set_eq(
  $$SELECT regexp_replace(oid::regprocedure::text, '^rls_tenant\.', ''), prorettype::regtype::text, provolatile, proisstrict, proparallel, proleakproof,
      prosupport::text, has_function_privilege('public', oid, 'EXECUTE')
    FROM pg_proc WHERE pronamespace = 'rls_tenant'::regnamespace AND proname ~ '^(member|index)_groups_|^(is_member|has_role|member_role)$'$$,
  $$SELECT format('is_member(%s,text)', t) AS name, 'boolean' AS returns, 's'::"char" AS c3, false AS c4, 's'::"char" AS c5, false AS c6, 'rls_tenant.membership_support' AS c7, true AS granted
    FROM unnest('{uuid,bigint,integer,smallint,text}'::text[]) t
    UNION ALL SELECT format('has_role(%s,text,text)', t), 'boolean', 's', false, 's', false, 'rls_tenant.membership_support', true
    FROM unnest('{uuid,bigint,integer,smallint,text}'::text[]) t
    UNION ALL SELECT format('member_role(%s,text)', t), 'text', 's', false, 's', false, '-', true
    FROM unnest('{uuid,bigint,integer,smallint,text}'::text[]) t
    UNION ALL SELECT format('%s_groups_%s(text,text)', f, t), t || '[]', 's', false, 's', false, '-', true
    FROM unnest('{uuid,bigint,text}'::text[]) t, unnest('{member,index}'::text[]) f$$,
  'the checks of membership are stable, parallel safe, and not leakproof: errors tell of their source');
SELECT is_empty(
  $$SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'rls_tenant'::regnamespace AND prosecdef
      AND 'search_path=pg_catalog, pg_temp' <> ALL (coalesce(proconfig, '{none}'))$$,
  'SECURITY DEFINER has its search_path pinned');
SELECT is_empty(
  $$SELECT d.classid::regclass, d.objid FROM pg_depend d JOIN pg_extension e ON (d.refclassid, d.refobjid) = ('pg_extension'::regclass, e.oid)
    WHERE e.extname = 'rls_tenant' AND d.deptype = 'e' AND d.classid NOT IN ('pg_type'::regclass)
      AND obj_description(d.objid, d.classid::regclass::name) IS NULL$$,
  'every object has a comment');
SELECT is_empty(
  $$SELECT attname FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'rls_tenant'::regnamespace AND relkind = 'r') AND attnum > 0 AND col_description(attrelid, attnum) IS NULL$$,
  'every column has a comment');
SELECT is_empty(
  $$SELECT oid::regclass FROM pg_class c WHERE relnamespace = 'rls_tenant'::regnamespace AND relkind IN ('r', 'v', 'p', 'S') AND relname !~ '^tenant_run'
      AND (has_table_privilege('public', oid, 'SELECT') OR has_table_privilege('public', oid, 'UPDATE')
        OR has_table_privilege('public', oid, 'DELETE') OR has_table_privilege('public', oid, 'TRUNCATE') OR has_table_privilege('public', oid, 'TRIGGER'))$$,
  'nobody may read or change the tables, but for the runs of for_each_tenant()');
SELECT set_eq($$SELECT relname::text, relrowsecurity, relforcerowsecurity, has_table_privilege('public', oid, 'TRUNCATE, REFERENCES, TRIGGER') AS more
    FROM pg_class WHERE relname ~ '^tenant_run' AND relkind = 'r'$$,
  $$VALUES ('tenant_run', true, true, false), ('tenant_run_step', true, true, false)$$, 'of which everybody has their own');
SELECT set_eq($$SELECT polrelid::regclass::text, polpermissive, polcmd, polroles::text, pg_get_expr(polqual, polrelid) AS qual FROM pg_policy WHERE polname = 'own_runs'$$,
  $$VALUES ('rls_tenant.tenant_run', true, '*'::"char", '{0}', '(run_by = CURRENT_USER)'), ('rls_tenant.tenant_run_step', true, '*', '{0}', '(run_by = CURRENT_USER)')$$, 'by their policies');
SELECT set_eq($$SELECT tgrelid::regclass::text, tgname::text, tgenabled FROM pg_trigger WHERE tgfoid = 'rls_tenant.check_configuration_row'::regproc$$,
  $$VALUES ('rls_tenant.exemption', 'rls_tenant_check', 'A'::"char"), ('rls_tenant.membership_source', 'rls_tenant_check', 'A')$$,
  'a trigger judges every row that is added to them');
SELECT is(obj_description(oid, 'pg_extension'), NULL, 'no comment that a dump would repeat, which only the owner of the extension may')
FROM pg_extension WHERE extname = 'rls_tenant';
SELECT set_eq($$SELECT extconfig::regclass[]::text, extcondition::text FROM pg_extension WHERE extname = 'rls_tenant'$$,
  $$VALUES ('{rls_tenant.membership_source,rls_tenant.exemption}', '{"",""}')$$, 'pg_dump carries the exemptions and the membership sources');
SELECT set_eq($$SELECT evtevent::text, evtfoid::regproc::text, evtenabled FROM pg_event_trigger WHERE evtname LIKE 'rls\_tenant\_guard%'$$,
  $$VALUES ('ddl_command_end', 'rls_tenant.guard_note_ddl', 'A'::"char"), ('sql_drop', 'rls_tenant.guard_note_drop', 'A')$$, 'the guard''s event triggers fire always, also for replication');
SELECT set_eq($$SELECT evtevent::text, evtfoid::regproc::text, evtenabled FROM pg_event_trigger WHERE evtname = 'rls_tenant_membership'$$,
  $$VALUES ('sql_drop', 'rls_tenant.forget_dropped_sources', 'A'::"char")$$, 'so does the one that ends sources with their relations');
SELECT set_eq($$SELECT tgrelid::regclass::text, tgname::text, tgenabled FROM pg_trigger WHERE tgfoid = 'rls_tenant.note_membership_change'::regproc$$,
  $$VALUES ('rls_tenant.membership_source', 'rls_tenant_membership', 'A'::"char")$$, 'a change of the sources is told as a change of memberships is');

-- The settings: who may set them, their defaults.
SELECT set_eq(
  $$SELECT name, context, vartype, boot_val, coalesce(enumvals::text, '') FROM pg_settings WHERE name LIKE 'rls\_tenant.%'$$,
  $$VALUES ('rls_tenant.account_id', 'user', 'string', '', ''),
    ('rls_tenant.account_type', 'superuser', 'enum', 'any', '{any,uuid,bigint,text}'),
    ('rls_tenant.guard', 'superuser', 'enum', 'refuse', '{refuse,protect,warn,off}'),
    ('rls_tenant.membership_cache_size', 'user', 'integer', '4096', ''),
    ('rls_tenant.plan_constants', 'user', 'enum', 'auto', '{auto,off}'),
    ('rls_tenant.membership_cost', 'user', 'real', '2', ''),
    ('rls_tenant.missing_context', 'superuser', 'enum', 'error', '{error,"null"}'),
    ('rls_tenant.one_tenant_per_transaction', 'superuser', 'bool', 'on', ''),
    ('rls_tenant.tenant_column', 'superuser', 'string', 'tenant_id', ''),
    ('rls_tenant.tenant_id', 'user', 'string', '', ''),
    ('rls_tenant.tenant_type', 'superuser', 'enum', 'any', '{any,uuid,bigint,text}'),
    ('rls_tenant.user_id', 'user', 'string', '', ''),
    ('rls_tenant.user_type', 'superuser', 'enum', 'any', '{any,uuid,bigint,text}')$$,
  'the settings');

-- PostgreSQL itself sees that the context does not hold still.
SET LOCAL rls_tenant.guard = off;
CREATE TABLE contract_item (id int, tenant_id uuid);
SELECT throws_ok('CREATE INDEX ON contract_item ((rls_tenant.current_tenant_uuid()))', '42P17', 'functions in index expression must be marked IMMUTABLE');
SELECT throws_ok('CREATE INDEX ON contract_item (id) WHERE tenant_id = rls_tenant.current_tenant_uuid()', '42P17', 'functions in index predicate must be marked IMMUTABLE');
SELECT throws_ok('ALTER TABLE contract_item ADD COLUMN copy uuid GENERATED ALWAYS AS (rls_tenant.current_tenant_uuid()) STORED', '42P17', 'generation expression is not immutable');
SELECT throws_ok('CREATE TABLE contract_part (id int, tenant_id uuid) PARTITION BY HASH ((rls_tenant.current_tenant_uuid()))', '42P17', 'functions in partition key expression must be marked IMMUTABLE');
SELECT throws_ok('CREATE INDEX ON contract_item ((rls_tenant.fast_tenant_uuid()))', '42P17', 'functions in index expression must be marked IMMUTABLE');
SELECT lives_ok($$CREATE INDEX ON contract_item ((rls_tenant.current_tenant_uuid('11111111-1111-1111-1111-111111111111')))$$, 'a function of a constant is constant');

-- The audit's rules, and its parts.
SELECT set_eq($$SELECT DISTINCT severity FROM rls_tenant.audit_rules()$$, $$SELECT unnest(rls_tenant.severities())$$, 'the severities');
SELECT is(rls_tenant.severities('speed'), '{leak,risk,speed}', 'the severities down to one');
SELECT is_empty($$SELECT r FROM unnest(rls_tenant.table_rules()) r WHERE r NOT IN (SELECT rule FROM rls_tenant.audit_rules())$$, 'the guard''s rules are among the audit''s');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace = 'rls_tenant'::regnamespace AND obj_description(oid, 'pg_proc') LIKE 'part of audit()%'
  AND (prosecdef OR has_function_privilege('public', oid, 'EXECUTE'))$$, 'its parts run as their caller, and are granted to nobody');

-- Comments in the reference's sense say what NULL and errors do.
SELECT is_empty($$SELECT proname FROM pg_proc WHERE pronamespace = 'rls_tenant'::regnamespace AND proname LIKE 'current\_%'
  AND obj_description(oid, 'pg_proc') !~ 'NULL'$$, 'the comments of the context functions tell about NULL');
SELECT * FROM finish();
ROLLBACK;
