# What other tools do to a database with the guard, in mode refuse: extensions, pg_partman, pgq, pg_repack, foreign schemas.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
$server->role($_) for 'tools_owner', 'tools_app';
my $db = $server->connect($server->database('tools', 1));
$db->do($_) for
  'SET client_min_messages = error',
  'GRANT CREATE ON SCHEMA public TO tools_owner',
  'GRANT CREATE ON DATABASE tools TO tools_owner';
my ($a, $b) = map { "00000000-0000-0000-0000-00000000000$_" } 'a', 'b';

# Runs statements as the role that owns the application's tables; gives what refused one of them, or an empty text.
sub try_as_owner {
  $db->do('SET ROLE tools_owner');
  my $refusal = eval { $db->do($_) for @_; '' } // $db->state . ' ' . $db->errstr;
  $db->do('ROLLBACK') if $refusal ne '' && $db->ping > 1;
  $db->do('RESET ROLE');
  return $refusal;
}

sub as_owner {
  my $refusal = try_as_owner(@_);
  die "$refusal\n" if $refusal ne '';
}

# What a tenant reads.
sub tenant_reads {
  my ($query, $tenant) = @_;
  my $app = $server->connect('tools', user => 'tools_app');
  $app->do('BEGIN');
  $app->do("SELECT rls_tenant.set_context('" . ($tenant // $a) . "'::uuid)");
  my $rows = rows($app, $query);
  $app->do('COMMIT');
  $app->disconnect;
  return $rows;
}

# Tables of a name like this: how many, and how many of them have row-level security enabled and forced.
sub protected {
  my ($pattern) = @_;
  return rows($db, "SELECT count(*), count(*) FILTER (WHERE relrowsecurity AND relforcerowsecurity) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname ~ '$pattern'");
}

sub available { return value($db, 'SELECT count(*) FROM pg_available_extensions WHERE name = ?', $_[0]); }

# 1. Every extension that can be made without the guard can be made with it

# The extensions that there are now, after all have been tried.
sub all_extensions {
  my ($connection) = @_;
  $connection->do('SET client_min_messages = error');
  my $names = $connection->selectcol_arrayref(q{SELECT name FROM pg_available_extensions WHERE name <> 'rls_tenant' ORDER BY 1});
  for my $name (@$names) { eval { $connection->do(qq{CREATE EXTENSION IF NOT EXISTS "$name" CASCADE}) } }
  return rows($connection, q{SELECT extname FROM pg_extension WHERE extname <> 'rls_tenant' ORDER BY 1});
}

my $without = all_extensions($server->connect($server->database('tools_without')));
my $many = $server->connect($server->database('tools_many', 1));
same_lines(all_extensions($many), $without, 'CREATE EXTENSION: what passes without the guard passes with it');
cmp_ok(scalar(split /\n/, $without), '>', 20, 'which are many');
cmp_ok(value($many, q{SELECT count(*) FROM pg_depend d JOIN pg_class c ON c.oid = d.objid WHERE d.classid = 'pg_class'::regclass
  AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND c.relkind IN ('r', 'v')
  AND d.refobjid <> (SELECT oid FROM pg_extension WHERE extname = 'rls_tenant')}), '>=', 5, 'and have tables and views');
is(value($many, q{SELECT count(*) FROM rls_tenant.exemption}), 0, 'without an exemption');
for my $extension ('pg_stat_statements', 'pgtap', 'dblink', 'tablefunc') {
  $many->do("DROP EXTENSION $extension CASCADE");
  $many->do("CREATE EXTENSION $extension");
  $many->do("ALTER EXTENSION $extension UPDATE");
  pass("$extension is dropped, made again and updated");
}
refused($many, 'CREATE TABLE loose (a int)', '42P16', qr/does not keep tenants apart/, 'and the guard stands');
as_owner('CREATE EXTENSION citext');
pass('a trusted extension is made by who is no superuser');

# 2. pgTAP makes temporary tables, and tables in the transaction that it rolls back

$many->do($_) for 'BEGIN', 'SELECT * FROM no_plan()', 'SELECT * FROM has_table(\'pg_catalog\', \'pg_class\', \'there\')',
  'SELECT * FROM finish()', 'COMMIT';
pass('pgTAP runs a test, and even commits');

# 3. pg_partman

SKIP: {
  skip 'pg_partman is not installed for this PostgreSQL', 1 if !available('pg_partman');
  $db->do('CREATE SCHEMA partman');
  $db->do('CREATE EXTENSION pg_partman SCHEMA partman');
  as_owner('BEGIN', 'CREATE TABLE events (id bigint, tenant_id uuid, at timestamptz NOT NULL) PARTITION BY RANGE (at)',
    q{SELECT rls_tenant.protect('events')}, 'GRANT ALL ON events TO tools_app', 'COMMIT');
  my $create = q{SELECT partman.create_parent('public.events', 'at', 'native', 'daily')};
  # The schema was made by hand, so it belongs to nobody's extension: a table of it is a table like others.
  refused($db, $create, '42P16', qr/exempt\('partman', 'template\\_public\\_events', 'reason'\)/,
    'pg_partman: the template that it keeps in its schema is refused, with the exemption that it needs');
  $db->do(q{SELECT rls_tenant.exempt('partman', 'template\_%', 'pg_partman keeps no rows in them')});
  $db->do($create);
  my $parts = value($db, q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass});
  cmp_ok($parts, '>', 3, 'pg_partman: with it partitions are made');
  is(protected('^events_p'), join('|', ($parts - 1) x 2), 'and all are protected');
  is(protected('^events_default'), '1|1', 'and the default one');
  $db->do(q{UPDATE partman.part_config SET premake = premake + 4});
  $db->do(q{INSERT INTO events SELECT i, (CASE i % 2 WHEN 0 THEN '} . $a . q{' ELSE '} . $b . q{' END)::uuid, now() + i * interval '1 day'
    FROM generate_series(1, 4) i});
  $db->do(q{SELECT partman.run_maintenance()});
  my $more = value($db, q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass});
  cmp_ok($more, '>', $parts, 'maintenance makes further partitions');
  is(protected('^events_'), "$more|$more", 'which protect themselves');
  $db->do(q{CALL partman.run_maintenance_proc()});
  is(tenant_reads('SELECT id FROM events ORDER BY 1'), "2\n4", 'a tenant reads its rows through the parent');
  my $part = value($db, q{SELECT tableoid::regclass FROM events WHERE id = 2});
  $db->do("GRANT SELECT ON $part TO tools_app");
  is(tenant_reads("SELECT count(*) FROM $part"), '0', 'and nothing in a partition that is named itself');
  # Retention: old partitions are detached and stay, or are dropped.
  $db->do(q{UPDATE partman.part_config SET retention = '1 day', retention_keep_table = true});
  $db->do(q{SELECT partman.run_maintenance()});
  my $kept = value($db, q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass});
  cmp_ok($kept, '<', $more, 'retention detaches partitions');
  is(protected('^events_'), "$more|$more", 'which stay closed');
  $db->do(q{UPDATE partman.part_config SET retention = '1 second', retention_keep_table = false});
  $db->do(q{SELECT partman.run_maintenance()});
  refused($db, 'CREATE TABLE partman.other (a int)', '42P16', qr/no_tenant_column/, 'another table of that schema is still refused');
}

