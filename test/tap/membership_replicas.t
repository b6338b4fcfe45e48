# Memberships that arrive from another server: by logical replication, and on a hot standby. Once the revocation has been
# applied, or replayed, the next statement of every session there refuses.

use strict;
use warnings;
use Cluster;
use Test::More;

my $publisher = Cluster->start('publisher', 'wal_level = logical', 'logical_decoding_work_mem = 64kB');
$publisher->database('here', 1);
my $source = $publisher->connect('here');
$publisher->role('replica_app');

# The same tables on both sides.
sub make_tables {
  my ($db) = @_;
  $db->do('SET rls_tenant.guard = off');
  $db->do($_) for
    'CREATE TABLE member (user_id int, tenant_id int, role text, PRIMARY KEY (user_id, tenant_id)) PARTITION BY LIST (tenant_id)',
    'CREATE TABLE member_1 PARTITION OF member FOR VALUES IN (1)',
    'CREATE TABLE member_rest PARTITION OF member DEFAULT',
    q{SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id', 'role')},
    'CREATE TABLE doc (id int PRIMARY KEY, tenant_id int NOT NULL)',
    'INSERT INTO doc SELECT i, i % 4 FROM generate_series(1, 40) i',
    q{SELECT rls_tenant.protect('doc', membership => 'tenant')},
    'GRANT SELECT ON doc TO replica_app';
}
make_tables($source);

# A session of the application, with prepared statements whose plans are made once.
sub app {
  my ($server, $database) = @_;
  my $app = $server->connect($database, user => 'replica_app', pg_server_prepare => 0);
  $app->do('SET plan_cache_mode = force_generic_plan');
  $app->do(q{PREPARE seen AS SELECT rls_tenant.is_member(1) AS member, rls_tenant.has_role(1, 'admin') AS admin,
    rls_tenant.member_groups_bigint() AS groups, (SELECT array_agg(DISTINCT tenant_id ORDER BY tenant_id) FROM doc) AS rows});
  return $app;
}

sub begin {
  my ($app, $level) = @_;
  $app->do('BEGIN ISOLATION LEVEL ' . ($level // 'REPEATABLE READ'));
  $app->do(q{SET LOCAL rls_tenant.user_id = '7'});
  return value($app, 'SELECT count(*) FROM pg_class') > 0;    # at REPEATABLE READ, the snapshot is taken
}

sub seen { my ($app) = @_; return rows($app, 'EXECUTE seen') }
sub queries { my ($app) = @_; return value($app, 'SELECT queries FROM rls_tenant.membership_cache()') }

# What EXECUTE seen gives for these groups, with this role in group 1.
sub expected {
  my ($role, @groups) = @_;
  my @member = map { $_ ? 1 : 0 } (scalar grep({ $_ == 1 } @groups)), $role eq 'admin';
  my $list = '{' . join(',', @groups) . '}';
  return join('|', @member, $list, @groups ? $list : '');
}

# Waits until what the publisher has written so far has been applied there.
sub wait_for {
  my ($name) = @_;
  my $here = value($source, 'SELECT pg_current_wal_insert_lsn()');
  $source->do('SELECT pg_logical_emit_message(false, \'test\', \'\')');    # something that comes after it
  wait_until(sub { value($source, 'SELECT replay_lsn >= ?::pg_lsn FROM pg_stat_replication WHERE application_name = ?', $here, $name) }, 60)
    or die "$name does not catch up\n";
}

# The same changes for both: each is a name, the statements on the publisher, and what is seen afterwards.
my $big = 'INSERT INTO member SELECT i, 3, repeat(\'x\', 100) FROM generate_series(1000, 6000) i';
my @changes = (
  ['an INSERT', ["INSERT INTO member VALUES (7, 1, 'admin'), (7, 2, 'guest'), (8, 1, 'guest')"], ['admin', 1, 2]],
  ['an UPDATE of the role', ["UPDATE member SET role = 'guest' WHERE user_id = 7"], ['guest', 1, 2]],
  ['a DELETE', ['DELETE FROM member WHERE user_id = 7 AND tenant_id = 1'], ['', 2]],
  ['an INSERT into the partition', ["INSERT INTO member_1 VALUES (7, 1, 'admin')"], ['admin', 1, 2]],
  ['an UPDATE of the key', ['UPDATE member SET user_id = 9 WHERE user_id = 7 AND tenant_id = 1'], ['', 2]],
  ['an UPDATE back', ["UPDATE member SET user_id = 7, role = 'admin' WHERE user_id = 9"], ['admin', 1, 2]],
  ['an UPDATE from one partition to the other', ['UPDATE member SET tenant_id = 3 WHERE user_id = 7 AND tenant_id = 1'], ['', 2, 3]],
  ['two changes in one transaction', ['BEGIN', 'DELETE FROM member WHERE user_id = 7', "INSERT INTO member VALUES (7, 1, 'admin')", 'COMMIT'], ['admin', 1]],
  ['a change that is rolled back', ['BEGIN', 'DELETE FROM member', 'ROLLBACK'], ['admin', 1]],
  ['a savepoint that is rolled back', ['BEGIN', 'SAVEPOINT s', 'DELETE FROM member', 'ROLLBACK TO s', "INSERT INTO member VALUES (7, 2, '')", 'COMMIT'], ['admin', 1, 2]],
  ['PREPARE TRANSACTION', ['BEGIN', 'DELETE FROM member WHERE user_id = 7 AND tenant_id = 1', q{PREPARE TRANSACTION 'gone'}], ['admin', 1, 2]],
  ['COMMIT PREPARED', [q{COMMIT PREPARED 'gone'}], ['', 2]],
  ['a large transaction', ['BEGIN', $big, "INSERT INTO member VALUES (7, 1, 'admin')", 'COMMIT'], ['admin', 1, 2]],
  ['its undoing', ['BEGIN', 'DELETE FROM member WHERE user_id = 7', 'DELETE FROM member WHERE user_id >= 1000', 'COMMIT'], ['']],
  ['a COPY', [q{COPY member FROM PROGRAM 'echo 7,1,admin; echo 7,2,guest' (FORMAT csv)}], ['admin', 1, 2]],
);

# Makes the changes; sessions of all kinds look at each.
sub changes {
  my ($name, $label, $connect) = @_;
  $source->do('DELETE FROM member');
  wait_for($name);
  my @apps = map { $connect->() } 1 .. 3;
  begin($apps[0]);
  begin($apps[1], 'READ COMMITTED');
  seen($_) for @apps[0, 1];
  for my $change (@changes) {
    my ($what, $statements, $expected) = @$change;
    begin($apps[2]);
    seen($apps[2]);
    $source->do($_) for @$statements;
    wait_for($name);
    my $wanted = expected(@$expected);
    my @seen = map { seen($_) } @apps;
    push @seen, seen($_) for @apps;    # from what is kept
    is(join("\n", @seen), join("\n", ($wanted) x @seen), "$label: after $what");
    $apps[2]->do('COMMIT');
  }
  $_->do('ROLLBACK') for @apps[0, 1];
  $_->disconnect for @apps;
}

# What is cached is cached there, too.
sub keeps {
  my ($app, $label) = @_;
  begin($app);
  seen($app);
  my $before = queries($app);
  seen($app);
  $app->do('COMMIT');
  begin($app);
  seen($app);
  is(queries($app), $before, "$label: groups are cached");
  $app->do('COMMIT');
}

# A cursor that was read from before the revocation.
sub cursor {
  my ($name, $app, $label) = @_;
  begin($app);
  $app->do('DECLARE c CURSOR FOR SELECT id FROM doc ORDER BY id');
  is(rows($app, 'FETCH 2 FROM c'), "1\n2", "$label: a cursor gives rows");
  $source->do('DELETE FROM member WHERE user_id = 7 AND tenant_id = 1');
  wait_for($name);
  refused($app, 'FETCH 2 FROM c', '55000', qr/has lost a membership/, "$label: and is refused after the revocation");
  $app->do('ROLLBACK');
  $source->do("INSERT INTO member VALUES (7, 1, 'admin')");
  wait_for($name);
}

# 1. Logical replication: the apply worker is a session in which ordinary triggers do not fire

my $subscriber = Cluster->start('subscriber', 'wal_level = logical', 'max_logical_replication_workers = 8');
$subscriber->database('there', 1);
$subscriber->role('replica_app');
my $target = $subscriber->connect('there');
make_tables($target);
$source->do("INSERT INTO member VALUES (7, 1, 'admin')");
$source->do('CREATE PUBLICATION pub FOR TABLE member');
my $early = app($subscriber, 'there');
begin($early);
is(seen($early), expected(''), 'logical: nothing before the first copy');
$target->do("CREATE SUBSCRIPTION sub CONNECTION 'host=$publisher->{host} port=$publisher->{port} user=postgres dbname=here'
  PUBLICATION pub WITH (streaming = on, two_phase = on)");
wait_until(sub { value($target, q{SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel}) }, 60) or die 'no copy';
wait_for('sub');
is(seen($early), expected('admin', 1), 'logical: the first copy is seen by a transaction that was open');
$early->do('COMMIT');

changes('sub', 'logical', sub { app($subscriber, 'there') });
keeps(app($subscriber, 'there'), 'logical');
cursor('sub', app($subscriber, 'there'), 'logical');

# TRUNCATE and DDL wait for the locks of those who have asked the tables: here nobody has, in this transaction.
sub truncated {
  my ($name, $app, $label) = @_;
  begin($app);
  seen($app);
  $app->do('COMMIT');
  begin($app);
  like(seen($app), qr/^1\|1\|/, "$label: a member before TRUNCATE");
  $source->do('TRUNCATE member');
  wait_for($name);
  is(seen($app), expected(''), "$label: and none after it");
  $app->do('COMMIT');
  $source->do("INSERT INTO member VALUES (7, 1, 'admin'), (7, 2, 'guest')");
  wait_for($name);
}
truncated('sub', app($subscriber, 'there'), 'logical');

# Without a trigger that fires in the apply worker nothing is cached.
my $app = app($subscriber, 'there');
begin($app);
seen($app);
$app->do('COMMIT');
$target->do('ALTER TABLE member ENABLE TRIGGER rls_tenant_membership');
is(value($target, 'SELECT cached FROM rls_tenant.membership_sources()'), 0, 'logical: nothing is cached without ENABLE ALWAYS');
begin($app);
is(seen($app), expected('admin', 1, 2), 'logical: a member still');
$source->do('DELETE FROM member WHERE user_id = 7 AND tenant_id = 1');
wait_for('sub');
is(seen($app), expected('', 2), 'logical: and none after the DELETE');
$app->do('COMMIT');
$target->do('DROP SUBSCRIPTION sub');

# 2. A hot standby of the publisher

$source->do('TRUNCATE member');
my $standby = $publisher->standby('standby', 'hot_standby_feedback = on');
changes('standby', 'standby', sub { app($standby, 'here') });
keeps(app($standby, 'here'), 'standby');
cursor('standby', app($standby, 'here'), 'standby');
truncated('standby', app($standby, 'here'), 'standby');

# What is not replayed does not count yet.
my $control = $standby->connect('here');
$app = app($standby, 'here');
begin($app);
is(seen($app), expected('admin', 1, 2), 'standby: a member');
$control->do('SELECT pg_wal_replay_pause()');
wait_until(sub { value($control, 'SELECT pg_get_wal_replay_pause_state()') eq 'paused' }) or die 'no pause';
$source->do('DELETE FROM member WHERE user_id = 7 AND tenant_id = 1');
is(seen($app), expected('admin', 1, 2), 'standby: while the replay is paused nothing changes');
$control->do('SELECT pg_wal_replay_resume()');
wait_for('standby');
is(seen($app), expected('', 2), 'standby: once it goes on the revocation counts');
$app->do('COMMIT');

# The triggers go, and come back.
$source->do("INSERT INTO member VALUES (7, 1, 'admin')");
wait_for('standby');
begin($app);
seen($app);
$app->do('COMMIT');
begin($app);
seen($app);
$source->do('BEGIN');
$source->do('ALTER TABLE member DISABLE TRIGGER rls_tenant_membership');
$source->do('DELETE FROM member WHERE user_id = 7 AND tenant_id = 1');
$source->do('COMMIT');
wait_for('standby');
is(seen($app), expected('', 2), 'standby: a DELETE without a trigger');
is(value($control, 'SELECT cached FROM rls_tenant.membership_sources()'), 0, 'standby: nothing is cached then');
$source->do('DELETE FROM member WHERE user_id = 7');
wait_for('standby');
is(seen($app), expected(''), 'standby: and the next');
$app->do('COMMIT');
$source->do('ALTER TABLE member ENABLE ALWAYS TRIGGER rls_tenant_membership');
$source->do("INSERT INTO member VALUES (7, 1, 'admin')");
wait_for('standby');
keeps($app, 'standby, with its triggers back');

# Promotion leaves sessions connected: what they keep is ended by the changes that are made there.
begin($app);
is(seen($app), expected('admin', 1), 'standby: a member before the promotion');
$control->do('SELECT pg_promote()');
is(seen($app), expected('admin', 1), 'and after it');
$control->do('DELETE FROM member WHERE user_id = 7');
is(seen($app), expected(''), 'a revocation there counts');
$app->do('COMMIT');
done_testing();
