# Lazy loading, session_preload_libraries and shared_preload_libraries: what was set before the library was there never
# becomes a context, nor switches anything off.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->start('preload');
$server->role('app');
$server->database('plain');
$server->database('tenants', 1);
my $admin = $server->connect('tenants');
$admin->do($_) for
  'BEGIN',
  'CREATE TABLE docs (id int, tenant_id text)',
  "SELECT rls_tenant.protect('docs')",
  'GRANT ALL ON docs TO app',
  "INSERT INTO docs VALUES (1, 'A'), (2, 'B'), (3, 'C')",
  'COMMIT',
  'GRANT CREATE ON SCHEMA public TO app';

# The tenants whose rows a session sees: a letter, or the SQLSTATE if it is refused.
sub seen {
  my ($session) = @_;
  my $rows = eval { $session->selectall_arrayref('SELECT tenant_id FROM docs ORDER BY 1') };
  return $rows ? join('', map { $_->[0] } @$rows) : $session->state;
}

# A session whose library is not loaded; %options as for connect.
sub fresh { return $server->connect('tenants', user => 'app', @_); }

# 1. Every order of setting, loading and ending. The library loads with the first use of a function of its own.

my %set = (
  'SET' => sub { "SET rls_tenant.tenant_id = '$_[0]'" },
  'SET LOCAL' => sub { "SET LOCAL rls_tenant.tenant_id = '$_[0]'" },
  'set_config(false)' => sub { "SELECT set_config('rls_tenant.tenant_id', '$_[0]', false)" },
  'set_config(true)' => sub { "SELECT set_config('rls_tenant.tenant_id', '$_[0]', true)" },
);

# A session that has run a statement.
sub fresh_with {
  my ($statement, @options) = @_;
  my $session = fresh(@options);
  $session->do($statement);
  return $session;
}

# What happens before the transaction: a value A that must never be seen.
my %before = (
  'nothing' => sub { fresh() },
  'SET' => sub { fresh_with($set{'SET'}->('A')) },
  'set_config(false)' => sub { fresh_with($set{'set_config(false)'}->('A')) },
  'SET, RESET' => sub {
    my $session = fresh_with($set{'SET'}->('A'));
    $session->do('RESET rls_tenant.tenant_id');
    return $session;
  },
  'PGOPTIONS' => sub { fresh(options => '-c rls_tenant.tenant_id=A') },
  'PGOPTIONS, then SET' => sub { fresh_with($set{'SET'}->('A'), options => '-c rls_tenant.tenant_id=A') },
);

# What happens in the transaction before the library loads, and what its first read then sees.
my @inside = (['nothing', '55000']);
for my $how (sort keys %set) {
  my $b = $set{$how}->('B');
  push @inside,
    [$how, 'B', $b],
    ["SAVEPOINT, $how", 'B', 'SAVEPOINT s', $b],
    ["SAVEPOINT, $how, RELEASE", 'B', 'SAVEPOINT s', $b, 'RELEASE s'],
    ["SAVEPOINT, $how, ROLLBACK TO", '55000', 'SAVEPOINT s', $b, 'ROLLBACK TO s'],
    ["$how, SAVEPOINT, SET LOCAL another", 'C', $b, 'SAVEPOINT s', $set{'SET LOCAL'}->('C')],
    ["$how, SAVEPOINT, SET another, ROLLBACK TO", 'B', $b, 'SAVEPOINT s', $set{'SET'}->('C'), 'ROLLBACK TO s'],
    ["$how, RESET", '55000', $b, 'RESET rls_tenant.tenant_id'];
}

# What happens after the read, with what a second read then sees, if it is not the same.
my @after = (
  ['COMMIT'],
  ['ROLLBACK'],
  ['PREPARE TRANSACTION', q{PREPARE TRANSACTION 'preload'}],
);

