# What a crash and two-phase commit leave of a protected table, and a transaction of a thousand tables.

use strict;
use warnings;
use Cluster;
use Test::More;
use Time::HiRes qw(time);

my $server = Cluster->start('crash');
$server->role('app');
$server->database('crash', 1);
my $db = $server->connect('crash');

# Says how a table is protected: enabled, forced, number of policies.
sub protection {
  my ($table) = @_;
  return rows($db, "SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid)
    FROM pg_class c WHERE relname = '$table'");
}

# Ends a session's server process as a crash would; the server then restarts all others.
sub crash {
  my ($session) = @_;
  my $pid = $session->{pg_pid};
  kill('KILL', $pid) or die "kill $pid: $!";
  wait_until(sub { !kill(0, $pid) }) or die "process $pid does not die";
  ok(wait_until(sub { $db = $server->connect('crash'); value($db, 'SELECT NOT pg_is_in_recovery()') }, 60),
    'the server comes back');
}

# 1. Two-phase commit

$db->do('BEGIN');
$db->do('CREATE TABLE kept (id int, tenant_id bigint)');
$db->do(q{SELECT rls_tenant.protect('kept')});
$db->do('CREATE TABLE kept_parted (id int, tenant_id bigint) PARTITION BY LIST (id)');
$db->do(q{SELECT rls_tenant.protect('kept_parted')});
$db->do('CREATE TABLE kept_part PARTITION OF kept_parted FOR VALUES IN (1, 2)');
$db->do('GRANT ALL ON kept, kept_parted TO app');
$db->do("INSERT INTO $_ VALUES (1, 7), (2, 8)") for 'kept', 'kept_parted';
$db->do(q{SET LOCAL rls_tenant.tenant_id = '7'});
$db->do(q{PREPARE TRANSACTION 'kept'});
is(rows($db, 'SELECT * FROM rls_tenant.current_context()'), '|||||', 'PREPARE TRANSACTION ends the context');

$db->do('BEGIN');
$db->do('CREATE TABLE dropped (id int, tenant_id bigint)');
$db->do(q{SELECT rls_tenant.protect('dropped')});
$db->do(q{PREPARE TRANSACTION 'dropped'});

$db->do('BEGIN');
$db->do('CREATE TABLE loose (a int)');
refused($db, q{PREPARE TRANSACTION 'loose'}, '42P16', qr/does not keep tenants apart/,
  'a table without protection cannot be prepared');
$db->do('ROLLBACK');

$server->restart('immediate');
$db = $server->connect('crash');
is(value($db, q{SELECT string_agg(gid, ' ' ORDER BY gid) FROM pg_prepared_xacts}), 'dropped kept',
  'after a crash the prepared transactions are there');
is(value($db, q{SELECT to_regclass('kept')}), undef, 'and the table not yet');
$db->do(q{COMMIT PREPARED 'kept'});
$db->do(q{ROLLBACK PREPARED 'dropped'});
is(protection('kept'), '1|1|2', 'COMMIT PREPARED brings the table with its protection');
is(protection('kept_part'), '1|1|0', 'and a partition with its own');
is(value($db, q{SELECT to_regclass('dropped')}), undef, 'ROLLBACK PREPARED leaves none');

my $app = $server->connect('crash', user => 'app');
for my $table ('kept', 'kept_parted') {
  refused($app, "SELECT * FROM $table", '55000', qr/no tenant is set/, "$table: nothing is read without a context");
  $app->do('BEGIN');
  $app->do(q{SELECT rls_tenant.set_context(7)});
  is(rows($app, "SELECT * FROM $table"), '1|7', "$table: a tenant reads its rows");
  $app->do('COMMIT');
}

# 2. A crash between DDL and commit

my $victim = $server->connect('crash');
$victim->do('BEGIN');
$victim->do('CREATE TABLE half (id int, tenant_id bigint)');
$victim->do('CREATE TABLE whole (id int, tenant_id bigint)');
$victim->do(q{SELECT rls_tenant.protect('whole')});
crash($victim);
is(value($db, q{SELECT count(*) FROM pg_class WHERE relname IN ('half', 'whole')}), 0,
  'of a transaction that crashed no table is left');

$victim = $server->connect('crash', user => 'app');
$victim->do('BEGIN');
$victim->do(q{SELECT rls_tenant.set_context(7)});
$victim->do('UPDATE kept SET id = 100');
crash($victim);
refused($db, 'CREATE TABLE loose (a int)', '42P16', qr/does not keep tenants apart/, 'the guard stands after a crash');
$app = $server->connect('crash', user => 'app');
refused($app, 'SELECT * FROM kept', '55000', qr/no tenant is set/, 'no context is left by a crash');
$app->do('BEGIN');
$app->do(q{SELECT rls_tenant.set_context(7)});
is(rows($app, 'SELECT * FROM kept'), '1|7', 'and the rows are as they were');
$app->do('COMMIT');

# 3. A thousand tables in one transaction

# Runs a transaction that makes a thousand tables; gives its seconds.
sub thousand {
  my ($prefix, $also) = @_;
  my $start = time;
  $db->do(qq{DO \$\$ BEGIN FOR i IN 1 .. 1000 LOOP
    EXECUTE format('CREATE TABLE %I (id int, tenant_id uuid NOT NULL)', '$prefix' || i); $also
  END LOOP; END \$\$});
  return time - $start;
}

# How many of them are there, and how many of those are protected.
sub count_tables {
  my ($prefix) = @_;
  return rows($db, qq{
    SELECT count(*), count(*) FILTER (WHERE relrowsecurity AND relforcerowsecurity AND
      (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) = 2)
    FROM pg_class c WHERE relkind = 'r' AND relname ~ '^$prefix\\d+\$'});
}

my $seconds = thousand('good', q{PERFORM rls_tenant.protect(('good' || i)::regclass);});
is(count_tables('good'), '1000|1000', 'a thousand tables with protect() pass in one transaction');
cmp_ok($seconds, '<', 60, sprintf('in %.1f seconds', $seconds));

my $refusal = eval { thousand('bad', ''); '' } // $db->errstr;
is($db->state, '42P16', 'a thousand tables without are refused');
like($refusal, qr/1000 relations do not keep tenants apart/, 'in one error');
is(scalar(() = $refusal =~ /^(?:DETAIL:  )?public\.bad\d+: rls_off/mg), 1000, 'that names each of them');
is(count_tables('bad'), '0|0', 'and none is left');

$db->do(q{SET rls_tenant.guard = 'protect'});
$seconds = thousand('mended', '');
is(count_tables('mended'), '1000|1000',
  'in mode protect a thousand tables are protected at the end of their transaction');
cmp_ok($seconds, '<', 60, sprintf('in %.1f seconds', $seconds));

my @signals = $server->log =~ /was terminated by signal (\d+)/g;
is("@signals", '9 9', 'no other crash than the two that were meant');
unlike($server->log, qr/PANIC/, 'and no panic');
done_testing();
