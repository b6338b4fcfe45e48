-- For bench/parts/membership.sh: the usual policies on a web application's tables, after the cases that are published
-- as "RLS performance" for Supabase: bare, as people write them first; rewritten, so that PostgreSQL evaluates a part
-- of it once per query; and with the extension's functions, bare. Each has a role of its own, so that all of them can
-- be on the same table.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET rls_tenant.guard = off;
CREATE SCHEMA cases;
SET search_path = cases;

-- What is compared, and on which table; and which users ask.
CREATE TABLE subject (number integer PRIMARY KEY, title text NOT NULL, relation text NOT NULL);
CREATE TABLE asker (subject integer REFERENCES subject, number integer, title text NOT NULL, user_id uuid NOT NULL,
  PRIMARY KEY (subject, number));
CREATE TABLE variant (number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subject integer REFERENCES subject,
  kind text NOT NULL CHECK (kind IN ('bare', 'rewritten', 'ours')), policy text NOT NULL);

-- Teams, users and their roles: user 10 is in 10 of 1,000 teams, and so on; 1,000 more users are in 10 each.
CREATE FUNCTION user_id(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5('user ' || number)::uuid $$;
CREATE TABLE team (id bigint PRIMARY KEY, name text NOT NULL);
INSERT INTO team SELECT n, 'team ' || n FROM generate_series(1, 1000) n;
CREATE TABLE team_user (user_id uuid, team_id bigint REFERENCES team, role text NOT NULL, PRIMARY KEY (user_id, team_id));
INSERT INTO team_user
SELECT user_id(count), 1 + n * (1000 / count), CASE WHEN n % 2 = 0 THEN 'editor' ELSE 'reader' END
FROM (VALUES (10), (100), (500)) c (count), LATERAL generate_series(0, count - 1) n
UNION ALL
SELECT user_id(1000 + u), 1 + (u * 17 + n * 83) % 1000, 'reader' FROM generate_series(1, 1000) u, generate_series(1, 10) n;
CREATE INDEX ON team_user (team_id);
CREATE TABLE user_role (user_id uuid, role text, PRIMARY KEY (user_id, role));
INSERT INTO user_role SELECT user_id(n), CASE WHEN n = 1 THEN 'admin' ELSE 'member' END FROM generate_series(1, 2000) n;
SELECT rls_tenant.add_membership('team', 'team_user', 'user_id', 'team_id', 'role') \g /dev/null
SELECT rls_tenant.add_membership('role', 'user_role', 'user_id', 'role') \g /dev/null

-- :small rows without and with an index on their user (100 of the rows are user 10's, and none is user 1's), and :rows
-- rows.
CREATE TABLE note (id bigint PRIMARY KEY, user_id uuid NOT NULL, team_id bigint NOT NULL, amount integer NOT NULL,
  body text NOT NULL);
INSERT INTO note
SELECT r, user_id(10 + r % (:small / 100)), 1 + abs(hashint8(r)::bigint) % 1000, r % 97, 'row ' || r
FROM generate_series(1::bigint, :small) r;
CREATE TABLE note_indexed (LIKE note INCLUDING ALL);
INSERT INTO note_indexed SELECT * FROM note;
CREATE INDEX ON note_indexed (user_id);
CREATE TABLE post (LIKE note INCLUDING ALL);
INSERT INTO post
SELECT r, user_id(10 + r % (:small / 100)), 1 + abs(hashint8(r)::bigint) % 1000, r % 97, 'row ' || r
FROM generate_series(1::bigint, :rows) r;
CREATE INDEX ON post (team_id);

-- The application's functions, as people write them.
CREATE FUNCTION uid() RETURNS uuid LANGUAGE sql STABLE AS
  $$ SELECT (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid $$;
CREATE FUNCTION is_admin() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = cases AS
  $$ BEGIN RETURN EXISTS (SELECT 1 FROM user_role r WHERE r.user_id = uid() AND r.role = 'admin'); END $$;
CREATE FUNCTION in_team(team bigint) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = cases AS
  $$ BEGIN RETURN EXISTS (SELECT 1 FROM team_user m WHERE m.user_id = uid() AND m.team_id = team); END $$;
CREATE FUNCTION in_team_as(team bigint, wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = cases AS
  $$ BEGIN RETURN EXISTS (SELECT 1 FROM team_user m WHERE m.user_id = uid() AND m.team_id = team AND m.role = wanted); END $$;
CREATE FUNCTION teams() RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = cases AS
  $$ SELECT m.team_id FROM team_user m WHERE m.user_id = uid() $$;
CREATE FUNCTION teams_as(wanted text) RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = cases AS
  $$ SELECT m.team_id FROM team_user m WHERE m.user_id = uid() AND m.role = wanted $$;
CREATE FUNCTION team_array() RETURNS bigint[] LANGUAGE sql STABLE SECURITY DEFINER SET search_path = cases AS
  $$ SELECT array_agg(m.team_id) FROM team_user m WHERE m.user_id = uid() $$;

INSERT INTO subject VALUES
  (1, 'own rows, no index', 'note'),
  (2, 'own rows, index on `user_id`', 'note_indexed'),
  (3, 'a role of the user', 'note'),
  (4, 'a role of the user, or own rows', 'note'),
  (5, 'a role in the row''s team', 'note'),
  (6, 'the user''s teams', 'post');
INSERT INTO asker
SELECT s, row_number() OVER (PARTITION BY s), title, user_id(u)
FROM (VALUES (1, 'user', 10), (2, 'user', 10), (3, 'admin', 1), (3, 'another user', 10), (4, 'another user', 10),
             (5, 'in 5 teams so', 10), (6, 'in 10 teams', 10), (6, 'in 100', 100), (6, 'in 500', 500)) v (s, title, u);
INSERT INTO variant (subject, kind, policy)
SELECT s, kind, policy
FROM generate_series(1, 2) s, (VALUES
  ('bare', 'uid() = user_id'),
  ('rewritten', '(SELECT uid()) = user_id'),
  ('ours', 'rls_tenant.current_user_uuid() = user_id')) p (kind, policy);
INSERT INTO variant (subject, kind, policy) VALUES
  (3, 'bare', 'is_admin()'),
  (3, 'rewritten', '(SELECT is_admin())'),
  (3, 'ours', 'rls_tenant.is_member(''admin'', ''role'')'),
  (4, 'bare', 'is_admin() OR uid() = user_id'),
  (4, 'rewritten', '(SELECT is_admin()) OR (SELECT uid()) = user_id'),
  (4, 'ours', 'rls_tenant.is_member(''admin'', ''role'') OR rls_tenant.current_user_uuid() = user_id'),
  (5, 'bare', 'in_team_as(team_id, ''editor'')'),
  (5, 'bare', 'team_id IN (SELECT m.team_id FROM team_user m WHERE m.user_id = uid() AND m.role = ''editor'')'),
  (5, 'rewritten', 'team_id IN (SELECT teams_as(''editor''))'),
  (5, 'rewritten', 'team_id = ANY (ARRAY(SELECT teams_as(''editor'')))'),
  (5, 'ours', 'rls_tenant.has_role(team_id, ''editor'', ''team'')'),
  (6, 'bare', 'in_team(team_id)'),
  (6, 'bare', 'team_id = ANY (team_array())'),
  (6, 'bare', 'uid() IN (SELECT m.user_id FROM team_user m WHERE m.team_id = post.team_id)'),
  (6, 'bare', 'team_id IN (SELECT m.team_id FROM team_user m WHERE m.user_id = uid())'),
  (6, 'rewritten', 'team_id IN (SELECT m.team_id FROM team_user m WHERE m.user_id = (SELECT uid()))'),
  (6, 'rewritten', 'team_id IN (SELECT teams())'),
  (6, 'rewritten', 'team_id = ANY (ARRAY(SELECT teams()))'),
  (6, 'rewritten', 'team_id = ANY ((SELECT team_array())::bigint[])'),
  (6, 'ours', 'rls_tenant.is_member(team_id, ''team'')');

ALTER TABLE note ENABLE ROW LEVEL SECURITY;
ALTER TABLE note_indexed ENABLE ROW LEVEL SECURITY;
ALTER TABLE post ENABLE ROW LEVEL SECURITY;
GRANT USAGE ON SCHEMA cases TO PUBLIC;
GRANT SELECT ON note, note_indexed, post, team_user, user_role TO PUBLIC;
DO $$
DECLARE
  s record;
BEGIN
  FOR s IN SELECT variant.number, variant.policy, subject.relation FROM variant JOIN subject ON subject.number = variant.subject LOOP
    EXECUTE format('CREATE ROLE variant_%s', s.number);
    EXECUTE format('CREATE POLICY variant_%1$s ON %2$I TO variant_%1$s USING (%3$s)', s.number, s.relation, s.policy);
  END LOOP;
END
$$;
VACUUM (FREEZE, ANALYZE);
