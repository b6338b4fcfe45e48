-- The patterns of doc/patterns.md: its SQL is run as it stands, then each pattern is tried. And the mistakes that it warns of.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS rls_tenant;
-- Who asks what is public in the document's schema; pgTAP's functions, too, are for everybody.
\set document `sh test/sql_blocks doc/patterns.md 'Support staff'`
\o /dev/null
:document
\o
RESET ROLE;

-- Rows of two tenants, made by a superuser.
INSERT INTO tenant VALUES (1, 'one'), (2, 'two');
INSERT INTO account VALUES (1, 10), (1, 11), (2, 20);
INSERT INTO org_member VALUES (100, 1, NULL, 'admin'), (101, 1, 10, 'member'), (102, 1, 11, 'member'), (200, 2, NULL, 'admin'), (300, 1, 10, 'member'), (300, 2, 20, 'member');
INSERT INTO campaign VALUES (1, 1, 10), (2, 1, 11), (3, 2, 20);
INSERT INTO draft VALUES (1, 1, 101), (2, 1, 102), (3, 2, 200), (4, 2, 101);
INSERT INTO task VALUES (1, 1, 101), (2, 1, 102), (3, 2, 200);
INSERT INTO preference VALUES (101, 'dark'), (102, 'light');
INSERT INTO team_member VALUES (101, 50, 'lead'), (102, 50, 'member'), (102, 51, 'lead');
INSERT INTO ticket VALUES (1, 1, 50), (2, 1, 51), (3, 2, 50);
INSERT INTO notice VALUES (1, 1, 'now', '-infinity', 'infinity'), (2, 1, 'later', 'infinity', 'infinity'), (3, 1, 'over', '-infinity', '-infinity'), (4, 2, 'theirs', '-infinity', 'infinity');
INSERT INTO employee VALUES (100, NULL), (101, 100), (102, 101), (200, NULL);
INSERT INTO review VALUES (1, 1, 100), (2, 1, 101), (3, 1, 102), (4, 2, 101);
INSERT INTO article VALUES (1, 1, true), (2, 1, false), (3, 2, true), (4, 2, false);
INSERT INTO event VALUES (1, 1, 'info'), (2, 1, 'warning'), (3, 1, 'error'), (4, 2, 'error');
INSERT INTO workspace VALUES (1, 1), (2, 2);
INSERT INTO project VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO project_member VALUES (101, 1, 1, 'member'), (102, 1, 1, 'member'), (102, 2, 1, 'lead'), (101, 3, 2, 'member');

-- One transaction asks for many: that is what the setting is for.
SET rls_tenant.one_tenant_per_transaction = off;

