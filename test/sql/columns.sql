-- restrict_columns(): columns that only a role may change.
\set SHOW_CONTEXT never
LOAD 'rls_tenant';
SET client_min_messages = warning;
CREATE ROLE regress_columns;
CREATE ROLE regress_columns_admin;
CREATE ROLE regress_columns_heir;
CREATE ROLE regress_columns_stranger NOINHERIT;
CREATE ROLE regress_columns_owner;
GRANT regress_columns_admin TO regress_columns_heir;
GRANT regress_columns_admin TO regress_columns_stranger;
GRANT regress_columns TO regress_columns_heir, regress_columns_stranger;
CREATE SCHEMA columns;
GRANT USAGE, CREATE ON SCHEMA columns TO regress_columns_owner;
GRANT USAGE ON SCHEMA columns TO regress_columns, regress_columns_admin, regress_columns_stranger;
SET search_path = columns;
SET rls_tenant.guard = off;
CREATE TABLE member (user_id text, tenant_id text, role text);
INSERT INTO member VALUES ('ann', 'A', 'admin'), ('ann', 'B', 'reader'), ('bob', 'A', 'reader'), ('zoe', 'A', 'admin'), ('zoe', 'B', 'admin');
SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id', 'role');
SET SESSION AUTHORIZATION regress_columns_owner;
BEGIN;
CREATE TABLE doc (id int PRIMARY KEY, tenant_id text, title text NOT NULL DEFAULT 'untitled', plan varchar(4) DEFAULT 'free',
  body text);
SELECT rls_tenant.protect('doc', membership => 'tenant');
COMMIT;
GRANT ALL ON doc TO regress_columns;
CREATE TRIGGER rule AFTER INSERT OR UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('title, plan', 'admin');
RESET SESSION AUTHORIZATION;
SET rls_tenant.guard = refuse;
INSERT INTO doc VALUES (1, 'A', 'one', 'gold'), (2, 'B', 'two', 'free'), (3, 'A', DEFAULT, DEFAULT);

-- Users: who has the role in the row's tenant.
SET ROLE regress_columns;
BEGIN;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE doc SET plan = 'blue', title = 'changed' WHERE id = 1 RETURNING *;
SAVEPOINT s;
UPDATE doc SET plan = 'blue' WHERE id = 2;
ROLLBACK TO s;
UPDATE doc SET plan = 'blue', body = 'x' WHERE id = 1;
UPDATE doc SET plan = plan, title = title || '', body = 'y' WHERE id = 2;
INSERT INTO doc VALUES (4, 'A', 'four', 'gold');
INSERT INTO doc VALUES (5, 'B', 'five', 'free');
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = 'bob';
UPDATE doc SET body = 'bob' RETURNING id;
INSERT INTO doc (id, tenant_id) VALUES (6, 'A') RETURNING *;
INSERT INTO doc VALUES (7, 'A', 'untitled', 'free', 'x');
INSERT INTO doc SELECT 8, 'A', DEFAULT_TITLE, 'free' FROM (SELECT 'untitled' AS default_title) d;
SAVEPOINT s;
UPDATE doc SET plan = NULL WHERE id = 1;
ROLLBACK TO s;
UPDATE doc SET (title, plan) = ('a', 'b') WHERE id = 1;
ROLLBACK TO s;
UPDATE doc SET title = upper(title);
ROLLBACK TO s;
INSERT INTO doc VALUES (9, 'A', 'untitled', NULL);
ROLLBACK TO s;
INSERT INTO doc VALUES (9, 'A', 'Untitled', 'FREE');
ROLLBACK TO s;
-- The value's bytes count, and the membership of now.
\set VERBOSITY sqlstate
UPDATE doc SET title = title || ' ' WHERE id = 3;
\set VERBOSITY default
ROLLBACK TO s;
RESET ROLE;
UPDATE member SET role = 'admin' WHERE user_id = 'bob';
SET ROLE regress_columns;
UPDATE doc SET plan = 'x' WHERE id = 3;
RESET ROLE;
UPDATE member SET role = 'reader' WHERE user_id = 'bob';
SET ROLE regress_columns;
UPDATE doc SET plan = 'y' WHERE id = 3;
ROLLBACK;

-- Both tenants count of a row that changes its own.
BEGIN;
SET LOCAL rls_tenant.user_id = 'zoe';
UPDATE doc SET tenant_id = 'B', plan = 'blue' WHERE id = 1;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE doc SET tenant_id = 'B' WHERE id = 1;
SAVEPOINT s;
UPDATE doc SET tenant_id = 'A', plan = 'blue' WHERE id = 1;
ROLLBACK TO s;
UPDATE doc SET tenant_id = 'B', plan = 'blue' WHERE id = 3;
ROLLBACK;