# 4. pgq, whose schema belongs to it

SKIP: {
  skip 'pgq is not installed for this PostgreSQL', 1 if !available('pgq');
  $db->do('CREATE EXTENSION pgq');
  $db->do($_) for q{SELECT pgq.create_queue('bills')}, q{SELECT pgq.register_consumer('bills', 'reader')},
    q{SELECT pgq.insert_event('bills', 'kind', 'data')}, q{SELECT pgq.ticker()};
  cmp_ok(value($db, q{SELECT count(*) FROM pg_class WHERE relnamespace = 'pgq'::regnamespace AND relname ~ '^event_\d' AND relkind = 'r'
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')}), '>=', 4, 'pgq makes tables of a queue');
  $db->do($_) for q{UPDATE pgq.queue SET queue_rotation_period = '0'}, q{SELECT pgq.maint_rotate_tables_step1('bills')},
    q{SELECT pgq.maint_rotate_tables_step2()}, q{SELECT pgq.drop_queue('bills', true)};
  is(value($db, q{SELECT count(*) FROM pgq.queue}), 0, 'turns them and drops them');
}

# 5. Tables that take another's place

my $protection = q{
  SELECT c.relname, relrowsecurity, relforcerowsecurity, (SELECT string_agg(concat(polname, polpermissive, pg_get_expr(polqual, polrelid)), ', '
    ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid), (SELECT string_agg(indexrelid::regclass::text, ', ' ORDER BY 1) FROM pg_index WHERE indrelid = c.oid)
  FROM pg_class c WHERE relname = 'orders'};
as_owner('BEGIN', 'CREATE TABLE orders (id int PRIMARY KEY, tenant_id uuid, note text)', q{SELECT rls_tenant.protect('orders', access => 'note <> ''x''')},
  'GRANT ALL ON orders TO tools_app', 'COMMIT');
$db->do("INSERT INTO orders SELECT i, (CASE i % 2 WHEN 0 THEN '$a' ELSE '$b' END)::uuid, 'n' FROM generate_series(1, 100) i");
$db->do('DELETE FROM orders WHERE id > 5');
my $before = rows($db, $protection);

SKIP: {
  skip 'pg_repack is not installed for this PostgreSQL', 1 if !available('pg_repack');
  $db->do('CREATE EXTENSION pg_repack');
  my $node = value($db, q{SELECT pg_relation_filenode('orders')});
  my ($status, $text) = $server->run('pg_repack', '-d', 'tools', '-t', 'orders');
  is($status, 0, 'pg_repack runs') or diag($text);
  isnt(value($db, q{SELECT pg_relation_filenode('orders')}), $node, 'and swaps the files');
  is(rows($db, $protection), $before, 'the table is as it was');
  is(tenant_reads('SELECT id FROM orders ORDER BY 1'), "2\n4", 'and shows a tenant its rows');
  ($status, $text) = $server->run('pg_repack', '-d', 'tools');
  is($status, 0, 'pg_repack runs over a whole database') or diag($text);
  ($status, $text) = $server->run('pg_repack', '-d', 'tools', '-t', 'orders', '--only-indexes');
  is($status, 0, 'and over indexes') or diag($text);
}

# A copy that takes its place in one transaction, the slow way of schema changes without locks.
sub swap {
  my (@policies) = @_;
  return ('BEGIN', 'CREATE TABLE orders_new (LIKE orders INCLUDING ALL)', @policies, 'SET LOCAL row_security = on',
    'RESET ROLE', 'INSERT INTO orders_new SELECT * FROM orders', 'SET ROLE tools_owner', 'ALTER TABLE orders RENAME TO orders_old',
    'ALTER TABLE orders_new RENAME TO orders', 'GRANT ALL ON orders TO tools_app', 'DROP TABLE orders_old', 'COMMIT');
}
my $oid = value($db, q{SELECT 'orders'::regclass::oid});
as_owner(swap('ALTER TABLE orders_new ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
  'CREATE POLICY tenant_isolation ON orders_new AS RESTRICTIVE USING (tenant_id = rls_tenant.current_tenant_uuid())',
  q{CREATE POLICY tenant_access ON orders_new USING (tenant_id = rls_tenant.current_tenant_uuid() AND note <> 'x')}));
isnt(value($db, q{SELECT 'orders'::regclass::oid}), $oid, 'a copy takes the place of a tenant table');
is(tenant_reads('SELECT id FROM orders ORDER BY 1'), "2\n4", 'and shows a tenant its rows');
like(try_as_owner(swap()), qr/^42P16 .*orders: rls_off/s, 'a copy without policies does not');
is(tenant_reads('SELECT id FROM orders ORDER BY 1'), "2\n4", 'so that the first one stays');
is(value($db, q{SELECT to_regclass('orders_new') IS NULL AND to_regclass('orders_old') IS NULL}), 1, 'alone');

# 6. Foreign schemas

$server->database('tools_far');
$server->connect('tools_far')->do('CREATE TABLE orders (id int, tenant_id uuid, note text); CREATE TABLE far_away (a int); CREATE VIEW far_view AS SELECT 1 AS a');
$db->do($_) for 'CREATE EXTENSION postgres_fdw',
  "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$server->{host}', port '$server->{port}', dbname 'tools_far')",
  q{CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'postgres')}, 'CREATE SCHEMA far';
$db->do('IMPORT FOREIGN SCHEMA public FROM SERVER far INTO far');
is(rows($db, q{SELECT relname FROM pg_class WHERE relnamespace = 'far'::regnamespace ORDER BY 1}), "far_away\nfar_view\norders",
  'IMPORT FOREIGN SCHEMA: also a table of a tenant table\'s name');
is(tenant_reads('SELECT count(*) FROM orders'), '2', 'which is another');
$db->do('IMPORT FOREIGN SCHEMA public LIMIT TO (far_away) FROM SERVER far INTO public');
$db->do('ALTER FOREIGN TABLE far.far_away ADD COLUMN tenant_id uuid');
$db->do('DROP SCHEMA far CASCADE');
pass('foreign tables are altered and dropped');
refused($db, 'CREATE TABLE far_copy AS SELECT * FROM far_away', '42P16', qr/far_copy: no_tenant_column/, 'a copy of one is a table');

$_->disconnect for $db, $many;
done_testing;
