# CREATE EXTENSION, DROP EXTENSION, CREATE EXTENSION again leave nothing behind, in the catalogs and in open sessions.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
my $db = $server->connect($server->database('lifecycle'));
$server->role('lifecycle_app');

# Every row of every catalog of this database that describes an object. pg_class also counts rows and ages, which
# VACUUM and ANALYZE change at any time; statistics come and go.
sub catalogs {
  my @tables = map { $_->[0] } @{$db->selectall_arrayref(
    q{SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
        AND relname <> 'pg_statistic' AND NOT relisshared
      ORDER BY relname})};
  my %rows;
  for my $table (@tables) {
    my $columns = $table eq 'pg_class' ? 'oid, relname, relnamespace, relkind, relowner, relrowsecurity, relacl' : 't';
    $rows{$table}{$_->[0]} = 1 for @{$db->selectall_arrayref("SELECT ROW($columns)::text FROM pg_catalog.$table t")};
  }
  return \%rows;
}

# What is in one picture of the catalogs and not in the other.
sub difference {
  my ($before, $after) = @_;
  my @lines;
  for my $table (sort keys %$after) {
    push @lines, map { "$table + $_" } grep { !$before->{$table}{$_} } sort keys %{$after->{$table}};
    push @lines, map { "$table - $_" } grep { !$after->{$table}{$_} } sort keys %{$before->{$table}};
  }
  return join("\n", @lines);
}

# The extension's objects, by name.
sub members {
  return rows($db, q{
    SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'rls_tenant') ORDER BY 1});
}

# 1. The empty extension

my $empty = catalogs();
$db->do('CREATE EXTENSION rls_tenant');
my $members = members();
like($members, qr/event trigger rls_tenant_guard/, 'the extension is there');
isnt(difference($empty, catalogs()), '', 'the comparison sees it');
$db->do('DROP EXTENSION rls_tenant');
is(difference($empty, catalogs()), '', 'CREATE and DROP EXTENSION leave nothing in the catalogs');
$db->do('CREATE EXTENSION rls_tenant');
is(members(), $members, 'CREATE EXTENSION again makes the same objects');
$db->do('DROP EXTENSION rls_tenant');
is(difference($empty, catalogs()), '', 'and DROP EXTENSION again leaves nothing');

$db->do('BEGIN');
$db->do('CREATE EXTENSION rls_tenant');
$db->do('CREATE TABLE refused_if_kept (a int)');
$db->do('ROLLBACK');
is(difference($empty, catalogs()), '', 'nor does a CREATE EXTENSION that was rolled back');
$db->do('CREATE TABLE unguarded (a int)');
$db->do('DROP TABLE unguarded');

# 2. A schema of that name, which could hold functions of somebody else's

$db->do('CREATE SCHEMA rls_tenant');
refused($db, 'CREATE EXTENSION rls_tenant', '42P06', qr/schema "rls_tenant" already exists/,
  'a schema rls_tenant that is there before is refused');
$db->do('DROP SCHEMA rls_tenant');
refused($db, 'CREATE EXTENSION rls_tenant SCHEMA public', '0A000', qr/must be installed in schema/,
  'no other schema can be chosen');
$db->do('CREATE EXTENSION rls_tenant');
refused($db, 'CREATE EXTENSION rls_tenant', '42710', qr/already exists/, 'it cannot be created twice');
refused($db, 'ALTER EXTENSION rls_tenant SET SCHEMA public', '0A000', qr/does not support SET SCHEMA/, 'nor moved');
$db->do('SET ROLE lifecycle_app');
refused($db, 'DROP EXTENSION rls_tenant', '42501', qr/must be owner/, 'only its owner drops it');
$db->do('RESET ROLE');
$db->do('DROP EXTENSION rls_tenant');
$db->do('SET ROLE lifecycle_app');
refused($db, 'CREATE EXTENSION rls_tenant', '42501', qr/permission denied/, 'only a superuser creates it');
$db->do('RESET ROLE');

