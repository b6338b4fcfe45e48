# A database with a bit of everything that has to come back: what dump.t, restore.t, upgrade.t and replication.t look at.
# Roles: dump_owner, who owns it all, and dump_app, the application's.
package Shop;

use strict;
use warnings;
use Cluster;
use Exporter qw(import);
use Test::More;

our @EXPORT = qw(make_shop picture dump_text test_shop $tenant_a $tenant_b);

our ($tenant_a, $tenant_b) = map { "00000000-0000-0000-0000-00000000000$_" } 'a', 'b';

# Makes it, in a database with the extension, as a superuser.
sub make_shop {
  my ($db) = @_;
  my $either = "('{$tenant_b,$tenant_a}'::uuid[])[2 - i % 2]";
  $db->do($_) for
    'CREATE SCHEMA shop AUTHORIZATION dump_owner',
    'SET ROLE dump_owner',
    'BEGIN',
    'CREATE TABLE shop.orders (id int PRIMARY KEY, tenant_id uuid, note text)',
    'CREATE TABLE shop.events (id int, tenant_id uuid, at date) PARTITION BY RANGE (at)',
    q{CREATE TABLE shop.events_2025 PARTITION OF shop.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')},
    q{CREATE TABLE shop.events_rest PARTITION OF shop.events DEFAULT PARTITION BY HASH (id)},
    'CREATE TABLE shop.events_rest_0 PARTITION OF shop.events_rest FOR VALUES WITH (MODULUS 1, REMAINDER 0)',
    'CREATE TABLE shop."odd Name" (id int, "the Customer" bigint)',
    q{SELECT rls_tenant.protect('shop.orders', access => 'note <> ''hidden''')},
    q{SELECT rls_tenant.protect('shop.events')},
    q{SELECT rls_tenant.protect('shop."odd Name"', 'the Customer')},
    'GRANT USAGE ON SCHEMA shop TO dump_app',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO dump_app',
    'COMMIT',
    'RESET ROLE',
    q{SELECT rls_tenant.exempt('shop', 'currency', 'the same for all tenants')},
    q{SELECT rls_tenant.exempt('shop', 'half\_%', 'they come from elsewhere', '{rls_not_forced,no_policy}')},
    # Memberships: a table with parts, and a view; a table that is isolated by the first.
    q{SELECT rls_tenant.exempt('shop', 'member%', 'they tell of memberships')},
    'GRANT EXECUTE ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) TO dump_owner',
    'SET ROLE dump_owner',
    'CREATE TABLE shop.currency (code text)',
    'CREATE TABLE shop.member (user_id int, "Tenant" int, role text, ends timestamptz) PARTITION BY HASH (user_id)',
    'CREATE TABLE shop.member_0 PARTITION OF shop.member FOR VALUES WITH (MODULUS 1, REMAINDER 0)',
    'CREATE TABLE shop.member_team (user_id int, team text)',
    'CREATE VIEW shop.member_view AS SELECT user_id, team FROM shop.member_team',
    q{SELECT rls_tenant.add_membership('tenant', 'shop.member', 'user_id', 'Tenant', 'role', 'role <> ''gone''')},
    q{SELECT rls_tenant.add_membership('team', 'shop.member_view', 'user_id', 'team')},
    q{SELECT rls_tenant.add_membership('until', 'shop.member', 'user_id', 'Tenant', active => 'ends > now()')},
    'BEGIN',
    'CREATE TABLE shop.paper (id int PRIMARY KEY, tenant_id int)',
    q{SELECT rls_tenant.protect('shop.paper', membership => 'tenant')},
    'GRANT SELECT, INSERT ON shop.paper TO dump_app',
    'COMMIT',
    'BEGIN',
    'ALTER TABLE shop.orders ADD UNIQUE (tenant_id, id)',
    'CREATE TABLE shop.lines (id int PRIMARY KEY, tenant_id uuid, order_id int,
       FOREIGN KEY (tenant_id, order_id) REFERENCES shop.orders (tenant_id, id))',
    q{SELECT rls_tenant.protect('shop.lines')},
    'CREATE TABLE shop.posts (id int PRIMARY KEY, tenant_id uuid, is_published boolean, kind varchar(10))',
    q{SELECT rls_tenant.protect('shop.posts', public_read => 'is_published AND (kind = ''news'' OR kind IS NULL)')},
    'GRANT SELECT, INSERT, UPDATE, DELETE ON shop.posts TO dump_app',
    'CREATE VIEW shop.order_lines WITH (security_invoker) AS SELECT o.note, l.* FROM shop.orders o JOIN shop.lines l ON l.order_id = o.id',
    'GRANT SELECT ON shop.lines, shop.order_lines TO dump_app',
    'COMMIT',
    'RESET ROLE',
    q{INSERT INTO shop.currency VALUES ('CHF'), ('EUR')},
    "INSERT INTO shop.orders SELECT i, $either, 'note ' || i FROM generate_series(1, 10) i",
    "INSERT INTO shop.events SELECT i, $either, date '2025-12-25' + i FROM generate_series(1, 10) i",
    'INSERT INTO shop."odd Name" VALUES (1, 7), (2, 8)',
    q{INSERT INTO shop.member VALUES (1, 7, 'x', NULL), (1, 8, 'gone', NULL), (2, 8, 'x', NULL)},
    q{INSERT INTO shop.member_team VALUES (1, 'red')},
    'INSERT INTO shop.paper VALUES (1, 7), (2, 8)',
    'INSERT INTO shop.lines SELECT id, tenant_id, id FROM shop.orders',
    "INSERT INTO shop.posts SELECT i, $either, i > 4, 'news' FROM generate_series(1, 6) i",
    # What was there before the guard.
    'SET rls_tenant.guard = off',
    'SET ROLE dump_owner',
    'CREATE TABLE shop.legacy (id int PRIMARY KEY, tenant_id uuid)',
    'CREATE MATERIALIZED VIEW shop.legacy_total AS SELECT count(*) FROM shop.orders WITH NO DATA',
    'CREATE VIEW shop.legacy_view AS SELECT * FROM shop.orders',
    'RESET ROLE',
    'RESET rls_tenant.guard',
    q{SELECT rls_tenant.baseline('from the old days')};
}

