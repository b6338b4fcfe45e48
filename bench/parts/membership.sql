-- Users, their memberships, and tables of :rows rows, for bench/parts/membership.sh. Needs the role app and the
-- extension.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET rls_tenant.guard = off;
CREATE SCHEMA members;
GRANT USAGE ON SCHEMA members TO app;
SET search_path = members;

CREATE FUNCTION tenant(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5('tenant ' || number)::uuid $$;

-- 20,000 users, each in 5 of 10,000 tenants.
CREATE TABLE member (user_id bigint, tenant_id uuid, role text NOT NULL, PRIMARY KEY (user_id, tenant_id));
INSERT INTO member
SELECT u, tenant(1 + (u * 7919 + k * 1997) % 10000), 'editor' FROM generate_series(1, 20000) u, generate_series(1, 5) k;
SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id', 'role') \g /dev/null

-- Four ways to show a user the rows of these tenants. The rows of a tenant are scattered: it is a hash of the row's
-- number.
CREATE PROCEDURE load(prefix text, rows bigint) LANGUAGE plpgsql AS $$
DECLARE
  variant text;
BEGIN
  FOREACH variant IN ARRAY ARRAY['handwritten', 'protected', 'array', 'exists'] LOOP
    EXECUTE format('CREATE TABLE %I (id bigint NOT NULL, tenant_id uuid NOT NULL, amount integer NOT NULL, '
                   'body text NOT NULL)', prefix || variant);
    IF variant = 'handwritten' THEN
      EXECUTE format('INSERT INTO %I SELECT r, t.id, r %% 97, ''row '' || r FROM generate_series(0, %s) r '
                     'JOIN (SELECT n, tenant(1 + n) AS id FROM generate_series(0, 9999) n) t '
                     'ON t.n = abs(hashint8(r)::bigint) %% 10000 ORDER BY r',
                     prefix || variant, rows - 1);
    ELSE
      EXECUTE format('INSERT INTO %I SELECT * FROM %I', prefix || variant, prefix || 'handwritten');
    END IF;
    EXECUTE format('CREATE INDEX ON %I (tenant_id)', prefix || variant);
    EXECUTE format('GRANT SELECT ON %I TO app', prefix || variant);
    IF variant IN ('array', 'exists') THEN
      EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', prefix || variant);
    END IF;
  END LOOP;
  PERFORM rls_tenant.protect((prefix || 'protected')::regclass, membership => 'tenant');
  EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = ANY (ARRAY('
                 'SELECT m.tenant_id FROM member m WHERE m.user_id = rls_tenant.current_user_bigint())))', prefix || 'array');
  EXECUTE format('CREATE POLICY tenant ON %1$I USING (EXISTS (SELECT 1 FROM member m '
                 'WHERE m.user_id = rls_tenant.current_user_bigint() AND m.tenant_id = %1$I.tenant_id))', prefix || 'exists');
END
$$;
CALL load('', :rows);
GRANT SELECT ON member TO app;

-- A table without indexes that is scanned, and who is in 5 and in 500 of its 10,000 groups, for each type of group.
CREATE TABLE flat AS
SELECT r AS id, tenant(g) AS u, g AS b, 'group ' || g AS t, (r % 97)::integer AS amount
FROM generate_series(1::bigint, :rows) r, LATERAL (SELECT 1 + abs(hashint8(r)::bigint) % 10000 AS g OFFSET 0) g;
CREATE TABLE flat_small AS SELECT * FROM flat LIMIT 50000;
GRANT SELECT ON flat, flat_small TO app;
CREATE TABLE flat_member (user_id bigint, u uuid, b bigint, t text);
INSERT INTO flat_member
SELECT count, tenant(g), g, 'group ' || g
FROM (VALUES (5), (500)) c (count), LATERAL (SELECT 1 + n * (10000 / count) AS g FROM generate_series(0, count - 1) n) g;
CREATE INDEX ON flat_member (user_id);
SELECT rls_tenant.add_membership('flat ' || c, 'flat_member', 'user_id', c) FROM unnest(ARRAY['u', 'b', 't']) c \g /dev/null

-- Users 5, 500 and 50,000 are in so many groups; user 0 is the one whose membership changes.
CREATE TABLE wide_member (user_id bigint, group_id uuid, role text NOT NULL, PRIMARY KEY (user_id, group_id));
INSERT INTO wide_member
SELECT count, tenant(n), 'editor'
FROM (VALUES (0, 1), (5, 5), (500, 500), (50000, 50000)) c (count, many), generate_series(1, many) n;
SELECT rls_tenant.add_membership('wide', 'wide_member', 'user_id', 'group_id', 'role') \g /dev/null
GRANT SELECT ON wide_member TO app;
CREATE TABLE planned_handwritten (LIKE handwritten);
INSERT INTO planned_handwritten SELECT * FROM handwritten LIMIT 100000;
CREATE INDEX ON planned_handwritten (tenant_id);
CREATE TABLE planned_protected (LIKE handwritten);
INSERT INTO planned_protected SELECT * FROM planned_handwritten;
CREATE INDEX ON planned_protected (tenant_id);
SELECT rls_tenant.protect('planned_protected', membership => 'wide') \g /dev/null
CREATE TABLE planned_array (LIKE handwritten);
INSERT INTO planned_array SELECT * FROM planned_handwritten;
CREATE INDEX ON planned_array (tenant_id);
ALTER TABLE planned_array ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON planned_array USING (tenant_id = ANY (ARRAY(
  SELECT m.group_id FROM wide_member m WHERE m.user_id = rls_tenant.current_user_bigint())));
GRANT SELECT ON planned_handwritten, planned_protected, planned_array TO app;

-- What is changed in bulk.
CREATE TABLE bulk_plain (user_id bigint, group_id uuid, role text NOT NULL, PRIMARY KEY (user_id, group_id));
CREATE TABLE bulk_source (LIKE bulk_plain INCLUDING ALL);
SELECT rls_tenant.add_membership('bulk', 'bulk_source', 'user_id', 'group_id', 'role') \g /dev/null

VACUUM (FREEZE, ANALYZE);
