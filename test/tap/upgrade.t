# pg_upgrade to the later versions of PostgreSQL that there are test beds of: what the extension holds comes along, and the
# guard stands. The beds are the directories 17 and 18 of $RLS_TENANT_BEDS; without that they are made, by a download.

use strict;
use warnings;
use Cluster;
use Shop;
use Test::More;

# Where the programs of a later version lie; the running one's are there.
sub programs {
  my ($major) = @_;
  return $ENV{PG_BIN} if $major == $ENV{PG_MAJOR};
  my $bed = ($ENV{RLS_TENANT_BEDS} // $work) . "/$major";
  if (!-d $bed) {
    system('bash', "$top/tools/unpack_postgresql", $major, $bed) == 0 or BAIL_OUT("there is no test bed of PostgreSQL $major");
  }
  return "$bed/usr/lib/postgresql/$major/bin";
}

# Whether this PostgreSQL gives columns a hidden option, which only minor releases from November 2026 on know: others cannot
# be upgraded to from there.
sub has_column_versions {
  my ($programs) = @_;
  return system('grep', '-q', 'pg_attver', "$programs/pg_dump") == 0;
}

# What is to come along, as text that is the same in every version.
sub whole_picture {
  my ($connection) = @_;
  return join("\n\n", picture($connection, 1),
    rows($connection, 'SELECT setrole::regrole, unnest(setconfig) FROM pg_db_role_setting ORDER BY 1, 2'),
    rows($connection, 'SELECT * FROM shop.legacy_total'));
}

# Makes a server of the environment's PostgreSQL to upgrade; gives it, stopped, and what there was.
sub make_old {
  my ($name, @lines) = @_;
  my $old = Cluster->start($name, @lines);
  $old->role('dump_app');
  $old->role('dump_owner');
  my $db = $old->connect($old->database('shop', 1));
  make_shop($db);
  $db->do($_) for
    'ALTER MATERIALIZED VIEW shop.legacy_total OWNER TO postgres',
    'REFRESH MATERIALIZED VIEW shop.legacy_total',
    'ALTER DATABASE shop SET rls_tenant.membership_cost = 7',
    'ALTER ROLE dump_owner SET rls_tenant.guard = protect',
    "ALTER ROLE dump_app IN DATABASE shop SET rls_tenant.user_id = '1'";
  my $picture = whole_picture($db);
  $db->disconnect;
  $old->stop;
  return ($old, $picture);
}

# Upgrades a server to the environment's PostgreSQL, and looks at what has come.
sub test_upgrade {
  my ($old, $picture, $how, @lines) = @_;
  my $new = $old->upgrade("upgraded_$ENV{PG_MAJOR}", @lines);
  my $db = $new->connect('shop');
  like(value($db, 'SHOW server_version'), qr/^$ENV{PG_MAJOR}\b/, "$how: that is what runs");
  same_lines(whole_picture($db), $picture, "$how: policies, data, exemptions, memberships and settings are the same");
  my $fresh = $new->connect($new->database('fresh', 1));
  make_shop($fresh);
  $fresh->do('ALTER MATERIALIZED VIEW shop.legacy_total OWNER TO postgres');
  my $added_at = qr/^(shop\|.*\|postgres\|).*$/m;
  same_lines(picture($db) =~ s/$added_at/$1/gr, picture($fresh) =~ s/$added_at/$1/gr, "$how: and as if it had been made there");
  test_shop($new, 'shop', $how);
  $_->disconnect for $db, $fresh;
  $new->stop;
}

my ($old, $picture) = make_old('old');
my @majors = grep { $_ > $ENV{PG_MAJOR} } 17, 18;
@majors = ($ENV{PG_MAJOR}) if !@majors;    # to itself, which is an upgrade like any other
for my $major (@majors) {
  my $programs = programs($major);
  my $possible = has_column_versions($programs) || !has_column_versions($ENV{PG_BIN});
  my $preload = q{shared_preload_libraries = 'rls_tenant'};
  my @lines = $major == 18 ? ($preload) : ();
  my $from = $ENV{PG_MAJOR};
  local @ENV{qw(PG_BIN PG_CONFIG PG_MAJOR)} = @ENV{qw(PG_BIN PG_CONFIG PG_MAJOR)};
  my %installation = Cluster->installation("pg_$major", $programs);
  @ENV{keys %installation} = values %installation;
  if ($possible) {
    test_upgrade($old, $picture, "$from to $major", @lines);
  } else {
    diag("PostgreSQL $major is too old a minor release to be upgraded to from this one: it is upgraded from itself");
    test_upgrade(make_old("old_$major", @lines), "$major to itself", @lines);
  }
}

done_testing();