-- No user. What touches no restricted column needs none.
RESET ROLE;
CREATE ROLE regress_columns_bypass BYPASSRLS IN ROLE regress_columns;
SET ROLE regress_columns_bypass;
BEGIN;
UPDATE doc SET body = 'nobody' WHERE id = 1;
INSERT INTO doc (id, tenant_id) VALUES (10, 'A');
UPDATE doc SET plan = 'blue' WHERE id = 1;
ROLLBACK;
RESET ROLE;
SET rls_tenant.missing_context = 'null';
SET ROLE regress_columns_bypass;
UPDATE doc SET plan = 'blue' WHERE id = 1;
RESET ROLE;
RESET rls_tenant.missing_context;
SET ROLE regress_columns_bypass;
-- COPY, which fires the same triggers; it is not for roles that policies hold.
COPY doc FROM STDIN;
20	A	untitled	free	
21	A	untitled	gold	
\.
COPY doc (id, tenant_id, body) FROM STDIN;
22	A	copied
\.
-- INSERT … ON CONFLICT, MERGE.
BEGIN;
INSERT INTO doc VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET body = 'again';
INSERT INTO doc VALUES (1, 'A', 'x', 'blue') ON CONFLICT DO NOTHING;
SAVEPOINT s;
INSERT INTO doc VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET plan = excluded.plan;
ROLLBACK TO s;
MERGE INTO doc USING (VALUES (1), (30)) v (id) ON doc.id = v.id WHEN MATCHED THEN UPDATE SET body = 'merged'
  WHEN NOT MATCHED THEN INSERT (id, tenant_id) VALUES (v.id, 'A');
MERGE INTO doc USING (VALUES (1)) v (id) ON doc.id = v.id WHEN MATCHED THEN UPDATE SET plan = 'blue';
ROLLBACK TO s;
MERGE INTO doc USING (VALUES (31)) v (id) ON doc.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'A', 'blue');
ROLLBACK TO s;
WITH changed AS (UPDATE doc SET plan = 'blue' WHERE id = 1) SELECT 1;
ROLLBACK TO s;
PREPARE change (text) AS UPDATE doc SET plan = $1 WHERE id = 1;
EXECUTE change('gold');
EXECUTE change('blue');
ROLLBACK;
DEALLOCATE change;
RESET ROLE;

-- Views: with the rights of their owner or of who asks, the role that counts is the current one.
SET rls_tenant.guard = off;
CREATE VIEW doc_view AS SELECT * FROM doc;
CREATE VIEW doc_invoker WITH (security_invoker) AS SELECT * FROM doc;
GRANT ALL ON doc_view, doc_invoker TO regress_columns;
SET ROLE regress_columns_bypass;
UPDATE doc_view SET plan = 'blue' WHERE id = 1;
UPDATE doc_invoker SET plan = 'blue' WHERE id = 1;
RESET ROLE;
DROP VIEW doc_view, doc_invoker;

-- Other triggers: what they change before counts, and what they do after comes to the same rule.
CREATE FUNCTION upgrade() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.plan := 'blue'; RETURN NEW; END $$;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.plan := OLD.plan; RETURN NEW; END $$;
CREATE FUNCTION after_upgrade() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF pg_trigger_depth() = 1 THEN UPDATE columns.doc SET plan = 'blue' WHERE id = NEW.id; END IF; RETURN NULL; END $$;
CREATE TRIGGER a BEFORE UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION upgrade();
SET ROLE regress_columns_bypass;
UPDATE doc SET body = 'x' WHERE id = 1;
RESET ROLE;
CREATE TRIGGER b BEFORE UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION keep();
SET ROLE regress_columns_bypass;
UPDATE doc SET plan = 'blue' WHERE id = 1;
SELECT plan FROM doc WHERE id = 1;
RESET ROLE;
DROP TRIGGER a ON doc;
DROP TRIGGER b ON doc;
CREATE TRIGGER z AFTER UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION after_upgrade();
SET ROLE regress_columns_bypass;
UPDATE doc SET body = 'x' WHERE id = 1;
RESET ROLE;
DROP TRIGGER z ON doc;
-- Functions: in a SECURITY DEFINER one the current role is its owner.
CREATE FUNCTION change_plan() RETURNS text LANGUAGE sql AS $$ UPDATE columns.doc SET plan = 'blue' WHERE id = 1 RETURNING plan $$;
SET ROLE regress_columns_bypass;
SELECT change_plan();
RESET ROLE;
ALTER FUNCTION change_plan() SECURITY DEFINER;
SET ROLE regress_columns_bypass;
BEGIN;
SELECT change_plan();
ROLLBACK;
RESET ROLE;
DROP FUNCTION change_plan();

-- Database roles: another rule, of a role that is both. Its privileges count, as with GRANT; a superuser has those of all.
CREATE TRIGGER rule2 AFTER INSERT OR UPDATE ON doc FOR EACH ROW
  EXECUTE FUNCTION rls_tenant.restrict_columns('body', 'regress_columns_admin', 'tenant');