# What there is to come back, as text; $portable: without what each version of PostgreSQL words in its own way.
sub picture {
  my ($connection, $portable) = @_;
  return join("\n\n", map { rows($connection, $_) }
    # From 17 on an owner has a right more, m.
    q{SELECT c.oid::regclass, c.relkind, c.relrowsecurity, c.relforcerowsecurity, replace(c.relacl::text, 'tm/', 't/'), r.rolname
      FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
      WHERE relnamespace = 'shop'::regnamespace ORDER BY c.oid::regclass::text},
    q{SELECT * FROM pg_policies ORDER BY schemaname, tablename, policyname},
    q{SELECT adrelid::regclass, adnum, pg_get_expr(adbin, adrelid) FROM pg_attrdef ORDER BY adrelid::regclass::text, 2},
    q{SELECT attrelid::regclass, attname, attnotnull FROM pg_attribute
      WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p'))
        AND attnum > 0
      ORDER BY attrelid::regclass::text, attnum},
    q{SELECT indexdef FROM pg_indexes WHERE schemaname = 'shop' ORDER BY 1},
    q{SELECT * FROM rls_tenant.exemption ORDER BY 1, 2},
    q{SELECT * FROM rls_tenant.membership_source ORDER BY 1},
    q{SELECT name, cached, detail FROM rls_tenant.membership_sources()},
    q{SELECT tgrelid::regclass, pg_get_triggerdef(oid), tgenabled FROM pg_trigger
      WHERE tgname = 'rls_tenant_membership' ORDER BY tgrelid::regclass::text},
    q{SELECT evtname, evtevent, evtenabled, evtfoid::regproc FROM pg_event_trigger ORDER BY 1},
    q{SELECT extname, extversion FROM pg_extension ORDER BY 1},
    q{SELECT * FROM shop.orders ORDER BY 1}, q{SELECT tableoid::regclass, * FROM shop.events ORDER BY 2},
    q{SELECT * FROM shop."odd Name" ORDER BY 1}, q{SELECT * FROM shop.currency ORDER BY 1}, q{SELECT * FROM shop.lines ORDER BY 1},
    q{SELECT * FROM shop.posts ORDER BY 1}, q{SELECT rls_tenant.public_condition('shop.posts')},
    q{SELECT * FROM shop.member ORDER BY 1, 2}, q{SELECT * FROM shop.member_team ORDER BY 1}, q{SELECT * FROM shop.paper ORDER BY 1},
    q{SELECT oid::regclass, reloptions FROM pg_class
      WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('v', 'm') ORDER BY oid::regclass::text},
    q{SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
      WHERE connamespace = 'shop'::regnamespace AND contype <> 'n' ORDER BY conrelid::regclass::text, 2},
    $portable ? () : (
      q{SELECT oid::regclass, pg_get_viewdef(oid) FROM pg_class
        WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('v', 'm') ORDER BY oid::regclass::text},
      q{SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
        WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' ORDER BY 1}));
}

# A dump as text, without the key that newer versions of pg_dump make up each time.
sub dump_text {
  my ($server, $database) = @_;
  my ($status, $text) = $server->run('pg_dump', $database);
  return $status == 0 ? $text =~ s/^\\(un)?restrict .*$//mgr : "pg_dump failed: $text";
}

# The statements of a transaction that makes a tenant table of which row-level security is not forced.
sub not_forced {
  my ($table) = @_;
  return "CREATE TABLE shop.$table (id int, tenant_id uuid); SELECT rls_tenant.protect('shop.$table'); "
    . "ALTER TABLE shop.$table NO FORCE ROW LEVEL SECURITY";
}

# Tests that in a database where it came back tenants are kept apart and the guard stands.
sub test_shop {
  my ($server, $database, $how) = @_;
  my $restored = $server->connect($database);
  my $app = $server->connect($database, user => 'dump_app');
  refused($app, 'SELECT * FROM shop.orders', '55000', qr/no tenant is set/, "$how: without a context nothing is read");
  $app->do('BEGIN');
  $app->do("SELECT rls_tenant.set_context('$tenant_a'::uuid)");
  is(rows($app, 'SELECT id FROM shop.orders UNION ALL SELECT id FROM shop.events ORDER BY 1'),
    join("\n", map { ($_, $_) } 2, 4, 6, 8, 10), "$how: a tenant reads its rows");
  is(rows($app, 'SELECT id FROM shop.order_lines ORDER BY 1'), join("\n", 2, 4, 6, 8, 10), "$how: and by a view");
  is(rows($app, 'SELECT id FROM shop.posts ORDER BY 1'), join("\n", 2, 4, 5, 6), "$how: and what others have published");
  is(rows($app, 'UPDATE shop.posts SET kind = kind RETURNING id'), join("\n", 2, 4, 6), "$how: which it does not write");
  refused($app, "INSERT INTO shop.orders VALUES (11, '$tenant_b', '')", '42501', qr/row-level security/,
    "$how: and writes no other's");
  $app->do('ROLLBACK');
  $app->do('BEGIN');
  $app->do('SET LOCAL rls_tenant.user_id = 1');
  is(rows($app, q{SELECT id, rls_tenant.is_member('red', 'team') FROM shop.paper}), '1|1',
    "$how: a user reads the rows of its tenants");
  $app->do('ROLLBACK');
  is(rows($restored, q{SELECT rls_tenant.protect_sql('shop.posts')}), '', "$how: a table with public rows is what it was");
  refused($restored, 'CREATE TABLE shop.loose (a int)', '42P16', qr/does not keep tenants apart/,
    "$how: the guard stands");
  refused($restored, not_forced('whole'), '42P16', qr/does not keep tenants apart/,
    "$how: also over a table that is not forced");
  refused($restored, 'CREATE VIEW shop.leak AS SELECT * FROM shop.orders', '42P16', qr/view_bypass/,
    "$how: and over views");
  $restored->do(not_forced('half_done'));
  pass("$how: but an exemption from that rule waives it");
  $restored->do('DROP TABLE shop.currency; CREATE TABLE shop.currency (code text, name text)');
  pass("$how: and one from all rules waives all");
  $_->disconnect for $app, $restored;
}

1;