-- The ids that a user of a tenant sees in a table; or, of a statement, those that it returns, or its error. Nothing stays.
CREATE FUNCTION ids(tenant bigint, who bigint, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  PERFORM rls_tenant.set_context(tenant, NULL, who);
  BEGIN
    SET LOCAL ROLE tenant_user;
    IF statement !~ ' ' THEN
      EXECUTE format('SELECT string_agg(id::text, '' '' ORDER BY id) FROM %I', statement) INTO result;
    ELSE
      EXECUTE statement INTO result;
    END IF;
    RAISE EXCEPTION SQLSTATE 'UNDO1';
  EXCEPTION
    WHEN SQLSTATE 'UNDO1' THEN
      NULL;
    WHEN OTHERS THEN
      result := SQLSTATE;
  END;
  RETURN coalesce(result, '');
END
$$;

SELECT plan(77);

-- Organisation, account, user
SELECT is(ids(1, 100, 'campaign'), '1 2', 'a member of the organisation sees all its accounts');
SELECT is(ids(1, 101, 'campaign'), '1', 'a member of an account that one');
SELECT is(ids(1, 102, 'campaign'), '2', 'and of the other the other');
SELECT is(ids(1, 200, 'campaign'), '', 'another organisation''s member nothing');
SELECT is(ids(1, 300, 'campaign'), '1', 'a user of two organisations sees in the one the one');
SELECT is(ids(2, 300, 'campaign'), '3', 'and in the other the other');
SELECT is(ids(1, 101, 'INSERT INTO campaign VALUES (9, 1, 11) RETURNING id'), '42501', 'a row for an account of which one is no member is refused');
SELECT is(ids(1, 101, 'INSERT INTO campaign VALUES (9, 1, 10) RETURNING id'), '9', 'for one''s own it is not');
SELECT is(ids(1, 101, 'UPDATE campaign SET account_id = 11 WHERE id = 1 RETURNING id'), '42501', 'nor does a row move to another account');
SELECT is(ids(1, 300, 'INSERT INTO campaign VALUES (9, 1, 20) RETURNING id'), '23503', 'an account of another tenant cannot be named');
SELECT is(ids(1, 300, 'UPDATE campaign SET tenant_id = 2, account_id = 20 WHERE id = 1 RETURNING id'), '42501', 'nor does a row move to another tenant');
SELECT is(ids(1, 101, 'SELECT count(*) FROM org_member'), '42501', 'the application does not read who is a member of what');

-- Owner only
SELECT is(ids(1, 101, 'draft'), '1', 'one''s own, in this tenant');
SELECT is(ids(2, 101, 'draft'), '4', 'and in that one');
SELECT is(ids(1, 100, 'draft'), '', 'not the administrator''s');
SELECT is(ids(1, 101, 'INSERT INTO draft (id, body) VALUES (9, '''') RETURNING owner_id'), '101', 'a new row is its writer''s');
SELECT is(ids(1, 101, 'INSERT INTO draft (id, owner_id) VALUES (9, 102) RETURNING id'), '42501', 'and nobody else''s');
SELECT is(ids(1, 101, 'UPDATE draft SET owner_id = 102 RETURNING id'), '42501', 'nor is it given away');
SELECT is(ids(1, 101, 'task'), '1', 'owner inside the organisation');
SELECT is(ids(1, 100, 'task'), '1 2', 'whose administrator sees all of it');
SELECT is(ids(2, 100, 'task'), '', 'but not those of another');
SELECT is(ids(1, 100, 'INSERT INTO task (id, owner_id) VALUES (9, 102) RETURNING id'), '9', 'and makes them for others');
SELECT is(ids(1, 101, 'SELECT string_agg(theme, '' '') FROM preference'), 'dark', 'what is a person''s');
SELECT is(ids(2, 101, 'SELECT string_agg(theme, '' '') FROM preference'), 'dark', 'is so in every tenant');
SELECT is(ids(2, 101, 'UPDATE preference SET user_id = 103 RETURNING user_id'), '42501', 'and stays so');
SELECT is(ids(1, NULL, 'SELECT string_agg(theme, '' '') FROM preference'), '55000', 'no user, no rows: an error');
SELECT is(ids(1, NULL, 'draft'), '55000', 'so for an owner''s rows');

-- Team members
SELECT is(ids(1, 101, 'ticket'), '1', 'the team''s');
SELECT is(ids(1, 102, 'ticket'), '1 2', 'the teams''');
SELECT is(ids(2, 101, 'ticket'), '3', 'in the tenant of the transaction');
SELECT is(ids(1, 102, 'DELETE FROM ticket WHERE id = 1 RETURNING id'), '', 'a member deletes nothing');
SELECT is(ids(1, 101, 'DELETE FROM ticket WHERE id = 1 RETURNING id'), '1', 'a lead does');
SELECT is(ids(1, 102, 'UPDATE ticket SET team_id = 52 WHERE id = 1 RETURNING id'), '42501', 'no row goes to a team that one is not in');

-- A time window
SELECT is(ids(1, 101, 'notice'), '1', 'a row in its time');
SELECT is(ids(1, 100, 'notice'), '1 2 3', 'administrators see before and after');
SELECT is(ids(2, 100, 'notice'), '4', 'of their own tenant: elsewhere they are like others');
SELECT is(ids(1, 101, 'UPDATE notice SET body = '''' WHERE id = 2 RETURNING id'), '', 'what is not seen is not changed');
SELECT is(ids(1, 101, 'WITH i AS (INSERT INTO notice VALUES (9, 1, '''', ''infinity'')) SELECT 9'), '9', 'but written before its time');

-- A manager
SELECT is(ids(1, 100, 'review'), '1 2 3', 'all below, and one''s own');
SELECT is(ids(1, 101, 'review'), '2 3', 'in the middle');
SELECT is(ids(1, 102, 'review'), '3', 'at the end');
SELECT is(ids(1, 200, 'review'), '', 'beside');
UPDATE employee SET manager_id = 200 WHERE user_id = 101;
SELECT is(ids(1, 100, 'review') || ',' || ids(1, 200, 'review'), '1,2 3', 'a change above is a change for all below');

-- By role
SELECT is(ids(1, 100, 'event'), '1 2 3', 'administrators all');
SELECT is(ids(1, 101, 'event'), '2 3', 'others warnings and errors');
SELECT is(ids(1, 101, 'INSERT INTO event VALUES (9, 1, ''info'') RETURNING id'), '42501', 'and write no other');
SELECT is(ids(2, 100, 'event'), '4', 'an administrator elsewhere is like others');

-- Public read, members write
SELECT is(ids(1, NULL, 'article'), '1 2 3', 'a tenant reads its own and what the other has published');
SELECT is(ids(3, NULL, 'article'), '1 3', 'a third what is published');
SELECT is(ids(1, NULL, 'UPDATE article SET body = '''' WHERE id = 3 RETURNING id'), '', 'and changes none of it');
SELECT is(ids(1, NULL, 'DELETE FROM article WHERE tenant_id = 2 RETURNING id'), '', 'nor deletes it');
SELECT is(ids(1, NULL, 'SELECT id FROM article WHERE id = 3 FOR UPDATE'), '', 'nor locks it');
SELECT is(ids(1, NULL, 'INSERT INTO article VALUES (3, 1) ON CONFLICT (id) DO UPDATE SET body = '''' RETURNING id'), '42501', 'ON CONFLICT meets it with an error');
SELECT is(ids(1, NULL, 'UPDATE article SET tenant_id = 2 WHERE id = 1 RETURNING id'), '42501', 'nor is a published row given away');
SELECT is(ids(1, NULL, 'INSERT INTO article VALUES (9, 2, true) RETURNING id'), '42501', 'nor published for another');

-- Column rules
SELECT is(ids(1, 101, 'UPDATE workspace SET title = ''new'' WHERE id = 1 RETURNING id'), '1', 'members edit a workspace');
SELECT is(ids(1, 101, 'UPDATE workspace SET plan = ''gold'' WHERE id = 1 RETURNING id'), '42501', 'but not its plan');
SELECT is(ids(1, 100, 'UPDATE workspace SET plan = ''gold'' WHERE id = 1 RETURNING id'), '1', 'which administrators do');
SELECT is(ids(2, 100, 'UPDATE workspace SET plan = ''gold'' WHERE id = 2 RETURNING id'), '42501', 'in their own tenant');
SELECT is(ids(1, 101, 'INSERT INTO workspace (id, plan) VALUES (9, ''gold'') RETURNING id') || ' ' || ids(1, 101, 'INSERT INTO workspace (id) VALUES (9) RETURNING id'), '42501 9',
  'a new one begins with the default');

-- Policies that would read each other
SELECT is(ids(1, 101, 'project'), '1', 'a project''s members see it');
SELECT is(ids(1, 102, 'project'), '1 2', 'all that they are in');
SELECT is(ids(1, 101, 'SELECT string_agg(user_id::text, '' '' ORDER BY user_id) FROM project_member'), '101 102', 'and who else is in it');
SELECT is(ids(2, 101, 'project'), '3', 'in another tenant the others');
SELECT is(ids(1, 101, 'INSERT INTO project_member VALUES (101, 2, 1, ''lead'') RETURNING 1'), '42501', 'nobody makes himself a member');

-- The mistakes of guides
SELECT throws_ok('PREPARE p AS SET LOCAL rls_tenant.tenant_id = $1', '42601', NULL, 'SET takes no parameter');
SELECT throws_ok('CREATE POLICY p ON event FOR INSERT, UPDATE, DELETE USING (true)', '42601', NULL, 'a policy is for one command or for all');
SELECT set_config('app.pattern', '1', true), set_config('app.pattern', '', true) \g /dev/null
SELECT throws_ok($$SELECT current_setting('app.pattern', true)::uuid$$, '22P02', NULL, 'an empty setting is no uuid');
SET rls_tenant.guard = off;
CREATE TABLE ored (id bigint, tenant_id bigint, account_id bigint);
ALTER TABLE ored ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY organisation ON ored USING (tenant_id = rls_tenant.current_tenant_bigint());
CREATE POLICY account ON ored USING (rls_tenant.is_member(account_id, 'account'));
GRANT SELECT ON ored TO tenant_user;
INSERT INTO ored VALUES (1, 1, 10), (2, 1, 11), (3, 2, 20);
SELECT is(ids(1, 300, 'ored'), '1 2 3', 'two permissive policies are ORed: the account narrows nothing, and opens another tenant''s');
SELECT is((SELECT string_agg(rule, ' ' ORDER BY rule) FROM rls_tenant.audit() WHERE object = 'public.ored' AND severity = 'leak'), 'not_confined', 'the audit says so');
SELECT rls_tenant.protect('ored', access => 'rls_tenant.is_member(account_id, ''account'')') \g /dev/null
DROP POLICY organisation ON ored;
DROP POLICY account ON ored;
SELECT is(ids(1, 300, 'ored'), '1', 'both in one policy are ANDed');
CREATE TABLE a (id bigint, tenant_id bigint);
CREATE TABLE b (a_id bigint, user_id bigint);
ALTER TABLE a ENABLE ROW LEVEL SECURITY;
ALTER TABLE b ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON a USING (id IN (SELECT a_id FROM b WHERE user_id = rls_tenant.current_user_bigint()));
CREATE POLICY p ON b USING (a_id IN (SELECT id FROM a));
GRANT SELECT ON a, b TO tenant_user;
SELECT is(ids(1, 101, 'a'), '42P17', 'policies that read each other recurse');
CREATE TABLE checked (id bigint, tenant_id bigint);
ALTER TABLE checked ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON checked USING (tenant_id = rls_tenant.current_tenant_bigint());
GRANT SELECT, INSERT ON checked TO tenant_user;
SELECT is(ids(1, 101, 'INSERT INTO checked VALUES (1, 2) RETURNING id'), '42501', 'USING alone checks new rows');
ALTER POLICY p ON checked WITH CHECK (true);
SELECT is(ids(1, 101, 'WITH i AS (INSERT INTO checked VALUES (1, 2)) SELECT 1'), '1', 'a WITH CHECK that says more opens the table');
DROP TABLE ored, a, b, checked;
RESET rls_tenant.guard;

-- What stands there now is clean, and as protect() makes it.
SELECT is((SELECT string_agg(format('%s %s', rule, object), ', ') FROM rls_tenant.audit() WHERE severity IN ('leak', 'risk') AND rule <> 'server_outdated'), NULL,
  'the audit finds nothing in all these patterns');
SELECT set_eq($$SELECT relation::text FROM rls_tenant.tenant_tables()$$, '{account,article,campaign,draft,task,ticket,notice,review,event,workspace,project,project_member}'::text[], 'all are tenant tables');
SELECT is_empty($$SELECT t.relation, s.* FROM rls_tenant.tenant_tables() t, LATERAL rls_tenant.protect_sql(t.relation) s$$, 'of which protect() has nothing to say');
SELECT * FROM finish();
DROP OWNED BY tenant_owner CASCADE;
DROP OWNED BY tenant_user;
DROP OWNED BY tenant_worker;
DROP OWNED BY platform_admin;
DROP ROLE tenant_owner, tenant_user, tenant_worker, platform_admin;