DROP TRIGGER rule ON doc;
GRANT regress_columns_bypass TO regress_columns_heir, regress_columns_stranger;
GRANT ALL ON doc TO regress_columns_admin, regress_columns_heir, regress_columns_stranger;
ALTER ROLE regress_columns_heir BYPASSRLS;
ALTER ROLE regress_columns_stranger BYPASSRLS;
BEGIN;
UPDATE doc SET body = 'superuser' WHERE id = 1;
SET ROLE regress_columns_heir;
UPDATE doc SET body = 'heir' WHERE id = 1;
SET ROLE regress_columns_stranger;
UPDATE doc SET body = 'stranger' WHERE id = 1;
ROLLBACK;
BEGIN;
SET ROLE regress_columns_bypass;
UPDATE doc SET body = 'nobody' WHERE id = 1;
ROLLBACK;
BEGIN;
SET ROLE regress_columns_bypass;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE doc SET body = 'ann' WHERE id = 1;
ROLLBACK;
RESET ROLE;
INSERT INTO member VALUES ('ann', 'A', 'regress_columns_admin');
BEGIN;
SET ROLE regress_columns_bypass;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE doc SET body = 'ann' WHERE id = 1;
ROLLBACK;
DROP TRIGGER rule2 ON doc;

-- A role that nobody can have is a mistake, not a no, and never a yes.
CREATE TRIGGER rule AFTER INSERT OR UPDATE ON doc FOR EACH ROW
  EXECUTE FUNCTION rls_tenant.restrict_columns('plan', 'no such role', 'no such source');
UPDATE doc SET body = 'x' WHERE id = 1;
UPDATE doc SET plan = 'x' WHERE id = 1;
SET ROLE regress_columns_bypass;
UPDATE doc SET plan = 'x' WHERE id = 1;
RESET ROLE;
DROP TRIGGER rule ON doc;
-- A table without tenant column: a database role alone can be asked.
CREATE TABLE country (code text DEFAULT 'xx', name text);
INSERT INTO country VALUES ('se', 'Sweden');
GRANT ALL ON country TO regress_columns, regress_columns_admin;
CREATE TRIGGER rule AFTER INSERT OR UPDATE ON country FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('name', 'regress_columns_admin');
SET ROLE regress_columns;
UPDATE country SET name = 'Suecia';
SET ROLE regress_columns_admin;
UPDATE country SET name = 'Suecia';
RESET ROLE;
DROP TRIGGER rule ON country;
CREATE TRIGGER rule AFTER INSERT OR UPDATE ON country FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('name', 'admin');
UPDATE country SET name = 'Sverige';
DROP TABLE country;
-- A tenant column of a type that no source has; groups of another type.
CREATE TABLE odd (tenant_id date, plan text);
INSERT INTO odd VALUES ('2001-01-01', 'free');
ALTER TABLE odd OWNER TO regress_columns;
CREATE TRIGGER rule AFTER UPDATE ON odd FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('plan', 'admin');
BEGIN;
SET ROLE regress_columns;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE odd SET plan = 'gold';
ROLLBACK;
ALTER TABLE odd ALTER tenant_id TYPE smallint USING 1;
BEGIN;
SET ROLE regress_columns;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE odd SET plan = 'gold';
ROLLBACK;
DROP TABLE odd;

-- Triggers that cannot keep a rule: the guard refuses them, and without it they refuse every row.
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
  EXECUTE statement;
  RETURN 'made';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN format(E'%s: %s\n%s\n%s', SQLSTATE, SQLERRM, detail, hint);
END $$;
CREATE TABLE wrong (id bigint GENERATED ALWAYS AS IDENTITY, tenant_id text, "Two Words" text, "a,b" int, gone int, s serial,
  twice int GENERATED ALWAYS AS (1 + 1) STORED, key uuid DEFAULT gen_random_uuid(), at timestamptz DEFAULT now());
ALTER TABLE wrong DROP gone;
CREATE TABLE shape (number int GENERATED ALWAYS AS IDENTITY, clauses text, function text);
INSERT INTO shape (clauses, function)
SELECT clauses, 'rls_tenant.restrict_columns(''"Two Words"'', ''admin'')' FROM unnest(ARRAY[
  'TRIGGER t BEFORE UPDATE ON wrong FOR EACH ROW',
  'TRIGGER t AFTER UPDATE ON wrong FOR EACH STATEMENT',
  'TRIGGER t AFTER UPDATE ON wrong',
  'TRIGGER t AFTER TRUNCATE ON wrong',
  'TRIGGER t AFTER DELETE ON wrong FOR EACH ROW',
  'TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON wrong FOR EACH ROW',
  'CONSTRAINT TRIGGER t AFTER UPDATE ON wrong DEFERRABLE FOR EACH ROW',
  'CONSTRAINT TRIGGER t AFTER UPDATE ON wrong DEFERRABLE INITIALLY DEFERRED FOR EACH ROW',
  'CONSTRAINT TRIGGER t AFTER UPDATE ON wrong FOR EACH ROW',
  'TRIGGER t AFTER UPDATE ON wrong FOR EACH ROW WHEN (OLD.tenant_id = ''A'')',
  'TRIGGER t AFTER UPDATE OF tenant_id ON wrong FOR EACH ROW',
  'TRIGGER t AFTER UPDATE OF "Two Words" ON wrong FOR EACH ROW']) clauses