for my $before (sort keys %before) {
  my @wrong;
  for my $inside (@inside) {
    my ($name, $expected, @statements) = @$inside;
    for my $after (@after) {
      my $session = $before{$before}->();
      my $case = "$name, read, $after->[0]";
      $session->do('BEGIN');
      $session->do($_) for @statements;
      $session->do('SAVEPOINT read');
      my $seen = seen($session);
      push @wrong, "$case: saw $seen, not $expected" if $seen ne $expected;
      $session->do('ROLLBACK TO read') if length($seen) > 1;
      $seen = seen($session);
      push @wrong, "$case: at the second read saw $seen, not $expected" if $seen ne $expected;
      $session->do('ROLLBACK TO read') if length($seen) > 1;
      $session->do($after->[1] // $after->[0]);
      $seen = seen($session);
      push @wrong, "$case: the next transaction saw $seen" if $seen ne '55000';
      my $left = rows($session, 'SELECT * FROM rls_tenant.current_context()');
      push @wrong, "$case: left $left" if $left ne '|||||';
      my $setting = value($session, q{SELECT current_setting('rls_tenant.tenant_id')});
      push @wrong, "$case: left the setting $setting" if $setting ne '';
      $session->do('RESET rls_tenant.tenant_id');
      $seen = seen($session);
      push @wrong, "$case: after RESET saw $seen" if $seen ne '55000';
      $session->do(q{ROLLBACK PREPARED 'preload'}) if $after->[0] eq 'PREPARE TRANSACTION';
    }
  }
  is(join("\n", @wrong), '',
    "set before by $before: never seen, in " . @inside * @after . ' orders of setting, loading and ending');
}

# 2. The savepoint in which the library loads is rolled back

for my $how (sort keys %set) {
  my $session = fresh();
  $session->do($set{'SET'}->('A'));
  $session->do('BEGIN');
  $session->do('SAVEPOINT s');
  $session->do($set{$how}->('B'));
  $session->do('SELECT * FROM rls_tenant.current_context()');
  $session->do('ROLLBACK TO s');
  is(seen($session), '55000',
    "a value of before does not come back when the savepoint of the load is rolled back ($how)");
  $session->do('ROLLBACK');
  is(seen($session), '55000', 'nor after the transaction');
}

# 3. Connection options and placeholders for what only a superuser may set

my @locked = (
  ['guard', 'off', 'refuse'],
  ['one_tenant_per_transaction', 'off', 'on'],
  ['missing_context', 'null', 'error'],
  ['tenant_type', 'uuid', 'any'],
  ['account_type', 'uuid', 'any'],
  ['user_type', 'uuid', 'any'],
  ['tenant_column', 'id', 'tenant_id'],
);
for my $locked (@locked) {
  my ($name, $value, $default) = @$locked;
  for my $how ('SET', 'set_config', 'SET in the transaction') {
    my $session = fresh();
    $session->do('BEGIN') if $how eq 'SET in the transaction';
    $session->do("SET rls_tenant.$name = '$value'") if $how =~ /^SET/;
    $session->do("SELECT set_config('rls_tenant.$name', '$value', false)") if $how eq 'set_config';
    $session->do('SELECT * FROM rls_tenant.current_context()');
    is(value($session, "SHOW rls_tenant.$name"), $default,
      "$name: $how before loading by an ordinary role has no effect");
    $session->do('COMMIT') if $how eq 'SET in the transaction';
    is(value($session, "SHOW rls_tenant.$name"), $default, "$name: nor later") if $how eq 'SET in the transaction';
  }
  refused(fresh(), "ALTER ROLE app SET rls_tenant.$name = '$value'", '42501', qr/permission denied/,
    "$name: an ordinary role cannot pin it either");
}
is(rows($admin, q{SELECT name FROM pg_settings WHERE name LIKE 'rls\_tenant.%' AND context = 'superuser' ORDER BY 1}),
  join("\n", sort map { "rls_tenant.$_->[0]" } @locked), 'these are all settings that only a superuser may set');

# A connection option must not hide what a DBA has set: it is refused, where the library loads with the session at once.
sub test_options {
  my ($how, $loads_with_session) = @_;
  for my $locked (@locked) {
    my ($name, $value, $default) = @$locked;
    for my $set ('set by a DBA', 'not set') {
      $admin->do("ALTER ROLE app SET rls_tenant.$name = '$value'") if $set eq 'set by a DBA';
      is(value(fresh_with('SELECT * FROM rls_tenant.current_context()'), "SHOW rls_tenant.$name"),
        $set eq 'not set' ? $default : $value, "$how, $name, $set: without an option it has its value");
      my $refusal = $how eq 'shared_preload_libraries' ? qr/permission denied to set parameter "rls_tenant.$name"/i
        : qr/rls_tenant\.$name cannot be set by a connection option/;
      for my $written ("rls_tenant.$name", "RLS_Tenant.\u$name") {
        my $session = eval { fresh(options => "-c $written=$default") };
        if ($loads_with_session) {
          ok(!$session, "$how, $name, $set: no session with the option") && like(DBI->errstr, $refusal, 'with its reason');
          next;
        }
        refused($session, 'SELECT * FROM rls_tenant.current_context()', '42501', $refusal, "$how, $name, $set: the option is refused")
          for 1 .. 2;
        is(seen($session), '42501', 'and no tenant table can be read');
      }
      my $superuser = $server->connect('tenants', options => "-c rls_tenant.$name=$value");
      $superuser->do('SELECT * FROM rls_tenant.current_context()');
      is(value($superuser, "SHOW rls_tenant.$name"), $value, "$how, $name: a superuser may use one");
      $admin->do("ALTER ROLE app RESET rls_tenant.$name");
    }
  }
  $admin->do('GRANT SET ON PARAMETER rls_tenant.missing_context TO app');
  is(value(fresh_with('SELECT * FROM rls_tenant.current_context()', options => '-c rls_tenant.missing_context=null'),
    'SHOW rls_tenant.missing_context'), 'null', "$how: so may who was granted SET");
  $admin->do('REVOKE SET ON PARAMETER rls_tenant.missing_context FROM app');
}
test_options('lazy', 0);
{
  my $session = fresh(options => '-c rls_tenant.tenant_type=text');
  eval { $session->do('SELECT * FROM rls_tenant.current_context()') };
  like($session->errstr, qr/DETAIL:  It would hide what a DBA has set .*\nHINT:  Connect without the option\./, 'with DETAIL and HINT');
}
{
  my $session = fresh();
  $session->do("SET rls_tenant.guard = 'off'");
  refused($session, 'CREATE TABLE loose (a int)', '42P16', qr/does not keep tenants apart/,
    'the guard loads the library and stands');
}

# 4. A role that a DBA pinned to a tenant

$server->role('pinned');
$server->role('other');
$admin->do($_) for 'GRANT SELECT ON docs TO pinned, other', 'GRANT other TO pinned', "ALTER ROLE pinned SET rls_tenant.tenant_id = 'B'",
  "ALTER DATABASE tenants SET rls_tenant.account_id = 'x'",
  q{CREATE FUNCTION seen_as_c() RETURNS text LANGUAGE plpgsql SET rls_tenant.tenant_id = 'C' AS
    $$ BEGIN RETURN (SELECT string_agg(tenant_id, '') FROM docs); END $$};

# The context of a pinned role, and its return after whatever a transaction did.
sub test_pin {
  my ($how) = @_;
  my $session = $server->connect('tenants', user => 'pinned');
  is(seen($session), 'B', "$how: a pinned role sees its tenant");
  is(rows($session, 'SELECT tenant_id, tenant_source FROM rls_tenant.current_context()'), 'B|role',
    "$how: and where it comes from");
  for my $set (sort keys %set) {
    next if $set eq 'SET';
    for my $end ('COMMIT', 'ROLLBACK') {
      $session->do('BEGIN');
      $session->do($set{$set}->('C'));
      refused($session, 'SELECT tenant_id FROM docs', '42501', qr/role "pinned" is pinned to tenant "B"/,
        "$how: it cannot leave it by $set");
      $session->do($end);
      is(seen($session), 'B', "$how: its own is there after $end");
      $session->do('BEGIN');
      $session->do($set{$set}->('B'));
      is(seen($session), 'B', "$how: it may say its own by $set");
      $session->do($end);
    }
  }
  refused($session, "SELECT rls_tenant.set_context('C')", '42501', qr/role "pinned" is pinned to tenant "B"/,
    "$how: set_context() refuses at once");
  refused($session, 'SELECT seen_as_c()', '42501', qr/role "pinned" is pinned to tenant "B"/,
    "$how: it cannot leave it by a function's SET clause");
  $session->do('BEGIN');
  $session->do('SET LOCAL ROLE other');
  is(seen($session), 'B', "$how: SET ROLE changes nothing");
  $session->do('ROLLBACK');
  $session->do('BEGIN');
  $session->do('SET LOCAL ROLE other');
  $session->do($set{'SET LOCAL'}->('C'));
  refused($session, 'SELECT tenant_id FROM docs', '42501', qr/role "pinned" is pinned to tenant "B"/,
    "$how: nor does it as another role");
  $session->do('ROLLBACK');
  for my $reset ('RESET rls_tenant.tenant_id', 'SELECT rls_tenant.clear_context()', 'RESET ALL', 'DISCARD ALL') {
    $session->do($reset);
    is(seen($session), 'B', "$how: and after $reset");
  }
  $session->do('BEGIN');
  $session->do(q{SET LOCAL rls_tenant.account_id = 'y'});
  is(value($session, 'SELECT rls_tenant.current_account_text()'), 'y', "$how: what is set for the database is a default");
  $session->do('COMMIT');
  $admin->do(q{ALTER DATABASE tenants SET rls_tenant.tenant_id = 'C'});
  is(seen($server->connect('tenants', user => 'pinned')), 'B', "$how: the role's pin outranks the database's default");
  $admin->do('ALTER DATABASE tenants RESET rls_tenant.tenant_id');
  my $optioned = eval { $server->connect('tenants', user => 'pinned', options => '-c rls_tenant.tenant_id=A') };
  if ($optioned) {
    is(seen($optioned), '42501', "$how: a connection option does not unseat it, and leaves it with nothing");
    $optioned->do('BEGIN');
    $optioned->do($set{'SET LOCAL'}->('B'));
    is(seen($optioned), 'B', "$how: until it says its own");
  } else {
    like(DBI->errstr, qr/cannot be set by a connection option/, "$how: a connection option is refused");
  }
  $session = $server->connect('tenants', user => 'pinned');
  my $set_early = eval { $session->do($set{'SET'}->('A')); 1 };
  is(seen($session), 'B',
    "$how: a session-level SET " . ($set_early ? 'before loading' : 'is refused and') . ' does not unseat it');
}
test_pin('lazy');

# Without the library PostgreSQL lets a role move its own pin only where it was granted SET on the setting: loose_pin of audit().
{
  my $session = $server->connect('plain', user => 'pinned');
  for my $move ('SET rls_tenant.tenant_id = 1', 'RESET rls_tenant.tenant_id', 'IN DATABASE tenants SET rls_tenant.tenant_id = 1') {
    refused($session, "ALTER ROLE pinned $move", '42501', qr/permission denied to set parameter/, "without the library: $move");
  }
  $session->do('ALTER ROLE pinned RESET ALL');
  my $pins = q{SELECT setconfig[1] FROM pg_db_role_setting WHERE setrole = 'pinned'::regrole};
  is(value($admin, $pins), 'rls_tenant.tenant_id=B', 'without the library: RESET ALL leaves the pin');
  $admin->do('GRANT SET ON PARAMETER rls_tenant.tenant_id TO pinned');
  $session->do('ALTER ROLE pinned SET rls_tenant.tenant_id = 1');
  is(value($admin, $pins), 'rls_tenant.tenant_id=1', 'unless it was granted');
  $admin->do($_) for 'REVOKE SET ON PARAMETER rls_tenant.tenant_id FROM pinned', "ALTER ROLE pinned SET rls_tenant.tenant_id = 'B'";
  $session->disconnect;
}

# 5. The same with the library loaded by the session, and by the server

# What holds whenever the library is there from the beginning.
sub test_preloaded {
  my ($how) = @_;
  my $session = fresh();
  refused($session, $set{'SET'}->('A'), '0A000', qr/cannot be set for a session/,
    "$how: a session-level SET is refused");
  is(seen($session), '55000', "$how: and nothing is set");
  $session->do($set{'set_config(false)'}->('A'));
  is(seen($session), '55000', "$how: set_config(false) ends with its transaction");
  $session->do('BEGIN');
  $session->do($set{'SET LOCAL'}->('A'));
  is(seen($session), 'A', "$how: SET LOCAL sets the context");
  $session->do('COMMIT');
  is(seen($session), '55000', "$how: to the end of the transaction");
  refused($session, "SET rls_tenant.guard = 'off'", '42501', qr/permission denied/,
    "$how: an ordinary role cannot switch the guard off");
  test_options($how, 1);
  refused($session, 'SET rls_tenant.tenant_di = 1', '42602', qr/invalid configuration parameter name/,
    "$how: a misspelt setting is refused");
  test_pin($how);
}

$server->restart('fast', q{session_preload_libraries = 'rls_tenant'});
$admin = $server->connect('tenants');
test_preloaded('session_preload_libraries');
is(seen(fresh(options => '-c rls_tenant.tenant_id=A')), '55000',
  'session_preload_libraries: a connection option sets no context');

$server->restart('fast', q{session_preload_libraries = ''}, q{shared_preload_libraries = 'rls_tenant'});
$admin = $server->connect('tenants');
test_preloaded('shared_preload_libraries');
my $session = eval { fresh(options => '-c rls_tenant.tenant_id=A') };
ok(!$session, 'shared_preload_libraries: a connection option is refused') &&
  like(DBI->errstr, qr/rls_tenant\.tenant_id cannot be set by a connection option/, 'with its reason');

# 6. A database of that server without the extension

my $plain = $server->connect('plain');
$plain->do('CREATE TABLE free (a int)');
$plain->do('INSERT INTO free VALUES (1)');
$plain->do('CREATE TABLE other AS SELECT * FROM free');
is(value($plain, 'SELECT count(*) FROM other'), 1, 'a database without the extension: tables are made freely');
$plain->do('BEGIN');
$plain->do($set{'SET LOCAL'}->('A'));
is(value($plain, q{SELECT current_setting('rls_tenant.tenant_id')}), 'A',
  'a database without the extension: the setting is there');
$plain->do('COMMIT');
is(value($plain, q{SELECT current_setting('rls_tenant.tenant_id')}), '', 'and ends with the transaction');
$plain->do('DISCARD ALL');
$plain->do('CREATE EXTENSION rls_tenant');
refused($plain, 'CREATE TABLE loose (a int)', '42P16', qr/does not keep tenants apart/,
  'CREATE EXTENSION arms it in the same session');
$plain->do('DROP EXTENSION rls_tenant');
$plain->do('CREATE TABLE loose (a int)');
pass('and DROP EXTENSION disarms it');

unlike($server->log, qr/was terminated by signal|PANIC/, 'no crash');
done_testing();
