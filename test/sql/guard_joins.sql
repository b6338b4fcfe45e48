-- Tables without tenant column that belong to tenants through another: by its primary key, in EXISTS or IN. And joins
-- that look like it.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_joins_app;
CREATE SCHEMA gj;
GRANT USAGE ON SCHEMA gj TO regress_joins_app;
SET search_path = gj;
BEGIN;
CREATE TABLE orders (id int PRIMARY KEY, tenant_id int, other int UNIQUE, open int);
CREATE TABLE pairs (a int, b int, tenant_id int, PRIMARY KEY (a, b));
CREATE TABLE keyed (tenant_id int, id int, PRIMARY KEY (tenant_id, id));
CREATE TABLE legacy (id int PRIMARY KEY, tenant_id int);
CREATE TABLE parent (id int PRIMARY KEY, tenant_id int);
CREATE TABLE child () INHERITS (parent);
SELECT rls_tenant.protect(t) FROM unnest('{orders,pairs,keyed,parent}'::regclass[]) t;
SELECT rls_tenant.exempt('gj', 'legacy', 'a test');
COMMIT;
INSERT INTO orders VALUES (1, 1, 1, 1), (2, 2, 2, 2);

-- The form that is meant, and what says the same.
BEGIN;
CREATE TABLE items (order_id int NOT NULL REFERENCES orders, line int, a int, b int, PRIMARY KEY (order_id, line));
ALTER TABLE items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY items ON items USING (EXISTS (SELECT 1 FROM orders o
  WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint()));
COMMIT;
GRANT ALL ON ALL TABLES IN SCHEMA gj TO regress_joins_app;
INSERT INTO items VALUES (1, 1), (2, 1);
SET ROLE regress_joins_app;
BEGIN;
SET LOCAL rls_tenant.tenant_id = '1';
SELECT order_id FROM items;
INSERT INTO items VALUES (1, 2);
INSERT INTO items VALUES (2, 2);
ROLLBACK;
RESET ROLE;
-- The policy of a table without tenant column may be written in these forms (where the foreign key on order_id is not what it
-- goes by, that key is a fault of its own), …
CREATE FUNCTION gj.judge(policy text, relation regclass DEFAULT 'items') RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE format('ALTER POLICY items ON %s USING (%s)', relation, policy);
  SELECT coalesce(string_agg(rule, ', '), 'confined') INTO result FROM rls_tenant.table_faults(relation);
  RETURN result;
