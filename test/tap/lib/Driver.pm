# Drives one of the applications in examples/, all of which serve the same small HTTP interface (examples/README.md), through
# PgBouncer in transaction mode: two tenants, many requests at once, among them ones that fail, that take too long, and whose
# client hangs up. An oracle knows whose rows are whose, and which of them must be there in the end.
package Driver;

use strict;
use warnings;
use Cluster;
use Daemon;
use Exporter qw(import);
use HTTP::Tiny;
use JSON::PP qw(decode_json encode_json);
use List::Util qw(shuffle);
use PgBouncer;
use POSIX ();
use Test::More;

our @EXPORT = qw(drive npm_ci);

my $pool = 5;                    # server connections
my $seeds = 20;                  # rows of each tenant at the beginning
my $patience = 60;               # seconds that a client waits for an answer
my @tenants = map { "00000000-0000-4000-8000-00000000000$_" } 'a', 'b';

# How many requests of each kind a tenant sends.
my %plan = (read => 40, write => 32, fail => 8, slow => 3, forget => 4, misname => 2, 'write, hang up' => 8, 'slow, hang up' => 3);

my $url;

# Tests the application examples/NAME. %options: prepare (what makes it ready to run, called with its directory), command,
# pgbouncer (lines of its configuration).
sub drive {
  my ($name, %options) = @_;
  my $server = Cluster->running;
  my $database = "drive_$name";
  $server->role('web');
  $server->database($database);
  my ($status, $output) = $server->run('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$top/examples/schema.sql", $database);
  is($status, 0, 'examples/schema.sql runs') or BAIL_OUT($output);
  my $db = $server->connect($database);
  $db->do(q{INSERT INTO invoice (tenant_id, note, created_by) SELECT ?, 'seed ' || i, 'seed' FROM generate_series(1, ?) i}, undef, $_, $seeds)
    for @tenants;
  # Which connection wrote a row: so it can be told that they were shared.
  $db->do('ALTER TABLE invoice ADD backend int DEFAULT pg_backend_pid()');

  my ($port, $bouncer_port) = free_ports(2);
  my $bouncer = PgBouncer->start("$name-bouncer", server => $server, database => $database, user => 'web', port => $bouncer_port,
    pool => $pool, settings => ['listen_addr = 127.0.0.1', @{$options{pgbouncer} // []}]);
  my $directory = own_directory($name, "$work/src/examples/$name");
  $options{prepare}->($directory) if $options{prepare};
  my $app = Daemon->start($directory, {PGHOST => '127.0.0.1', PGPORT => $bouncer_port, PGDATABASE => $database, PGUSER => 'web',
    PORT => $port, PYTHONDONTWRITEBYTECODE => 1}, @{$options{command}->($port)});
  $url = "http://127.0.0.1:$port";
  my $answer;
  ok(wait_until(sub { ($answer = request('GET', '/invoices'))->{status} != 599 }, $patience), 'the application answers')
    or BAIL_OUT($app->output);
  is($answer->{status}, 401, 'who does not say who they are get nothing');

  one_by_one();
  many_at_once($db);
  nothing_inherited($db);
  diag($app->output) if !Test::More->builder->is_passing;
  $_->stop for $app, $bouncer;
  unlike($server->log, qr/was terminated by signal|PANIC/, 'no crash');
  $db->disconnect;
  done_testing;
}

# Installs the packages of package-lock.json in a directory, the cache of npm lying there, too; no script of theirs is run.
sub npm_ci {
  my ($directory) = @_;
  run_as_server($directory, {npm_config_cache => "$directory/.npm", npm_config_update_notifier => 'false'},
    qw(npm ci --ignore-scripts --no-audit --no-fund));
}

# Sends a request as a user of a tenant, or of none, and gives the answer; its status is 599 if there is none in time.
sub request {
  my ($method, $path, $tenant, %options) = @_;
  my %headers = defined $tenant ? ('X-Tenant' => $tenant, 'X-User' => $options{user} // 'someone') : ();
  my %content = defined $options{note} ? (content => encode_json({note => $options{note}})) : ();
  $headers{'Content-Type'} = 'application/json' if %content;
  return HTTP::Tiny->new(timeout => $options{timeout} // $patience, keep_alive => 0)
    ->request($method, $url . $path, {headers => \%headers, %content});
}

# Whether an answer is the error that it must be.
sub is_error {
  my ($answer, $status, $pattern) = @_;
  return $answer->{status} == $status && (eval { decode_json($answer->{content})->{error} } // '') =~ $pattern;
}

my $forgotten = qr/no tenant is set for this transaction/;
my $misnamed = qr/invalid value for rls_tenant\.tenant_id/;
my $too_slow = qr/canceling statement due to statement timeout/;

# Whether an answer to a reader has rows of that tenant only, and all of those that were always there.
sub is_own {
  my ($answer, $tenant) = @_;
  return 0 if $answer->{status} != 200;
  my @rows = eval { @{decode_json($answer->{content})} } or return 0;
  return !(grep { $_->{tenant_id} ne $tenant } @rows) && (grep { $_->{created_by} eq 'seed' } @rows) == $seeds;
}

# Whether an answer to a writer shows the row that was asked for.
sub is_written {
  my ($answer, $tenant, $note, $user) = @_;
  return 0 if $answer->{status} != 201;
  my $row = eval { decode_json($answer->{content}) } or return 0;
  return $row->{tenant_id} eq $tenant && $row->{note} eq $note && $row->{created_by} eq $user;
}

# Each kind of request: sends it and gives the answer, and whether that is as it must be. A note tells requests apart.
my %kinds = (
  read => sub {
    my ($tenant) = @_;
    my $answer = request('GET', '/invoices', $tenant);
    return ($answer, is_own($answer, $tenant));
  },
  write => sub {
    my ($tenant, $note) = @_;
    my $answer = request('POST', '/invoices', $tenant, note => $note, user => "writer of $note");
    return ($answer, is_written($answer, $tenant, $note, "writer of $note"));
  },
  fail => sub {
    my ($tenant, $note) = @_;
    my $answer = request('GET', "/fail?note=$note", $tenant);
    return ($answer, is_error($answer, 500, qr/failed after a write/));
  },
  slow => sub {
    my ($tenant, $note) = @_;
    my $answer = request('GET', "/slow?note=$note", $tenant);
    return ($answer, is_error($answer, 500, $too_slow));
  },
  forget => sub {
    my ($tenant) = @_;
    my $answer = request('GET', '/forgot', $tenant);
    return ($answer, is_error($answer, 500, $forgotten));
  },
  misname => sub {
    my $answer = request('GET', '/invoices', q{x'; SELECT 1; --});
    return ($answer, is_error($answer, 400, $misnamed));
  },
  # The client may be gone before the application hears of it, or after it has written, or not at all.
  'write, hang up' => sub {
    my ($tenant, $note) = @_;
    my ($number) = $note =~ /(\d+)/;
    my $answer = request('POST', '/invoices', $tenant, note => $note, user => "writer of $note", timeout => 0.4 * $number);
    return ($answer, $answer->{status} == 599 || is_written($answer, $tenant, $note, "writer of $note"));
  },
  'slow, hang up' => sub {
    my ($tenant, $note) = @_;
    my $answer = request('GET', "/slow?note=$note", $tenant, timeout => 0.5);
    return ($answer, $answer->{status} == 599);
  },
);

# 1. One request after the other: what fails says so.
sub one_by_one {
  for my $kind ('read', 'write', 'fail', 'slow', 'forget', 'misname') {
    my ($answer, $fine) = $kinds{$kind}->($tenants[0], "alone-$kind");
    ok($fine, "alone: $kind") or diag("$answer->{status} $answer->{content}");
  }
}

# 2. All at once, and what is there afterwards.
sub many_at_once {
  my ($db) = @_;
  my @jobs;
  for my $kind (sort keys %plan) {
    for my $tenant (0, 1) { push @jobs, map { [$kind, $tenant, "$tenant-$kind-$_" =~ s/, /-/r] } 1 .. $plan{$kind} }
  }
  my $seed = $ENV{RLS_TENANT_SEED} // time % 1_000_000;
  srand($seed);
  my @verdicts = run_at_once(shuffle(@jobs));
  is(scalar @verdicts, scalar @jobs, scalar(@jobs) . " requests at once (RLS_TENANT_SEED=$seed)");
  is(join("\n", map { "$_->{kind}: $_->{told}" } grep { !$_->{fine} } @verdicts), '',
    'each was answered as it must be, with no row of the other tenant');
  my %unanswered = map { ("$_->{tenant}|$_->{note}" => 1) } grep { $_->{kind} eq 'write, hang up' && $_->{status} == 599 } @verdicts;
  note(keys(%unanswered) . ' clients hung up before they knew of their write');
  # Whoever is still at work for a client that is gone must not come to its end after the look.
  wait_until(sub { value($db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'web' AND state <> 'idle'}) });
  my @promised = ((map { my $id = $_; map { "$id|seed $_" } 1 .. $seeds } @tenants), "$tenants[0]|alone-write",
    map { "$_->{tenant}|$_->{note}" } grep { $_->{kind} =~ /^write/ && $_->{status} == 201 } @verdicts);
  my @there = grep { !$unanswered{$_} } split /\n/, rows($db, 'SELECT tenant_id, note FROM invoice');
  same_lines(join("\n", sort @there), join("\n", sort @promised),
    'afterwards each tenant has the rows whose writer was told so; nothing of what failed');
  is(rows($db, q{SELECT note, created_by FROM invoice WHERE created_by NOT IN ('seed', 'writer of ' || note)}), '',
    'and each row has the user who wrote it');
}

# Runs jobs, each of a client of its own, which wait for each other to begin; gives what each has to tell.
sub run_at_once {
  my @jobs = @_;
  pipe(my $gate, my $bar) or die;
  pipe(my $telling, my $told) or die;
  for my $job (@jobs) {
    my $pid = fork // die "fork: $!\n";
    next if $pid;
    close($bar);
    sysread($gate, my $nothing, 1);
    my ($kind, $tenant, $note) = @$job;
    my ($answer, $fine) = eval { $kinds{$kind}->($tenants[$tenant], $note) };
    # Short enough that the pipe takes it in one piece.
    syswrite($told, encode_json({kind => $kind, tenant => $tenants[$tenant], note => $note, fine => $fine ? 1 : 0,
      status => $answer->{status}, told => $fine ? '' : substr("$answer->{status} $answer->{content} $@", 0, 500)}) . "\n");
    POSIX::_exit(0);
  }
  close($_) for $gate, $told, $bar;
  my @verdicts = map { decode_json($_) } <$telling>;
  1 while waitpid(-getpgrp(), POSIX::WNOHANG()) > 0;
  return @verdicts;
}

# 3. On server connections each of which has served both tenants, who forgets the context finds none. An error may cost its connection
# (node-postgres closes it), so there are no more turns than connections.
sub nothing_inherited {
  my ($db) = @_;
  my $backends = q{SELECT pid FROM pg_stat_activity WHERE usename = 'web' ORDER BY pid};
  my $missing = qq{SELECT count(*) FROM ($backends) b WHERE (SELECT count(DISTINCT tenant_id) FROM invoice WHERE backend = pid AND created_by <> 'seed') < 2};
  # An error late in the crowd may have brought a new connection: it gets its turn.
  for (1 .. 20) {
    last if value($db, $missing) == 0;
    run_at_once(map { ['write', $_ % 2, "again-$_"] } 1 .. 4 * $pool);
  }
  is(value($db, $missing), 0, 'each server connection of the pool has served both tenants');
  my $before = rows($db, $backends);
  my %before = map { $_ => 1 } split /\n/, $before;
  my @wrong;
  for my $turn (1 .. $pool) {
    for my $kind ('read', 'forget') {
      my ($answer, $fine) = $kinds{$kind}->($tenants[$turn % 2], '');
      push @wrong, "$kind: $answer->{status} $answer->{content}" if !$fine;
    }
  }
  is(join("\n", @wrong), '', 'who forgets the context inherits none');
  is(join("\n", grep { !$before{$_} } split /\n/, rows($db, $backends)), '', 'on these very connections: there are no others');
}

1;