UNION ALL
SELECT 'TRIGGER t AFTER INSERT OR UPDATE ON wrong FOR EACH ROW', format('rls_tenant.restrict_columns(%s)', arguments) FROM unnest(ARRAY[
  '', '''id''', '''"Two Words"'', ''admin'', ''tenant'', ''more''', '''"Two Words"'', ''''', ''''', ''admin''', ''',tenant_id'', ''admin''',
  '''two words'', ''admin''', '''"Two Words'', ''admin''', '''Two_Words'', ''admin''', '''gone'', ''admin''', '''"........pg.dropped.5........"'', ''admin''',
  '''ctid'', ''admin''', '''tenant_id, tenant_id'', ''admin''', '''twice'', ''admin''', '''id'', ''admin''', '''s'', ''admin''', '''key'', ''admin''',
  '''  "a,b" ,"Two Words",TENANT_ID, at '', ''admin''']) arguments
UNION ALL
SELECT 'TRIGGER t AFTER UPDATE ON wrong FOR EACH ROW', 'rls_tenant.restrict_columns(''id, s, key'', ''admin'')';
SET rls_tenant.guard = refuse;
\pset format unaligned
\pset tuples_only on
BEGIN;
SELECT number, clauses, function, try(format('CREATE OR REPLACE %s EXECUTE FUNCTION %s', clauses, function)) FROM shape WHERE clauses !~ '^CONSTRAINT' ORDER BY 1;
SELECT number, clauses, function, try(format('CREATE %s EXECUTE FUNCTION %s', replace(clauses, 'TRIGGER t', 'TRIGGER u'), function)) FROM shape WHERE clauses ~ '^CONSTRAINT' ORDER BY 1;
SELECT try('CREATE SCHEMA columns2 CREATE TABLE t (a int, tenant_id text) CREATE TRIGGER t AFTER UPDATE OF a ON t FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns(''a'', ''admin'')');
ROLLBACK;
-- Another schema's function of that name is nobody's business.
CREATE FUNCTION restrict_columns() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT try('CREATE TRIGGER t AFTER UPDATE OF tenant_id ON wrong FOR EACH ROW EXECUTE FUNCTION restrict_columns()');
DROP FUNCTION restrict_columns() CASCADE;
SELECT try('SELECT rls_tenant.restrict_columns()');
SET rls_tenant.guard = warn;
CREATE TRIGGER t AFTER UPDATE ON wrong FOR EACH ROW WHEN (OLD.tenant_id = 'A') EXECUTE FUNCTION rls_tenant.restrict_columns('at', 'admin');
DROP TRIGGER t ON wrong;
SET rls_tenant.guard = refuse;
SET row_security = off;
CREATE TRIGGER t AFTER UPDATE ON wrong FOR EACH ROW WHEN (OLD.tenant_id = 'A') EXECUTE FUNCTION rls_tenant.restrict_columns('at', 'admin');
DROP TRIGGER t ON wrong;
SET row_security = on;
SET rls_tenant.guard = off;
INSERT INTO wrong (tenant_id) VALUES ('A');
SELECT number, made, CASE WHEN made = 'made' THEN try(CASE WHEN clauses ~ 'INSERT' THEN 'INSERT INTO wrong DEFAULT VALUES' WHEN clauses ~ 'DELETE' THEN 'DELETE FROM wrong'
  WHEN clauses ~ 'TRUNCATE' THEN 'TRUNCATE wrong' ELSE 'UPDATE wrong SET tenant_id = ''A''' END) END, try('DROP TRIGGER t ON wrong')
FROM (SELECT *, try(format('CREATE %s EXECUTE FUNCTION %s', clauses, function)) AS made FROM shape ORDER BY number) s;
\pset format aligned
\pset tuples_only off
-- Renamed and dropped columns are missed, not forgotten.
CREATE TRIGGER t AFTER INSERT OR UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('"Two Words"', 'admin');
INSERT INTO wrong (tenant_id) VALUES ('A');
ALTER TABLE wrong RENAME "Two Words" TO words;
UPDATE wrong SET tenant_id = 'B';
ALTER TABLE wrong RENAME words TO "Two Words";
UPDATE wrong SET tenant_id = 'B';
ALTER TABLE wrong DROP "Two Words";
INSERT INTO wrong (tenant_id) VALUES ('A');
DROP TABLE wrong, shape;

-- What a default is: of a type's length, of a domain, none, stable, with our own functions; another expression each time.
CREATE DOMAIN level AS int DEFAULT 3 CHECK (VALUE > 0);
CREATE TABLE defaulted (tenant_id text DEFAULT rls_tenant.current_tenant_text(), code char(5) DEFAULT 'ab', price numeric(8, 2) DEFAULT 1.5, level level,
  note text, at timestamptz DEFAULT now(), who name DEFAULT current_user, tags text[] DEFAULT array_append('{a}', 'b'), flag bool DEFAULT true,
  short "char" DEFAULT 'x', big text DEFAULT repeat('long', 5000), ratio float8 DEFAULT 0, n int2 DEFAULT -1, number int DEFAULT current_setting('app.number')::int);