# 3. With protected tables

my %tenant = (a => '00000000-0000-0000-0000-00000000000a', b => '00000000-0000-0000-0000-00000000000b');

# Makes the tables into tenant tables with two rows each.
sub protect_tables {
  $db->do('BEGIN');
  for my $table ('plain', 'parted') {
    my $partition_by = $table eq 'parted' ? 'PARTITION BY LIST (id)' : '';
    $db->do("CREATE TABLE IF NOT EXISTS $table (id int, tenant_id uuid) $partition_by");
    $db->do('CREATE TABLE IF NOT EXISTS parted_1 PARTITION OF parted FOR VALUES IN (1, 2)') if $partition_by;
    $db->do("SELECT rls_tenant.protect('$table')");
    $db->do("GRANT ALL ON $table TO lifecycle_app");
  }
  $db->do('COMMIT');
}

# What the application sees as a tenant, in a session that stays open; undef if that fails.
sub seen {
  my ($app, $table, $tenant, $query) = @_;
  $app->do('BEGIN');
  my $result = eval {
    $app->do("SET LOCAL rls_tenant.tenant_id = '$tenant{$tenant}'");
    join(',', map { $_->[0] } @{$app->selectall_arrayref($query // "SELECT id FROM $table ORDER BY id")});
  };
  $app->do('ROLLBACK');
  return $result;
}

$db->do('CREATE EXTENSION rls_tenant');
protect_tables();
$db->do("INSERT INTO $_ VALUES (1, '$tenant{a}'), (2, '$tenant{b}')") for 'plain', 'parted';
my $app = $server->connect('lifecycle', user => 'lifecycle_app');
$app->do('PREPARE kept AS SELECT id FROM plain');
is(seen($app, $_, 'a'), '1', "a tenant sees its rows of $_") for 'plain', 'parted';
is(seen($app, 'plain', $_, 'EXECUTE kept'), $_ eq 'a' ? '1' : '2', "and by a prepared statement ($_)") for 'a', 'b';

refused($db, 'DROP EXTENSION rls_tenant', '2BP01', qr/other objects depend on it/, 'policies hold the extension');
is(seen($app, 'plain', 'b'), '2', 'a refused DROP changes nothing');

$db->do('BEGIN');
$db->do('DROP EXTENSION rls_tenant CASCADE');
$db->do('ROLLBACK');
is(seen($app, 'plain', 'b'), '2', 'nor does one that is rolled back');
refused($db, 'CREATE TABLE loose (a int)', '42P16', qr/does not keep tenants apart/, 'and the guard stands');

$db->do('DROP EXTENSION rls_tenant CASCADE');
is(rows($db, q{
    SELECT relname, relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid)
    FROM pg_class c WHERE relname IN ('plain', 'parted', 'parted_1') ORDER BY 1}),
  "parted|1|1|0\nparted_1|1|1|0\nplain|1|1|0", 'DROP … CASCADE takes the policies, and leaves row-level security on');
is(value($db, q{SELECT count(*) FROM pg_attrdef}), 0, 'and the defaults of the tenant columns with them');
is(seen($app, $_, 'a'), '', "so nobody sees a row of $_") for 'plain', 'parted';
$db->do('CREATE TABLE loose (a int)');
pass('without the extension any table passes, in a session that had it');
$db->do('DROP TABLE loose');

$db->do('CREATE EXTENSION rls_tenant');
protect_tables();
is(seen($app, $_, 'b'), '2',
  "created and protected again, a tenant sees its rows of $_, in a session that was open") for 'plain', 'parted';
is(seen($app, 'plain', $_, 'EXECUTE kept'), $_ eq 'a' ? '1' : '2',
  "and by the statement prepared before ($_)") for 'a', 'b';
$app->do('BEGIN');
$app->do("SET LOCAL rls_tenant.tenant_id = '$tenant{a}'");
$app->do("SELECT id FROM plain");
refused($app, "SET LOCAL rls_tenant.tenant_id = '$tenant{b}'", '25001', qr/cannot change after it has been read/,
  'and is held to it');
$app->do('ROLLBACK');
refused($db, 'CREATE TABLE loose (a int)', '42P16', qr/does not keep tenants apart/, 'and the guard stands again');

$db->do('BEGIN');
$db->do('CREATE TABLE loose (a int)');
$db->do('DROP EXTENSION rls_tenant CASCADE');
$db->do('COMMIT');
pass('a transaction may make a table and drop the extension');
$db->do('DROP TABLE loose, plain, parted');
is(difference($empty, catalogs()), '', 'in the end the catalogs are as they were in the beginning');


# 4. The tests for pgTAP, a second extension

SKIP: {
  skip 'pgTAP is not installed for this PostgreSQL: rls_tenant_tap was not created', 11
    unless value($db, q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pgtap'});
  refused($db, 'CREATE EXTENSION rls_tenant_tap', '42704', qr/required extension "pgtap" is not installed/,
    'rls_tenant_tap needs pgTAP');
  $db->do('CREATE EXTENSION pgtap');
  refused($db, 'CREATE EXTENSION rls_tenant_tap', '42704', qr/required extension "rls_tenant" is not installed/,
    'and rls_tenant');
  my $without = catalogs();
  $db->do('CREATE EXTENSION rls_tenant_tap CASCADE');
  $db->do('DROP EXTENSION rls_tenant_tap, rls_tenant');
  is(difference($without, catalogs()), '', 'CREATE … CASCADE and DROP EXTENSION leave nothing in the catalogs');
  $db->do('CREATE EXTENSION rls_tenant');
  my $findings = rows($db, 'SELECT * FROM rls_tenant.audit()');
  my $with = catalogs();
  $db->do('CREATE EXTENSION rls_tenant_tap');
  isnt(difference($with, catalogs()), '', 'under the guard it can be created');
  same_lines(rows($db, 'SELECT * FROM rls_tenant.audit()'), $findings, 'and the audit finds no more');
  refused($db, 'DROP EXTENSION rls_tenant', '2BP01', qr/extension rls_tenant_tap depends on extension rls_tenant/,
    'rls_tenant cannot be dropped before it');
  refused($db, 'DROP EXTENSION pgtap', '2BP01', qr/extension rls_tenant_tap depends on extension pgtap/, 'nor can pgTAP');
  refused($db, 'ALTER EXTENSION rls_tenant_tap SET SCHEMA pg_catalog', '0A000', qr/does not support SET SCHEMA/, 'it cannot be moved');
  $db->do('CREATE SCHEMA moved');
  $db->do('ALTER EXTENSION pgtap SET SCHEMA moved');
  # pgTAP itself asks for its schema in search_path; our functions do not.
  $db->begin_work;
  $db->do('SET LOCAL search_path = public, moved');
  $db->do('SELECT plan(1)');
  $db->do('CREATE TABLE tested (tenant_id text)');
  $db->do('SET LOCAL search_path = public');
  like(value($db, q{SELECT is_protected('tested')}), qr/\Anot ok 1 - /, 'pgTAP may be moved');
  $db->rollback;
  $db->do('ALTER EXTENSION pgtap SET SCHEMA public');
  $db->do('DROP SCHEMA moved');
  $db->do('DROP EXTENSION rls_tenant_tap');
  is(difference($with, catalogs()), '', 'dropped alone it leaves nothing');
  $db->do('CREATE EXTENSION rls_tenant_tap');
  $db->do('DROP EXTENSION rls_tenant CASCADE');
  is(value($db, q{SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension}), 'pgtap plpgsql',
    'DROP EXTENSION rls_tenant CASCADE takes it along');
}

done_testing();
