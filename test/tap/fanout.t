# The asynchronous fan-out of examples/fanout, with graphile-worker: what its roles may do, what becomes of a job that keeps
# failing, and that a worker which is killed loses and doubles nothing.

use strict;
use warnings;
use Cluster;
use JSON::PP qw(decode_json);
use POSIX ();
use Test::More;
use Time::HiRes ();

my $example = "$top/examples/fanout";
my $directory = "$work/fanout_worker";    # the example as installed by npm, outside the tree
my $server = Cluster->start('fanout');
$server->database('shop');
my $db = $server->connect('shop');
my ($sender, $receiver, $stranger, @others) = map { sprintf '00000000-0000-0000-0000-%012x', $_ } 1 .. 23;

# Runs a program where the worker is installed, as this role and with these settings; gives its exit status and what it printed.
sub run_program {
  my ($user, $options, @command) = @_;
  local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER PGOPTIONS)} = ($server->{host}, $server->{port}, 'shop', $user, $options);
  my $pid = open(my $output, '-|') // die "fork: $!";
  if ($pid == 0) {
    open(STDERR, '>&', \*STDOUT);
    open(STDIN, '<', '/dev/null');
    chdir($directory) && exec(@command) or POSIX::_exit(127);
  }
  local $/;
  my $text = <$output> // '';
  close($output);
  return ($? >> 8, $text);
}

# Runs an SQL file of the example.
sub run_sql {
  my ($name) = @_;
  my ($status, $text) = $server->run('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'shop', '-f', "$example/$name");
  is($status, 0, "$name runs") or BAIL_OUT($text);
}

my %workers;

# Starts a worker; gives its process.
sub start_worker {
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER NO_LOG_SUCCESS)} = ($server->{host}, $server->{port}, 'shop', 'fanout_worker', 1);
    open(STDIN, '<', '/dev/null');
    open(STDOUT, '>>', "$directory/log");
    open(STDERR, '>&', \*STDOUT);
    chdir($directory) && exec('node', 'worker.mjs') or POSIX::_exit(127);
  }
  $workers{$pid} = 1;
  return $pid;
}

# Ends a worker as a crash does.
sub kill_worker {
  my ($pid) = @_;
  delete $workers{$pid};
  my $killed = kill('KILL', $pid);
  waitpid($pid, 0);
  return $killed && ($? & 127) == 9;    # not if it had ended by itself
}

my $owner = $$;
END { if ($$ == $owner) { my $status = $?; kill_worker($_) for keys %workers; $? = $status } }