ALTER TABLE defaulted OWNER TO regress_columns;
CREATE TRIGGER rule AFTER INSERT OR UPDATE ON defaulted FOR EACH ROW EXECUTE FUNCTION
  rls_tenant.restrict_columns('tenant_id, code, price, level, note, at, who, tags, flag, short, big, ratio, n, number', 'admin');
SET ROLE regress_columns;
BEGIN;
SET LOCAL app.number = 7;
SET LOCAL rls_tenant.tenant_id = 'A';
SET LOCAL rls_tenant.user_id = 'bob';
INSERT INTO defaulted DEFAULT VALUES;
INSERT INTO defaulted VALUES ('A', 'ab  ', 1.5, 3, NULL, transaction_timestamp(), session_user) RETURNING level;
ROLLBACK;
BEGIN;
SET LOCAL app.number = 7;
SET LOCAL rls_tenant.tenant_id = 'A';
SET LOCAL rls_tenant.user_id = 'bob';
INSERT INTO defaulted (code) VALUES (DEFAULT), ('ab');
INSERT INTO defaulted (price, level, tags, big, number, ratio) VALUES ('1.50', 3, '{a,b}', repeat('longlong', 2500), 7, '0');
UPDATE defaulted SET big = big, price = price * 1, tags = tags || '{}', ratio = ratio + 0;
SAVEPOINT s;
INSERT INTO defaulted (code, price, level, note, at, who, tags, flag, short, big, ratio, n, number)
  VALUES ('AB', 1.51, 4, '', now() + '1us', 'x', '[2:3]={a,b}', NULL, 'y', repeat('lonG', 5000), '-0', 1, 8);
ROLLBACK TO s;
INSERT INTO defaulted (tenant_id) VALUES ('B');
ROLLBACK TO s;
-- What the default says at the end of the statement counts.
INSERT INTO defaulted (number, note) SELECT set_config('app.number', '8', true)::int, NULL;
INSERT INTO defaulted (note) SELECT NULLIF(set_config('app.number', '9', true), '9');
ROLLBACK;
-- Equal to their type, but not the same.
BEGIN;
SET LOCAL rls_tenant.tenant_id = 'A';
SET LOCAL rls_tenant.user_id = 'bob';
SET LOCAL app.number = 7;
INSERT INTO defaulted DEFAULT VALUES;
UPDATE defaulted SET ratio = '-0';
ROLLBACK;
RESET ROLE;
ALTER TABLE defaulted ALTER note SET DEFAULT random();
BEGIN;
SET LOCAL app.number = 7;
SET LOCAL rls_tenant.tenant_id = 'A';
INSERT INTO defaulted DEFAULT VALUES;
ROLLBACK;
DROP TABLE defaulted;
DROP DOMAIN level;
-- The tenant column itself: nobody hands rows over without the role in both.
CREATE TRIGGER rule AFTER INSERT OR UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('tenant_id', 'admin');
SET ROLE regress_columns;
BEGIN;
SET LOCAL rls_tenant.user_id = 'zoe';
UPDATE doc SET tenant_id = 'B' WHERE id = 1;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE doc SET tenant_id = 'B' WHERE id = 1;
ROLLBACK;
RESET ROLE;
DROP TRIGGER rule ON doc;

-- Two rules: one to begin with, another for changes.
CREATE TRIGGER rule1 AFTER INSERT ON doc FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('plan', 'reader');
CREATE TRIGGER rule2 AFTER UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('plan', 'admin');
SET ROLE regress_columns;
BEGIN;
SET LOCAL rls_tenant.user_id = 'bob';
INSERT INTO doc VALUES (40, 'A', 'x', 'gold');
UPDATE doc SET plan = 'blue' WHERE id = 40;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE doc SET plan = 'blue' WHERE id = 1;
INSERT INTO doc VALUES (41, 'A', 'x', 'gold');
ROLLBACK;
RESET ROLE;

