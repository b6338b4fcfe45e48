-- The examples of doc/membership.md, and what they show to whom.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_examples;
CREATE SCHEMA examples;
GRANT USAGE ON SCHEMA examples TO regress_examples;
SELECT rls_tenant.exempt('examples', t, 'tells of memberships') FROM unnest('{team\_member,person,partner,employee,project\_member}'::text[]) t;
SET search_path = examples;

-- Teams inside tenants
CREATE TABLE team_member (user_id bigint, team_id bigint, role text, PRIMARY KEY (user_id, team_id));
SELECT rls_tenant.add_membership('team', 'team_member', 'user_id', 'team_id', 'role');
INSERT INTO team_member VALUES (1, 100, 'lead'), (1, 101, 'member'), (2, 101, 'member');
BEGIN;
CREATE TABLE ticket (id bigint PRIMARY KEY, tenant_id bigint, team_id bigint);
SELECT rls_tenant.protect('ticket', access => 'rls_tenant.is_member(team_id, ''team'')');
CREATE POLICY leads_delete ON ticket AS RESTRICTIVE FOR DELETE USING (rls_tenant.has_role(team_id, 'lead', 'team'));
COMMIT;
SET row_security = off;
INSERT INTO ticket VALUES (1, 7, 100), (2, 7, 101), (3, 7, 102), (4, 8, 100);
RESET row_security;
GRANT SELECT, INSERT, DELETE ON ticket TO regress_examples;
SET ROLE regress_examples;
BEGIN; SELECT rls_tenant.set_context(7, NULL, 1); SELECT id FROM ticket ORDER BY id; DELETE FROM ticket RETURNING id; INSERT INTO ticket VALUES (5, 7, 102); ROLLBACK;
BEGIN; SELECT rls_tenant.set_context(7, NULL, 2); SELECT id FROM ticket ORDER BY id; DELETE FROM ticket RETURNING id; INSERT INTO ticket VALUES (5, 7, 101); ROLLBACK;
BEGIN; SELECT rls_tenant.set_context(8, NULL, 2); SELECT id FROM ticket ORDER BY id; ROLLBACK;
RESET ROLE;

-- A whole organisation as a member
CREATE TABLE person (id bigint PRIMARY KEY, organisation_id bigint NOT NULL, account_id bigint NOT NULL);
CREATE TABLE partner (tenant_id bigint NOT NULL, organisation_id bigint NOT NULL, account_id bigint);
CREATE VIEW partner_person AS
  SELECT person.id AS user_id, partner.tenant_id
  FROM partner JOIN person ON person.organisation_id = partner.organisation_id
    AND (partner.account_id IS NULL OR partner.account_id = person.account_id);
SELECT rls_tenant.add_membership('partner', 'partner_person', 'user_id', 'tenant_id');
INSERT INTO person VALUES (1, 50, 500), (2, 50, 501), (3, 51, 510);
INSERT INTO partner VALUES (7, 50, NULL), (8, 50, 501), (8, 51, NULL);
BEGIN;
CREATE TABLE report (id bigint PRIMARY KEY, tenant_id bigint);
SELECT rls_tenant.protect('report', membership => 'partner');
COMMIT;
SET row_security = off;
INSERT INTO report VALUES (7, 7), (8, 8), (9, 9);
RESET row_security;
GRANT SELECT ON report TO regress_examples;
SET ROLE regress_examples;
BEGIN; SET LOCAL rls_tenant.user_id = '1'; SELECT id FROM report ORDER BY id; COMMIT;
BEGIN; SET LOCAL rls_tenant.user_id = '2'; SELECT id FROM report ORDER BY id; COMMIT;
BEGIN; SET LOCAL rls_tenant.user_id = '3'; SELECT id FROM report ORDER BY id; COMMIT;
RESET ROLE;
-- Either table of the view ends a membership.
UPDATE person SET organisation_id = 51 WHERE id = 1;
SET ROLE regress_examples;
BEGIN; SET LOCAL rls_tenant.user_id = '1'; SELECT id FROM report ORDER BY id; COMMIT;
RESET ROLE;
DELETE FROM partner WHERE organisation_id = 51;
SET ROLE regress_examples;
BEGIN; SET LOCAL rls_tenant.user_id = '1'; SELECT id FROM report ORDER BY id; COMMIT;
RESET ROLE;

-- A manager sees the records of all below
CREATE TABLE employee (id bigint PRIMARY KEY, manager_id bigint REFERENCES employee);
CREATE RECURSIVE VIEW below (user_id, employee_id) AS
  SELECT id, id FROM employee
  UNION
  SELECT below.user_id, employee.id FROM below JOIN employee ON employee.manager_id = below.employee_id;
SELECT rls_tenant.add_membership('below', 'below', 'user_id', 'employee_id');
INSERT INTO employee VALUES (1, NULL), (2, 1), (3, 2), (4, 1), (5, 5);
BEGIN;
CREATE TABLE review (id bigint PRIMARY KEY, tenant_id bigint, employee_id bigint);
SELECT rls_tenant.protect('review', access => 'rls_tenant.is_member(employee_id, ''below'')');
COMMIT;
SET row_security = off;
INSERT INTO review SELECT g, 7, g FROM generate_series(1, 5) g;
RESET row_security;
GRANT SELECT ON review TO regress_examples;
SET ROLE regress_examples;
BEGIN; SELECT rls_tenant.set_context(7, NULL, 1); SELECT string_agg(id::text, ' ' ORDER BY id) FROM review; COMMIT;
BEGIN; SELECT rls_tenant.set_context(7, NULL, 2); SELECT string_agg(id::text, ' ' ORDER BY id) FROM review; COMMIT;
BEGIN; SELECT rls_tenant.set_context(7, NULL, 5); SELECT string_agg(id::text, ' ' ORDER BY id) FROM review; COMMIT;
RESET ROLE;
UPDATE employee SET manager_id = 4 WHERE id = 3;
SET ROLE regress_examples;
BEGIN; SELECT rls_tenant.set_context(7, NULL, 2); SELECT string_agg(id::text, ' ' ORDER BY id) FROM review; COMMIT;
BEGIN; SELECT rls_tenant.set_context(7, NULL, 4); SELECT string_agg(id::text, ' ' ORDER BY id) FROM review; COMMIT;
RESET ROLE;

-- Memberships that expire
CREATE TABLE project_member (user_id uuid, project_id text, suspended boolean NOT NULL DEFAULT false, expires_at timestamptz);
SELECT rls_tenant.add_membership('project', 'project_member', 'user_id', 'project_id',
  active => 'NOT suspended AND (expires_at IS NULL OR expires_at > now())');
INSERT INTO project_member SELECT '00000000-0000-0000-0000-000000000001', v.* FROM (VALUES ('always', false, NULL),
  ('past', false, now() - interval '1 second'), ('still', false, now() + interval '1 day'), ('suspended', true, NULL)) v;
BEGIN; SET LOCAL rls_tenant.user_id = '00000000-0000-0000-0000-000000000001'; SELECT rls_tenant.member_groups_text('project'); COMMIT;
SELECT name, relation, cached, detail FROM rls_tenant.membership_sources();

SET client_min_messages = warning;
DROP SCHEMA examples CASCADE;
SELECT count(*) FROM rls_tenant.membership_source;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'examples';
DROP ROLE regress_examples;
