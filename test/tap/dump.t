# A database of tenant tables comes back the same from pg_dump, in each of its formats, and nothing comes back twice.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
my $db = $server->connect($server->database('dump', 1));
$server->role('dump_app');
$server->role('dump_owner');

my ($a, $b) = map { "00000000-0000-0000-0000-00000000000$_" } 'a', 'b';
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
  'GRANT ALL ON ALL TABLES IN SCHEMA shop TO dump_app',
  'COMMIT',
  'RESET ROLE',
  q{SELECT rls_tenant.exempt('shop', 'currency', 'the same for all tenants')},
  q{SELECT rls_tenant.exempt('shop', 'half\_%', 'they come from elsewhere', '{rls_not_forced,no_policy}')},
  'CREATE TABLE shop.currency (code text)',
  q{INSERT INTO shop.currency VALUES ('CHF'), ('EUR')},
  "INSERT INTO shop.orders SELECT i, ('{$b,$a}'::uuid[])[2 - i % 2], 'note ' || i FROM generate_series(1, 10) i",
  "INSERT INTO shop.events SELECT i, ('{$b,$a}'::uuid[])[2 - i % 2], date '2025-12-25' + i FROM generate_series(1, 10) i",
  'INSERT INTO shop."odd Name" VALUES (1, 7), (2, 8)',
  # Memberships: a table with parts, and a view; a table that is isolated by the first.
  q{SELECT rls_tenant.exempt('shop', 'member%', 'they tell of memberships')},
  'GRANT EXECUTE ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) TO dump_owner',
  'SET ROLE dump_owner',
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
  'GRANT ALL ON shop.paper TO dump_app',
  'COMMIT',
  'RESET ROLE',
  q{INSERT INTO shop.member VALUES (1, 7, 'x', NULL), (1, 8, 'gone', NULL), (2, 8, 'x', NULL)},
  q{INSERT INTO shop.member_team VALUES (1, 'red')},
  'INSERT INTO shop.paper VALUES (1, 7), (2, 8)',
  'ALTER DATABASE dump SET rls_tenant.membership_cost = 7',
  # What refers to tenant tables and reads them; what was there before the guard.
  'SET rls_tenant.guard = off',
  'CREATE TABLE shop.legacy (id int PRIMARY KEY, tenant_id uuid)',
  'CREATE MATERIALIZED VIEW shop.legacy_total AS SELECT count(*) FROM shop.orders',
  'CREATE VIEW shop.legacy_view AS SELECT * FROM shop.orders',
  'RESET rls_tenant.guard',
  q{SELECT rls_tenant.baseline('from the old days')},
  'SET ROLE dump_owner',
  'BEGIN',
  'ALTER TABLE shop.orders ADD UNIQUE (tenant_id, id)',
  'CREATE TABLE shop.lines (id int PRIMARY KEY, tenant_id uuid, order_id int,
     FOREIGN KEY (tenant_id, order_id) REFERENCES shop.orders (tenant_id, id))',
  q{SELECT rls_tenant.protect('shop.lines')},
  'CREATE VIEW shop.order_lines WITH (security_invoker) AS SELECT o.note, l.* FROM shop.orders o JOIN shop.lines l ON l.order_id = o.id',
  'GRANT SELECT ON shop.lines, shop.order_lines TO dump_app',
  'COMMIT',
  'RESET ROLE',
  "INSERT INTO shop.lines SELECT i, tenant_id, id FROM shop.orders, generate_series(1, 10) i WHERE id = i";