-- Foreign keys that change the referencing row: PostgreSQL does so as the table's owner, with the same rule.
CREATE TABLE plan (name varchar(4) PRIMARY KEY);
INSERT INTO plan SELECT DISTINCT plan FROM doc;
ALTER TABLE plan OWNER TO regress_columns_owner;
GRANT ALL ON plan TO regress_columns;
ALTER TABLE doc ADD CONSTRAINT plan FOREIGN KEY (plan) REFERENCES plan ON UPDATE CASCADE ON DELETE SET NULL;
SET ROLE regress_columns;
BEGIN;
UPDATE plan SET name = 'best' WHERE name = 'gold';
ROLLBACK;
BEGIN;
DELETE FROM plan WHERE name = 'gold';
ROLLBACK;
RESET ROLE;
ALTER TABLE doc DROP CONSTRAINT plan;
ALTER TABLE doc ADD CONSTRAINT plan FOREIGN KEY (plan) REFERENCES plan ON DELETE SET DEFAULT;
SET ROLE regress_columns;
BEGIN;
DELETE FROM plan WHERE name = 'gold';
ROLLBACK;
RESET ROLE;
-- From 18 on triggers run as the role that made the change, here the owner; before, as the one whose statement set it off.
CREATE ROLE admin;
GRANT admin TO regress_columns_owner;
SET ROLE regress_columns;
BEGIN;
SELECT (try('DELETE FROM plan WHERE name = ''gold''') = 'made') = (current_setting('server_version_num')::int >= 180000) AS as_expected;
ROLLBACK;
RESET ROLE;
DROP ROLE admin;
DROP TABLE doc, plan;

-- The membership table itself: what a statement does cannot vouch for itself, also where the check of a foreign key or
-- another trigger makes it visible first.
CREATE TABLE person (id text PRIMARY KEY);
CREATE TABLE staff (user_id text REFERENCES person, tenant_id text, role text DEFAULT 'reader');
INSERT INTO person VALUES ('ann'), ('bob');
INSERT INTO staff VALUES ('ann', 'A', 'admin'), ('bob', 'A', 'reader');
SELECT rls_tenant.add_membership('staff', 'staff', 'user_id', 'tenant_id', 'role');
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM count(*) FROM columns.staff; RETURN NULL; END $$;
CREATE TRIGGER a AFTER UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION look();
CREATE TRIGGER rule AFTER INSERT OR UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('role', 'admin', 'staff');
GRANT ALL ON staff TO regress_columns;
SET ROLE regress_columns;
BEGIN;
SET LOCAL rls_tenant.user_id = 'bob';
SAVEPOINT s;
INSERT INTO staff VALUES ('bob', 'B', 'admin');
ROLLBACK TO s;
UPDATE staff SET role = 'admin' WHERE user_id = 'bob';
ROLLBACK TO s;
INSERT INTO staff (user_id, tenant_id) VALUES ('bob', 'B');
INSERT INTO staff VALUES ('bob', 'B', 'admin');
ROLLBACK TO s;
WITH beside AS (INSERT INTO staff VALUES ('bob', 'C')) UPDATE staff SET role = 'admin' WHERE user_id = 'bob';
ROLLBACK;
-- The next statement sees it.
BEGIN;
SET LOCAL rls_tenant.user_id = 'ann';
INSERT INTO staff VALUES ('bob', 'A', 'admin'), ('bob', 'A', 'writer');
UPDATE staff SET role = 'reader' WHERE user_id = 'ann';
UPDATE staff SET role = 'admin' WHERE user_id = 'ann';
ROLLBACK;
RESET ROLE;
SELECT rls_tenant.drop_membership('staff');
DROP TABLE staff, person;

