# Restoring without a superuser's rights, as the owner of the database, into which an administrator has put the
# extension; and pg_dumpall, with the settings of roles and databases, into a server that knows none of it.

use strict;
use warnings;
use Cluster;
use Shop;
use Test::More;

my $from = Cluster->start('from');
$from->role('dump_app');
$from->role('dump_owner');
$from->database('shop', 1);
my $db = $from->connect('shop');
make_shop($db);
my $picture = picture($db);

# Tests what a program says: nothing that is an error, and all that it was to do is done.
sub runs {
  my ($server, $name, $program, @arguments) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my ($status, $text) = $server->run($program, @arguments);
  return ok($status == 0 && $text !~ /error|fatal/i, $name) || diag("exit status $status: $text");
}

# 1. The owner of the database

my ($script, $archive) = ("$work/owner.sql", "$work/owner.custom");
runs($from, 'pg_dump writes a script', 'pg_dump', '-f', $script, 'shop');
runs($from, 'and an archive', 'pg_dump', '-Fc', '-f', $archive, 'shop');

# What an administrator prepares.
sub prepare {
  my ($database) = @_;
  $from->database($database);
  my $admin = $from->connect($database);
  $admin->do("ALTER DATABASE $database OWNER TO dump_owner");
  $admin->do('CREATE EXTENSION rls_tenant');
  $admin->do('GRANT EXECUTE ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) TO dump_owner');
  $admin->do('ALTER ROLE dump_owner SET rls_tenant.guard = off');
  return $admin;
}

my @owner = ('-U', 'dump_owner', '-d');
my @psql = ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $script);
my @restore = ('pg_restore', '--exit-on-error');
for my $way (
  ['psql',          sub { @psql,          @owner, $_[0] }],
  ['psql -1',       sub { @psql, '-1',    @owner, $_[0] }],
  ['pg_restore',    sub { @restore,       @owner, $_[0], $archive }],
  ['pg_restore -1', sub { @restore, '-1', @owner, $_[0], $archive }],
) {
  my ($how, $command) = @$way;
  my $database = 'owner_' . $how =~ s/\W+/_/gr;
  my $admin = prepare($database);
  runs($from, "as the owner of the database, $how", $command->($database));
  $admin->do('ALTER ROLE dump_owner RESET rls_tenant.guard');
  same_lines(picture($admin), $picture, "$how by the owner: everything comes back, once");
  same_lines(dump_text($from, $database), dump_text($from, 'shop'), "$how by the owner: a dump of it reads the same");
  test_shop($from, $database, "$how by the owner");
}

# The guard on: the rows of the configuration tables are not let in, and the error says what is missing.
my $admin = prepare('owner_guarded');
$admin->do('ALTER ROLE dump_owner RESET rls_tenant.guard');
my ($status, $text) = $from->run('pg_restore', '--exit-on-error', '--table=exemption', '--data-only', @owner, 'owner_guarded', $archive);
isnt($status, 0, 'the owner whose guard is not off restores no exemption');
like($text, qr/role "dump_owner" may not add rows to rls_tenant\.exemption.*ALTER ROLE dump_owner SET rls_tenant\.guard = off;/s,
  'and reads what an administrator has to do');
is(value($admin, 'SELECT count(*) FROM rls_tenant.exemption'), 0, 'none has come');

# What row-level security holds cannot fill a materialised view of tenant tables but in one tenant's context, which a dump
# does not have.
$db->do('BEGIN');
$db->do("SELECT rls_tenant.set_context('$tenant_a'::uuid)");
$db->do('REFRESH MATERIALIZED VIEW shop.legacy_total');
$db->do('COMMIT');
runs($from, 'a dump with a materialised view that is filled', 'pg_dump', '-Fc', '-f', "$work/filled.custom", 'shop');
$admin = prepare('owner_filled');
($status, $text) = $from->run('pg_restore', @owner, 'owner_filled', "$work/filled.custom");
is(join("\n", $text =~ /ERROR: +(.*)/g), 'query would be affected by row-level security policy for table "orders"',
  'what reads tenant tables is the one thing that the owner cannot fill');
my ($listed, $list) = $from->run('pg_restore', '-l', "$work/filled.custom");
open(my $file, '>', "$work/list") or die $!;
print $file grep { !/MATERIALIZED VIEW DATA/ } $list =~ /.*\n/g;
close($file);
$admin->do('DROP SCHEMA shop CASCADE');
$admin->do('DELETE FROM rls_tenant.exemption');
runs($from, 'without that the owner restores it', @restore, '-1', @owner, 'owner_filled', '-L', "$work/list", "$work/filled.custom");
same_lines(picture($admin), $picture, 'and everything comes back, once');
$db->do('REFRESH MATERIALIZED VIEW shop.legacy_total WITH NO DATA');

# 2. pg_dumpall, into a server where the library is loaded from the start, so that it judges the settings

$from->role('dump_pinned');
$from->role('dump_dba', 'LOGIN SUPERUSER');
$admin->disconnect;
my $control = $from->connect('postgres');
$control->do($_) for
  "ALTER ROLE dump_pinned SET rls_tenant.tenant_id = '$tenant_b'",
  'GRANT dump_app TO dump_pinned',
  'ALTER ROLE dump_owner SET rls_tenant.guard = protect',
  'ALTER ROLE dump_dba IN DATABASE shop SET rls_tenant.one_tenant_per_transaction = off',
  'ALTER DATABASE shop SET rls_tenant.membership_cost = 5',
  q{ALTER DATABASE shop SET session_preload_libraries = 'rls_tenant'},
  'ALTER DATABASE shop SET rls_tenant.tenant_type = uuid',
  q{ALTER DATABASE shop SET rls_tenant.missing_context = 'null'},
  'ALTER DATABASE shop RESET rls_tenant.missing_context',
  'ALTER DATABASE shop SET rls_tenant.guard = refuse',
  'DROP DATABASE owner_guarded',
  'DROP DATABASE owner_filled';

# Who has which settings where, and which roles there are.
sub globals {
  my ($connection) = @_;
  return join("\n\n", map { rows($connection, $_) }
    q{SELECT coalesce(setrole::regrole::text, 'all') AS role, coalesce(datname, 'all') AS database, unnest(setconfig) AS setting
      FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase ORDER BY 1, 2, 3},
    q{SELECT rolname, rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1},
    q{SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE roleid::regrole::text !~ '^pg_' ORDER BY 1, 2});
}

my $all = "$work/all.sql";
runs($from, 'pg_dumpall writes a script', 'pg_dumpall', '-f', $all);
my $into = Cluster->start('into', q{shared_preload_libraries = 'rls_tenant'});
($status, $text) = $into->run('psql', '-X', '-q', '-f', $all, 'postgres');
is(join("\n", $text =~ /^.*((?:ERROR|FATAL|error): .*)/mg), 'ERROR:  role "postgres" already exists',
  'psql runs it: the superuser is there already, else there is no error') or diag($text);
unlike($text, qr/WARNING/, 'nor a warning');
same_lines(globals($into->connect('postgres')), globals($control), 'roles come back, and the settings of roles and databases');
same_lines(picture($into->connect('shop')), $picture, 'everything in the database comes back, once');
test_shop($into, 'shop', 'pg_dumpall');
my $pinned = $into->connect('shop', user => 'dump_pinned');
is(rows($pinned, 'SELECT id FROM shop.orders ORDER BY 1'), join("\n", 1, 3, 5, 7, 9), 'a pinned tenant is in force');
is(value($into->connect('shop', user => 'dump_owner'), 'SHOW rls_tenant.guard'), 'protect', 'and the guard of a role');

done_testing();
