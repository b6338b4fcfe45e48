# A database of tenant tables comes back the same from pg_dump, in each of its formats, and nothing comes back twice.

use strict;
use warnings;
use Cluster;
use Shop;
use Test::More;

my $server = Cluster->running;
my $db = $server->connect($server->database('dump', 1));
$server->role('dump_app');
$server->role('dump_owner');
make_shop($db);
$db->do('ALTER DATABASE dump SET rls_tenant.membership_cost = 7');
# It reads tenant tables: what it has is what a superuser saw.
$db->do('ALTER MATERIALIZED VIEW shop.legacy_total OWNER TO postgres');
$db->do('REFRESH MATERIALIZED VIEW shop.legacy_total');
is(value($db, 'SELECT * FROM shop.legacy_total'), 10, 'a materialised view of all rows is there');

# The tests for pgTAP are a second extension.
my $has_pgtap = value($db, q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pgtap'});
if ($has_pgtap) {
  $db->do($_) for 'CREATE SCHEMA kit', 'CREATE EXTENSION pgtap SCHEMA kit', 'CREATE EXTENSION rls_tenant_tap SCHEMA kit';
} else {
  diag('pgTAP is not installed for this PostgreSQL: rls_tenant_tap was not dumped');
}

# Tests that a restored database is as the first one and works.
sub test_restored {
  my ($database, $how) = @_;
  my $restored = $server->connect($database);
  same_lines(picture($restored), picture($db), "$how: everything comes back, once");
  is(value($restored, 'SELECT * FROM shop.legacy_total'), 10, "$how: the materialised view, too");
  same_lines(dump_text($server, $database), dump_text($server, 'dump'), "$how: a dump of it reads the same");
  test_shop($server, $database, $how);
  return if !$has_pgtap;
  is(value($restored, q{SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'rls_tenant_tap'}), 'kit',
    "$how: the second extension comes back where it was");
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
for my $jobs (1, 4) {
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