END $$;
SET rls_tenant.guard = off;
SELECT n, judge(p) FROM (VALUES
  (1, 'EXISTS (SELECT FROM orders WHERE rls_tenant.current_tenant_bigint() = tenant_id AND line > 0 AND items.order_id = id)'),
  (2, 'order_id IN (SELECT id FROM orders WHERE tenant_id = rls_tenant.current_tenant_bigint())'),
  (3, 'order_id = ANY (SELECT id FROM orders WHERE tenant_id = rls_tenant.current_tenant_bigint())'),
  (4, '(a, b) IN (SELECT a, b FROM pairs WHERE tenant_id = rls_tenant.current_tenant_bigint())'),
  (5, 'EXISTS (SELECT FROM pairs p WHERE p.a = items.a AND p.b = items.b AND p.tenant_id = rls_tenant.current_tenant_bigint())'),
  (6, 'EXISTS (SELECT FROM keyed k WHERE k.id = a AND k.tenant_id = rls_tenant.current_tenant_bigint())'),
  (7, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id AND rls_tenant.is_member(o.tenant_id))'),
  (8, 'EXISTS (SELECT FROM orders o JOIN pairs p ON true WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (9, 'line > 0 AND (EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint()) AND a > 0)')
) v(n, p) ORDER BY n;
-- … and not in these.
SELECT n, judge(p) FROM (VALUES
  (1, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id)'),
  (2, 'EXISTS (SELECT FROM orders o WHERE o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (3, 'EXISTS (SELECT FROM orders o WHERE o.other = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (4, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.open = rls_tenant.current_tenant_bigint())'),
  (5, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id OR o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (6, 'EXISTS (SELECT FROM orders o, orders p WHERE o.id = order_id AND p.tenant_id = rls_tenant.current_tenant_bigint())'),
  (7, 'EXISTS (SELECT count(*) FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (8, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint() UNION ALL SELECT)'),
  (9, 'NOT EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (10, 'order_id NOT IN (SELECT id FROM orders WHERE tenant_id = rls_tenant.current_tenant_bigint())'),
  (11, 'order_id <> ANY (SELECT id FROM orders WHERE tenant_id = rls_tenant.current_tenant_bigint())'),
  (12, 'order_id = ALL (SELECT id FROM orders WHERE tenant_id = rls_tenant.current_tenant_bigint())'),
  (13, 'order_id IN (SELECT other FROM orders WHERE tenant_id = rls_tenant.current_tenant_bigint())'),
  (14, 'order_id + 1 IN (SELECT id FROM orders WHERE tenant_id = rls_tenant.current_tenant_bigint())'),
  (15, 'a IN (SELECT a FROM pairs WHERE tenant_id = rls_tenant.current_tenant_bigint())'),
  (16, 'EXISTS (SELECT FROM legacy o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (17, 'EXISTS (SELECT FROM parent o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (18, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_user_bigint())'),
  (19, 'EXISTS (SELECT FROM (SELECT id, 1 AS tenant_id FROM orders) o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (20, 'EXISTS (SELECT FROM orders o WHERE EXISTS (SELECT FROM orders p WHERE p.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint()))'),
  (21, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint()) OR line = 0'),
  (22, '(SELECT true FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (23, 'EXISTS (SELECT FROM orders o WHERE o.id = o.id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (24, 'EXISTS (SELECT FROM items o WHERE o.order_id = items.order_id AND o.line = items.line)'),
  (25, 'EXISTS (SELECT rls_tenant.current_tenant_bigint() FROM orders o WHERE o.id = order_id GROUP BY ())')
) v(n, p) ORDER BY n;
SELECT judge('order_id IN (SELECT id FROM orders WHERE tenant_id = rls_tenant.current_tenant_bigint())');

-- A table with a tenant column is confined by it, not by what it refers to.
CREATE TABLE lines (order_id int, tenant_id int NOT NULL);
ALTER TABLE lines ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY items ON lines USING (true);
SELECT n, judge(p, 'lines') FROM (VALUES
  (1, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (2, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = lines.tenant_id)'),
  (3, 'EXISTS (SELECT FROM orders o, legacy l WHERE o.tenant_id = lines.tenant_id AND l.tenant_id = rls_tenant.current_tenant_bigint())'),
  (4, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id AND o.tenant_id = lines.tenant_id AND o.tenant_id = rls_tenant.current_tenant_bigint())'),
  (5, 'EXISTS (SELECT FROM orders o WHERE o.id = order_id AND lines.tenant_id = rls_tenant.current_tenant_bigint())'),
  (6, 'tenant_id IN (SELECT tenant_id FROM legacy WHERE tenant_id = rls_tenant.current_tenant_bigint())')
) v(n, p) ORDER BY n;

-- What is refused of such a table, and what the error says.
RESET rls_tenant.guard;
CREATE POLICY more ON items USING (line > 1);
ALTER TABLE items DISABLE ROW LEVEL SECURITY;
DROP POLICY items ON items;
CREATE VIEW item_view AS SELECT * FROM items;
ALTER TABLE items ADD FOREIGN KEY (a, b) REFERENCES pairs;
BEGIN; CREATE TABLE notes (id int, item_order int, item_line int, tenant_id int, FOREIGN KEY (item_order, item_line) REFERENCES items);
SELECT rls_tenant.protect('notes'); COMMIT;
-- A condition that is never true does not say which column is the tenant's.
BEGIN;
CREATE TABLE never (tenant_id int NOT NULL, other int);
ALTER TABLE never ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON never USING (tenant_id = rls_tenant.current_tenant_bigint());
CREATE POLICY f ON never AS RESTRICTIVE USING (other IS NULL AND false);
COMMIT;
SELECT * FROM rls_tenant.table_faults('never');

SET client_min_messages = warning;
DROP SCHEMA gj CASCADE;
DELETE FROM rls_tenant.exemption WHERE schema_name = 'gj';
DROP ROLE regress_joins_app;