# Runs statements as a tenant, in one transaction; gives what the last one gives, as lines.
sub as_tenant {
  my ($connection, $tenant, @statements) = @_;
  my $last = pop @statements;
  $connection->do($_) for 'BEGIN', "SELECT rls_tenant.set_context('$tenant'::uuid)", @statements;
  my $statement = $connection->prepare($last);
  $statement->execute;
  my $lines = $statement->{NUM_OF_FIELDS} ? join("\n", map { join('|', map { $_ // '' } @$_) } @{$statement->fetchall_arrayref}) : '';
  $connection->do('COMMIT');
  return $lines;
}

# Tests that a statement is refused to a tenant.
sub refused_to {
  my ($connection, $tenant, $statement, $state, $pattern, $name) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $connection->do($_) for 'BEGIN', "SELECT rls_tenant.set_context('$tenant'::uuid)";
  refused($connection, $statement, $state, $pattern, $name);
  $connection->do('ROLLBACK');
}

# Announces something, to be sent to these; gives its number. Both are one transaction.
my $web;
sub publish {
  my ($tenant, $title, @receivers) = @_;
  my $receivers = '{' . join(',', @receivers) . '}';
  return as_tenant($web, $tenant, "WITH new AS (INSERT INTO shop.announcement (title) VALUES ('$title') RETURNING id)
    SELECT id FROM new, fanout.publish(id, '$receivers')");
}

# A tenant takes what these send.
sub accept_from {
  my ($tenant, @senders) = @_;
  as_tenant($web, $tenant, map { "INSERT INTO shop.accepted_sender (sender_id) VALUES ('$_') ON CONFLICT DO NOTHING" } @senders);
}

# How many jobs there are, or those for which a condition holds.
sub jobs { my ($condition) = @_; return value($db, 'SELECT count(*) FROM graphile_worker._private_jobs WHERE ' . ($condition // 'true')) }

# Waits until the queue is empty but for what is parked.
sub wait_for_queue {
  my ($name) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  return ok(wait_until(sub { jobs('attempts < max_attempts OR locked_at IS NOT NULL') == 0 }, 60), $name)
    || diag(rows($db, 'SELECT * FROM graphile_worker.jobs'), slurp("$directory/log"));
}

# Tells the worker to look for jobs now.
sub nudge { $db->do(q{SELECT pg_notify('jobs:insert', '{"r":1,"count":1}')}) }

sub notifications { return value($db, 'SELECT count(*) FROM shop.notification') }

# 1. The set-up

mkdir $directory or die "$directory: $!\n";
system('cp', (map { "$example/$_" } 'package.json', 'package-lock.json', 'worker.mjs'), $directory) == 0 or die;
unlike(slurp("$example/package-lock.json"), qr/"resolved"/, 'the lock file names no registry');
my ($status, $text) = run_program('postgres', '', 'npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--cache', "$work/npm");
is($status, 0, 'npm installs what it names') or BAIL_OUT($text);

run_sql('schema.sql');
sub install_queue { return run_program('postgres', '-c role=fanout_queue', 'node_modules/.bin/graphile-worker', '--schema-only') }
my @exemption = $db->selectrow_array(q{DELETE FROM rls_tenant.exemption RETURNING schema_name, relation_pattern, reason});
is("@exemption[0, 1]", 'graphile_worker %', 'there is one exemption');
($status, $text) = install_queue();
isnt($status, 0, 'without it the queue is not installed');
like($text, qr/does not keep tenants apart/, 'since the guard refuses its tables');
$db->do('SELECT rls_tenant.exempt(?, ?, ?)', undef, @exemption);
($status, $text) = install_queue();
is($status, 0, 'with it the queue is installed') or BAIL_OUT($text);
run_sql('queue.sql');
is(rows($db, q{
  SELECT DISTINCT rolname FROM pg_roles r, pg_class c
  WHERE relnamespace = 'graphile_worker'::regnamespace AND relkind IN ('r', 'v') AND NOT rolsuper AND rolname !~ '^pg_'
    AND (has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE'))
  ORDER BY 1}), "fanout_queue\nfanout_worker", 'its reason is true: nobody else has a right on the tables');
is(rows($db, q{
  SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication, rolcanlogin FROM pg_roles
  WHERE rolname ~ '^(web|shop_|fanout_)' ORDER BY 1}), "fanout_queue|0|0\nfanout_worker|0|1\nshop_owner|0|0\nweb|0|1",
  'no role passes row-level security by, and two may log in');
is(rows($db, q{
  SELECT nspname FROM pg_namespace n, aclexplode(nspacl) WHERE nspname IN ('fanout', 'shop', 'graphile_worker') AND grantee = 0
  UNION ALL SELECT 'database' WHERE has_database_privilege('fanout_queue', current_database(), 'CREATE')}), '',
  'PUBLIC has nothing, and the queue may make no more schemas');
is(rows($db, q{SELECT severity, rule, object, finding FROM rls_tenant.audit() WHERE severity <> 'note'}), '',
  'the audit finds nothing but notes');

# 2. What the application may do

$web = $server->connect('shop', user => 'web');
my $row = "INSERT INTO shop.notification (tenant_id, sender_id, announcement_id, title) VALUES ('$receiver', '$sender', 1, 'x')";
for my $tenant ($sender, $receiver) {
  refused_to($web, $tenant, $row, '42501', qr/permission denied for table notification/, 'web writes no notification');
}
refused_to($web, $receiver, $_, '42501', qr/permission denied for table notification/, "nor: $_")
  for 'DELETE FROM shop.notification', "UPDATE shop.notification SET sender_id = '$receiver'";
refused_to($web, $sender, "INSERT INTO shop.accepted_sender (tenant_id, sender_id) VALUES ('$receiver', '$sender')", '42501',
  qr/row-level security/, 'nor does it accept for another tenant');
refused_to($web, $sender, $_->[0], '42501', qr/permission denied (for|to) $_->[1]/, "web may not: $_->[0]") for
  ['SELECT * FROM graphile_worker.jobs', 'schema graphile_worker'],
  ['SELECT * FROM graphile_worker._private_jobs', 'schema graphile_worker'],
  ['INSERT INTO graphile_worker._private_jobs (task_id) VALUES (1)', 'schema graphile_worker'],
  [q{SELECT graphile_worker.add_job('deliver', '{}')}, 'schema graphile_worker'],
  ['SELECT * FROM fanout.parked', 'view parked'],
  ['SET LOCAL ROLE fanout_queue', 'set role "fanout_queue"'];
is(rows($db, q{SELECT oid::regprocedure FROM pg_proc WHERE pronamespace IN ('fanout'::regnamespace, 'graphile_worker'::regnamespace)
    AND has_schema_privilege('web', pronamespace, 'USAGE') AND has_function_privilege('web', oid, 'EXECUTE')}),
  'fanout.publish(bigint,uuid[])', 'the one function that it may call takes no sender');
refused($web, "SELECT fanout.publish(1, '{$receiver}')", '55000', qr/no tenant is set/, 'without a tenant nothing is enqueued');
refused_to($web, $sender, "SELECT fanout.publish($_)", '22023', qr/: +an announcement and 1 to 1000 receivers are needed/,
  "nor by publish($_)")
  for "NULL, '{$receiver}'", '1, NULL', q{1, '{}'}, '1, ARRAY[NULL]::uuid[]', "1, array_fill('$receiver'::uuid, ARRAY[1001])";
$web->do($_) for 'BEGIN', "SELECT rls_tenant.set_context('$sender'::uuid)", "SELECT fanout.publish(1, '{$receiver}')";
refused($web, "SELECT rls_tenant.set_context('$receiver'::uuid)", '25001', qr/./, 'whoever has enqueued stays that tenant');
$web->do('ROLLBACK');
is(jobs(), 0, 'what is rolled back is not enqueued');
publish($sender, 'first', $receiver);
is(rows($db, q{SELECT payload->>'sender', payload->>'receivers' FROM graphile_worker._private_jobs}), qq{$sender|["$receiver"]},
  'a job says who its sender is: the tenant of the context');

# 3. What the worker may do

my $worker = $server->connect('shop', user => 'fanout_worker');
refused($worker, 'SELECT * FROM shop.announcement', '55000', qr/no tenant is set/, 'the worker reads nothing without a tenant');
refused_to($worker, $sender, $row, '42501', qr/row-level security.*The row is of tenant "$receiver"/s,
  'as the sender it writes no row of the receiver');
refused_to($worker, $receiver, $row, '42501', qr/policy "accepted_senders"/, 'as the receiver none from a sender who is not accepted');
refused_to($worker, $receiver, "INSERT INTO shop.accepted_sender (sender_id) VALUES ('$sender')",
  '42501', qr/permission denied for table accepted_sender/, 'and it accepts nobody for others');
$worker->disconnect;
($status, $text) = run_program('postgres', '', 'node', 'worker.mjs');
is($status, 1, 'a role that passes row-level security by is no worker');
like($text, qr/^row-level security does not hold this role: run the worker as fanout_worker$/m, 'and is told so');

# 4. A job that keeps failing

my $pid = start_worker();
my $failing = q{FROM graphile_worker._private_jobs WHERE payload->>'title' = 'first'};
my ($moved, @delays) = (value($db, 'SELECT now()'));
for my $attempt (1 .. 8) {
  wait_until(sub { value($db, "SELECT attempts = $attempt AND locked_at IS NULL $failing") }, 30) or diag(slurp("$directory/log"));
  push @delays, value($db, "SELECT extract(epoch FROM run_at - '$moved') $failing");
  if ($attempt == 4) {
    accept_from($others[0], $sender);
    publish($sender, 'second', $others[0]);
    ok(wait_until(sub { notifications() == 1 }), 'while a job waits to be tried again, others go on');
  }
  last if $attempt == 8;
  $moved = value($db, "SELECT run_at FROM (SELECT (graphile_worker.reschedule_jobs(ARRAY[id], run_at := now())).run_at $failing) r");
  nudge();
}
cmp_ok($delays[$_ - 1], '>=', exp($_) - 0.001, sprintf('after attempt %d it waits for at least %.0f s', $_, exp($_))) for 1 .. 8;
my ($try, $show_parked, $put_back) = slurp("$example/README.md") =~ /^```sql\n(.*?)^```$/msg;
my $queue = $server->connect('shop');
$queue->do('SET ROLE fanout_queue');
my ($parked) = my @parked = @{$queue->selectall_arrayref($show_parked, {Slice => {}})};
is(join('|', map { $_ // 'NULL' } scalar(@parked), @$parked{qw(task attempts last_error)}),
  '1|deliver|8|new row violates row-level security policy "accepted_senders" for table "notification"',
  'then it is parked, with its error');
is(join('|', @{decode_json($parked->{payload})}{qw(sender receiver title)}), "$sender|$receiver|first", 'and what it was');
is(as_tenant($web, $receiver, 'SELECT count(*) FROM shop.notification'), 0, 'the receiver has got nothing');

my $foreign = value($db, 'SELECT id FROM shop.announcement ORDER BY id LIMIT 1');
as_tenant($web, $stranger, "SELECT fanout.publish($foreign, '{$others[0]}')");
my $of_stranger = "FROM graphile_worker._private_jobs WHERE payload->>'sender' = '$stranger'";
ok(wait_until(sub { defined value($db, "SELECT last_error $of_stranger") }), 'another tenant cannot send what it has not written');
is(value($db, "SELECT last_error $of_stranger"), "tenant $stranger has no announcement $foreign", 'and the error says so');
is(notifications(), 1, 'nobody got it');
$queue->do("SELECT graphile_worker.complete_jobs(array_agg(id)) $of_stranger");

accept_from($receiver, $sender);
$queue->do($put_back);
nudge();
wait_for_queue('a parked job that is put back is done');
is(as_tenant($web, $receiver, 'SELECT sender_id, title FROM shop.notification'), "$sender|first", 'and the receiver has got it');
$web->do($try);
wait_for_queue('what the README tells to try is done');
is(as_tenant($web, '00000000-0000-0000-0000-00000000000b', 'SELECT title FROM shop.notification'), 'open on Sundays', 'by the worker');
kill_worker($pid);

# 5. A worker that is killed at a certain point

# A transaction of the test's that holds a lock, for the worker to wait for, until it is rolled back.
sub hold {
  my $holder = $server->connect('shop');
  $holder->do($_) for 'BEGIN', @_;
  return $holder;
}

# How many of the worker's statements that look like this wait for a lock.
sub waiting {
  my ($pattern) = @_;
  return value($db, q{SELECT count(*) FROM pg_stat_activity
    WHERE usename = 'fanout_worker' AND wait_event_type = 'Lock' AND query ~ ?}, $pattern);
}

my @writing = ('shop.accepted_sender', 'INSERT INTO shop.notification');
for my $case (['while it writes', 0, @writing], ['when the row is written', 1, @writing],
  ['when the jobs are made', 1, 'shop.announcement', 'SELECT title']) {
  my ($when, $committed, $table, $query) = @$case;
  my $before = notifications();
  publish($sender, "killed $when", $receiver);
  my $gate = hold("LOCK TABLE $table");
  $pid = start_worker();
  ok(wait_until(sub { waiting($query) && jobs() == 1 }), "killed $when: it is there") or diag(slurp("$directory/log"));
  if ($committed) {
    my $note = hold('SELECT FROM graphile_worker._private_jobs FOR UPDATE');
    $gate->do('ROLLBACK');
    ok(wait_until(sub { waiting('^delete from .*_private_jobs') && notifications() == $before + 1 && jobs() == 1 }),
      'its transaction has committed, and the job is not noted as done');
    ok(kill_worker($pid), 'it is killed');
    # A server process notices that only after its statement, which shall not end.
    $db->do(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fanout_worker' AND wait_event_type = 'Lock'});
    $note->do('ROLLBACK');
  } else {
    ok(kill_worker($pid), 'it is killed');
    $gate->do('ROLLBACK');
  }
  wait_until(sub { value($db, q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'fanout_worker'}) == 0 });
  is(notifications() - $before, $committed, $committed ? 'the row is there' : 'there is no row');
  is(jobs('locked_at IS NOT NULL AND attempts = 1'), 1, 'the job is, locked by the dead worker');
  $pid = start_worker();
  wait_for_queue('the next worker does it, without waiting for the lock to expire');
  is(notifications() - $before, 1, 'once');
  kill_worker($pid);
}

# 6. A worker that is killed at random moments, of 1,000 jobs

my $seed = $ENV{RLS_TENANT_SEED} // (time ^ $$ << 8) & 0x7fffffff;
srand $seed;
diag "RLS_TENANT_SEED=$seed";
my @senders = ($sender, $receiver, $stranger);
accept_from($_, @senders) for @others;

# A gate: from a certain row on writers wait inside their transactions, while the test holds lock 1. So the worker, however
# fast, is never through before it has been killed.
$db->do($_) for 'CREATE SEQUENCE public.rows_tried', 'CREATE SEQUENCE public.gate',
  q{CREATE FUNCTION public.wait_at_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF nextval('public.rows_tried') >= (SELECT last_value FROM public.gate) THEN
        PERFORM pg_advisory_xact_lock_shared(1);
      END IF;
      RETURN NULL;
    END $$},
  'CREATE TRIGGER wait_at_gate AFTER INSERT ON shop.notification FOR EACH ROW EXECUTE FUNCTION public.wait_at_gate()',
  'SELECT pg_advisory_lock(1)';
sub rows_tried { return value($db, 'SELECT last_value FROM public.rows_tried') }

my (@expected, @moments);
my ($kills, $left, $interrupted) = (0, 0, 0);
for my $round (1 .. 10) {
  for (1 .. 5) {
    my $from = $senders[rand @senders];
    my $id = publish($from, "of round $round", @others);
    push @expected, map { "$_|$from|$id|of round $round" } @others;
  }
  value($db, q{SELECT setval('public.gate', ?)}, 90 * $round);
  my $moment = 90 * ($round - 1) + 1 + int rand 90;
  $pid = start_worker();
  my $end = time + 60;
  Time::HiRes::sleep(0.01) while rows_tried() < $moment && time < $end;
  $kills += kill_worker($pid);
  push @moments, rows_tried();
  $db->do('SELECT pg_advisory_unlock(1)');
  $db->do('SELECT pg_advisory_lock(1)');    # when those who waited at the gate have ended
  $interrupted += jobs('locked_at IS NOT NULL');
  $left++ if jobs() > 0;
}
is($kills, 10, 'the worker was killed ten times') or diag(slurp("$directory/log"));
is($left, 10, 'always with jobs left');
note("after @moments rows tried; $interrupted jobs were interrupted");

# One works, and one stands by: when the first is killed, the second goes on.
$pid = start_worker();
ok(wait_until(sub { waiting('INSERT INTO shop.notification') }), 'a worker works');
start_worker();
ok(wait_until(sub { waiting('pg_advisory_lock') }), 'a second one stands by');
kill_worker($pid);
$db->do('SELECT pg_advisory_unlock(1)');
wait_for_queue('and does what the first has left');
is(rows($db, 'SELECT * FROM fanout.parked'), '', 'no job is parked');
is(scalar @expected, 1000, 'of 1,000 jobs');
my $rows = rows($db, q{SELECT tenant_id, sender_id, announcement_id, title FROM shop.notification WHERE title ~ '^of round'});
same_lines(join("\n", sort split /\n/, $rows), join("\n", sort @expected), 'each has written its row, once');

$_->disconnect for $web, $queue, $db;
done_testing;