-- Partitions: columns in another order, and rows that move.
BEGIN;
CREATE TABLE part (id int, tenant_id text, plan text DEFAULT 'free', title text DEFAULT 'untitled', PRIMARY KEY (id, tenant_id)) PARTITION BY LIST (tenant_id);
CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('A');
CREATE TABLE part_b (gone int, title text DEFAULT 'other', tenant_id text NOT NULL, id int NOT NULL, plan text);
ALTER TABLE part_b DROP gone;
ALTER TABLE part ATTACH PARTITION part_b FOR VALUES IN ('B');
SELECT rls_tenant.protect('part', membership => 'tenant');
ALTER TABLE part_a NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE part_b NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
COMMIT;
GRANT ALL ON part, part_a, part_b TO regress_columns;
SELECT try('CREATE TRIGGER t AFTER UPDATE ON part_a FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns(''plan'', ''admin'')');
INSERT INTO part VALUES (1, 'A');
SELECT try('UPDATE part_a SET id = 1');
DELETE FROM part;
SET rls_tenant.guard = refuse;
DROP TRIGGER t ON part_a;
\pset format unaligned
\pset tuples_only on
SELECT try('CREATE TRIGGER t AFTER INSERT OR UPDATE ON part FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns(''plan'', ''admin'')');
SELECT try('CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON part_a FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns(''plan'', ''admin'')');
\pset format aligned
\pset tuples_only off
CREATE TRIGGER rule AFTER INSERT OR UPDATE OR DELETE ON part FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('title, plan', 'admin');
SET rls_tenant.guard = off;
INSERT INTO part VALUES (1, 'A', 'gold', 'one'), (2, 'B', 'gold', 'two'), (3, 'A', DEFAULT, DEFAULT);
SET ROLE regress_columns;
BEGIN;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE part SET plan = 'blue' WHERE id = 1;
SAVEPOINT s;
UPDATE part SET plan = 'blue' WHERE id = 2;
ROLLBACK TO s;
INSERT INTO part VALUES (4, 'B', 'blue');
ROLLBACK TO s;
INSERT INTO part VALUES (4, 'A', 'blue');
INSERT INTO part (id, tenant_id) VALUES (5, 'A'), (6, 'B');
INSERT INTO part VALUES (7, 'B', 'free', 'untitled');
-- The default of the partitioned table counts, be it that the row is put into a partition directly.
INSERT INTO part_b (tenant_id, id) VALUES ('B', 8);
ROLLBACK TO s;
DELETE FROM part WHERE id = 2;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = 'bob';
INSERT INTO part_a (id, tenant_id) VALUES (9, 'A');
SAVEPOINT s;
INSERT INTO part_a (id, tenant_id, plan) VALUES (10, 'A', 'gold');
ROLLBACK TO s;
ROLLBACK;
-- A row that moves is the same row: its values may stay, and may not become the default.
RESET ROLE;
GRANT SELECT, UPDATE ON part TO regress_columns_bypass;
SET ROLE regress_columns_bypass;
BEGIN;
UPDATE part SET tenant_id = 'B' WHERE id = 1 RETURNING *;
UPDATE part SET tenant_id = CASE tenant_id WHEN 'A' THEN 'B' ELSE 'A' END, id = id + 100 RETURNING *;
SAVEPOINT s;
UPDATE part SET tenant_id = 'A', plan = 'free' WHERE id = 101;
ROLLBACK TO s;
UPDATE part SET tenant_id = 'A', plan = DEFAULT, title = DEFAULT WHERE id = 101;
ROLLBACK TO s;
UPDATE part SET tenant_id = CASE tenant_id WHEN 'A' THEN 'B' ELSE 'A' END, title = CASE WHEN id = 102 THEN 'x' ELSE title END;
ROLLBACK TO s;
MERGE INTO part USING (VALUES ('A')) v (t) ON part.id = 101 WHEN MATCHED THEN UPDATE SET tenant_id = v.t;
MERGE INTO part USING (VALUES ('A')) v (t) ON part.id = 102 WHEN MATCHED THEN UPDATE SET tenant_id = 'B', plan = 'free';
ROLLBACK TO s;
-- Deleting and inserting are what they are, also in one statement.
MERGE INTO part USING (VALUES (101), (201)) v (id) ON part.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'B', 'gold', 'one');
ROLLBACK TO s;
WITH gone AS (DELETE FROM part WHERE id = 101 RETURNING *) INSERT INTO part SELECT id + 1000, 'A', plan, title FROM gone;
ROLLBACK TO s;
WITH moved AS (UPDATE part SET tenant_id = 'A' WHERE id = 101 RETURNING *) INSERT INTO part SELECT id + 1000, 'A', plan, title FROM moved;
ROLLBACK TO s;
INSERT INTO part VALUES (301, 'A', 'gold', 'one');
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = 'zoe';
UPDATE part SET tenant_id = 'B', plan = 'blue' WHERE id = 1 RETURNING *;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE part SET tenant_id = 'B', plan = 'blue' WHERE id = 1;
ROLLBACK;
RESET ROLE;
-- A row that is moved and kept from arriving; a trigger that moves others in between.
CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 1 THEN RETURN NULL; END IF; RETURN NEW; END $$;
CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF pg_trigger_depth() = 1 AND OLD.id = 1 THEN UPDATE columns.part SET tenant_id = 'B' WHERE id = 3; END IF; RETURN NULL; END $$;
CREATE TRIGGER suppress BEFORE INSERT ON part_b FOR EACH ROW EXECUTE FUNCTION suppress();
SET ROLE regress_columns_bypass;
BEGIN;
UPDATE part SET tenant_id = 'B' WHERE id = 1;
INSERT INTO part VALUES (401, 'A', 'gold', 'one');
ROLLBACK;
RESET ROLE;
DROP TRIGGER suppress ON part_b;
CREATE TRIGGER z AFTER DELETE ON part_a FOR EACH ROW EXECUTE FUNCTION meanwhile();
SET ROLE regress_columns_bypass;
BEGIN;
UPDATE part SET tenant_id = 'B' WHERE id = 1;
SELECT * FROM part ORDER BY id;
ROLLBACK;
BEGIN;
UPDATE part SET tenant_id = 'B', plan = 'free' WHERE id = 1;
ROLLBACK;
RESET ROLE;
DROP TRIGGER z ON part_a;
-- What has moved in a transaction that was undone is not on its way.
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'failed'; END $$;
CREATE TRIGGER z AFTER DELETE ON part_a FOR EACH ROW EXECUTE FUNCTION fail();
SET ROLE regress_columns_bypass;
BEGIN;
SAVEPOINT s;
UPDATE part SET tenant_id = 'B' WHERE id = 1;
ROLLBACK TO s;
INSERT INTO part VALUES (501, 'B', 'gold', 'one');
ROLLBACK;
RESET ROLE;
DROP TRIGGER z ON part_a;
-- Without INSERT nobody sees what becomes of a row that moves; without UPDATE all may change.
DROP TRIGGER rule ON part;
CREATE TRIGGER rule AFTER UPDATE OR DELETE ON part FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('title, plan', 'admin');
SET ROLE regress_columns_bypass;
BEGIN;
UPDATE part SET tenant_id = 'A' WHERE id IN (1, 3);
DELETE FROM part WHERE id = 2;
UPDATE part SET tenant_id = 'B' WHERE id = 3;
ROLLBACK;
BEGIN;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE part SET tenant_id = 'B', plan = 'blue' WHERE id = 3 RETURNING *;
ROLLBACK;
RESET ROLE;
DROP TRIGGER rule ON part;
CREATE TRIGGER rule AFTER INSERT OR DELETE ON part FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('title, plan', 'admin');
SET ROLE regress_columns_bypass;
BEGIN;
UPDATE part SET tenant_id = 'B', plan = 'blue' WHERE id = 3 RETURNING *;
INSERT INTO part VALUES (601, 'A', 'blue');
ROLLBACK;
RESET ROLE;
-- A partition that comes later has the rule; inheritance children do not.
DROP TRIGGER rule ON part;
CREATE TRIGGER rule AFTER INSERT OR UPDATE OR DELETE ON part FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('title, plan', 'admin');
CREATE TABLE part_c PARTITION OF part FOR VALUES IN ('C') PARTITION BY LIST (id);
CREATE TABLE part_c1 PARTITION OF part_c DEFAULT;
SET ROLE regress_columns_bypass;
BEGIN;
UPDATE part SET tenant_id = 'C' WHERE id = 1 RETURNING *;
UPDATE part SET plan = 'free' WHERE id = 1;
ROLLBACK;
RESET ROLE;
DROP TABLE part;
-- Below a table that says no tenant, partitions may have tenant columns of their own, of several types or none.
CREATE TABLE mixed (id int, org bigint, name text, plan text DEFAULT 'free') PARTITION BY LIST (id);
CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES IN (1);
CREATE TABLE mixed_2 PARTITION OF mixed FOR VALUES IN (2);
CREATE TABLE mixed_3 PARTITION OF mixed FOR VALUES IN (3);
CREATE POLICY org ON mixed_1 AS RESTRICTIVE USING (org = rls_tenant.current_tenant_bigint());
CREATE POLICY name ON mixed_2 AS RESTRICTIVE USING (name = rls_tenant.current_tenant_text());
CREATE TRIGGER rule AFTER INSERT OR UPDATE OR DELETE ON mixed FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('plan', 'admin');
GRANT ALL ON mixed TO regress_columns;
INSERT INTO mixed VALUES (1, 12345678, 'A', 'gold');
SET ROLE regress_columns;
BEGIN;
SET LOCAL rls_tenant.user_id = 'ann';
UPDATE mixed SET id = 3;
UPDATE mixed SET id = 1;
UPDATE mixed SET id = 2;
SAVEPOINT s;
UPDATE mixed SET id = 3, plan = 'blue';
ROLLBACK TO s;
UPDATE mixed SET id = 1, plan = 'blue';
ROLLBACK TO s;
UPDATE mixed SET plan = 'blue';
UPDATE mixed SET id = 1;
UPDATE mixed SET id = 2, plan = 'gold';
ROLLBACK;
RESET ROLE;
-- Rows that have arrived leave nothing behind.
INSERT INTO mixed SELECT 1, 1, 'A', 'gold' FROM generate_series(1, 2000);
BEGIN;
UPDATE mixed SET id = 2;
SELECT used_bytes < 20000 AS is_small FROM pg_backend_memory_contexts WHERE name = 'TopTransactionContext';
ROLLBACK;
DROP TABLE mixed;