# What there is to come back, as text.
sub picture {
  my ($connection) = @_;
  return join("\n\n", map { rows($connection, $_) }
    q{SELECT c.oid::regclass, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl, r.rolname
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
    q{SELECT name, kept, detail FROM rls_tenant.membership_sources()},
    q{SELECT tgrelid::regclass, pg_get_triggerdef(oid), tgenabled FROM pg_trigger
      WHERE tgname = 'rls_tenant_membership' ORDER BY tgrelid::regclass::text},
    q{SELECT evtname, evtevent, evtenabled, evtfoid::regproc FROM pg_event_trigger ORDER BY 1},
    q{SELECT extname, extversion FROM pg_extension ORDER BY 1},
    q{SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
      WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' ORDER BY 1},
    q{SELECT * FROM shop.orders ORDER BY 1}, q{SELECT tableoid::regclass, * FROM shop.events ORDER BY 2},
    q{SELECT * FROM shop."odd Name" ORDER BY 1}, q{SELECT * FROM shop.currency ORDER BY 1});
}

# A dump as text, without the key that newer versions of pg_dump make up each time.
sub dump_text {
  my ($database) = @_;
  my ($status, $text) = $server->run('pg_dump', $database);
  return $status == 0 ? $text =~ s/^\\(un)?restrict .*$//mgr : "pg_dump failed: $text";
}

# The statements of a transaction that makes a tenant table of which row-level security is not forced.
sub not_forced {
  my ($table) = @_;
  return "CREATE TABLE shop.$table (id int, tenant_id uuid); SELECT rls_tenant.protect('shop.$table'); "
    . "ALTER TABLE shop.$table NO FORCE ROW LEVEL SECURITY";
}

# Tests that a restored database is as the first one and works.
sub test_restored {
  my ($database, $how) = @_;
  my $restored = $server->connect($database);
  same_lines(picture($restored), picture($db), "$how: everything comes back, once");
  same_lines(dump_text($database), dump_text('dump'), "$how: a dump of it reads the same");
  my $app = $server->connect($database, user => 'dump_app');
  refused($app, 'SELECT * FROM shop.orders', '55000', qr/no tenant is set/, "$how: without a context nothing is read");
  $app->do('BEGIN');
  $app->do("SELECT rls_tenant.set_context('$a'::uuid)");
  is(rows($app, 'SELECT id FROM shop.orders UNION ALL SELECT id FROM shop.events ORDER BY 1'),
    join("\n", map { ($_, $_) } 2, 4, 6, 8, 10), "$how: a tenant reads its rows");
  $app->do('ROLLBACK');
  $app->do('BEGIN');
  $app->do('SET LOCAL rls_tenant.user_id = 1');
  is(rows($app, q{SELECT id, rls_tenant.is_member('red', 'team') FROM shop.paper}), '1|1',
    "$how: a user reads the rows of its tenants");
  $app->do('ROLLBACK');
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
}

my $script = "$work/dump.sql";
is(($server->run('pg_dump', '-f', $script, 'dump'))[0], 0, 'pg_dump writes a script');
$server->database('dump_psql');
my ($status, $text) = $server->run('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'dump_psql', '-f', $script);
is($status, 0, 'psql runs it') or diag($text);
test_restored('dump_psql', 'script');

$server->database('dump_one');
($status, $text) = $server->run('psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', 'dump_one', '-f', $script);
is($status, 0, 'psql runs it in one transaction') or diag($text);
same_lines(picture($server->connect('dump_one')), picture($db), 'and everything comes back, once');

is(($server->run('pg_dump', '-Fc', '-f', "$work/dump.custom", 'dump'))[0], 0, 'pg_dump writes an archive');
for my $jobs (1, 2) {
  my $database = $server->database("dump_restore_$jobs");
  ($status, $text) = $server->run('pg_restore', '--exit-on-error', '-j', $jobs, '-d', $database, "$work/dump.custom");
  is($status, 0, "pg_restore reads it, $jobs at a time") or diag($text);
  test_restored($database, "archive, $jobs at a time");
}

# Over a database that is there: everything is dropped first.
for my $round (1, 2) {
  my $database = 'dump_one';
  ($status, $text) = $server->run('pg_restore', '--exit-on-error', '--clean', '--if-exists', '-1', '-d', $database, "$work/dump.custom");
  is($status, 0, "pg_restore --clean --if-exists -1 over what is there, $round") or diag($text);
  same_lines(picture($server->connect($database)), picture($db), 'and everything comes back, once');
}

$server->database('dump_parts');
for my $section ('pre-data', 'data', 'post-data') {
  my @arguments = ('--exit-on-error', "--section=$section", '-d', 'dump_parts', "$work/dump.custom");
  ($status, $text) = $server->run('pg_restore', @arguments);
  is($status, 0, "pg_restore reads its section $section") or diag($text);
}
same_lines(picture($server->connect('dump_parts')), picture($db), 'and everything comes back, once');

# The cost of a check, set for the database, is in the dump of the database itself.
like(($server->run('pg_dump', '--create', 'dump'))[1], qr/ALTER DATABASE dump SET "?rls_tenant.membership_cost"? TO '7'/,
  'pg_dump --create keeps the cost of a check');

# Whoever is held by row-level security cannot dump a part without noticing.
($status, $text) = $server->run('pg_dump', '-U', 'dump_app', '-t', 'shop.orders', 'dump');
isnt($status, 0, 'a role that is held by row-level security cannot dump');
like($text, qr/row-level security/, 'and is told why');

done_testing();