-- What only owners and superusers can do: replay changes that were judged elsewhere, disable the trigger.
CREATE TABLE late (tenant_id text, plan text);
INSERT INTO late VALUES ('A', 'free');
GRANT ALL ON late TO regress_columns;
CREATE TRIGGER rule AFTER INSERT OR UPDATE ON late FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('plan', 'admin');
SET session_replication_role = replica;
SET ROLE regress_columns;
UPDATE late SET plan = 'gold';
RESET ROLE;
SET session_replication_role = origin;
SET ROLE regress_columns;
UPDATE late SET plan = 'free';
-- The role is asked anew in each statement.
RESET ROLE;
CREATE ROLE admin IN ROLE regress_columns;
SET ROLE admin;
UPDATE late SET plan = 'blue';
RESET ROLE;
DROP ROLE admin;
-- An inheritance child has no triggers of its parent.
CREATE TABLE later () INHERITS (late);
INSERT INTO later VALUES ('A', 'free');
SET ROLE regress_columns;
UPDATE late SET plan = 'gold' WHERE plan = 'free';
RESET ROLE;
DROP TABLE later, late;
SELECT rls_tenant.drop_membership('tenant');
SET client_min_messages = error;
DROP SCHEMA columns CASCADE;
DROP ROLE regress_columns, regress_columns_admin, regress_columns_heir, regress_columns_stranger, regress_columns_owner, regress_columns_bypass;
