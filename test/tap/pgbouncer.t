# Through a real PgBouncer in transaction mode: clients of many tenants share a few server connections, and try, by
# mistake or by force, to leave a context behind. Each tenant's rows are known; any other row is a failure.
#
# Sizes, by environment variables:
#   RLS_TENANT_CLIENTS       client processes (8)
#   RLS_TENANT_TRANSACTIONS  transactions of each (500)
#   RLS_TENANT_TENANTS       tenants (50)
#   RLS_TENANT_POOL          server connections (4)
#   RLS_TENANT_SEED          seed of what the clients do (made up and printed; the same seed draws the same again)

use strict;
use warnings;
use Cluster;
use Daemon;
use PgBouncer;
use POSIX ();
use Socket qw(SHUT_RDWR);
use Test::More;

my $clients = $ENV{RLS_TENANT_CLIENTS} // 8;
my $transactions = $ENV{RLS_TENANT_TRANSACTIONS} // 500;
my $tenants = $ENV{RLS_TENANT_TENANTS} // 50;
my $pool = $ENV{RLS_TENANT_POOL} // 4;
my $seed = $ENV{RLS_TENANT_SEED} // time % 1_000_000;

my $server = Cluster->running;
$server->role('bouncer_app');
my $directory = own_directory('pgbouncer');
my ($database, $bouncer);

# The oracle: what a tenant has, as lines.
sub tenant_id { return sprintf('%08x-0000-4000-8000-%012x', $_[0], $_[0]); }
sub row_count { return 3 + $_[0] % 7; }
my %rows_of;
for my $tenant (1 .. $tenants) {
  my $id = tenant_id($tenant);
  $rows_of{$tenant} = join("\n", map { "$id|$_|row $_ of tenant $tenant" } 1 .. row_count($tenant));
}

# Makes the database: a plain and a partitioned table with the same rows.
sub make_database {
  my ($name, @settings) = @_;
  my $db = $server->connect($server->database($name, 1));
  for my $table ('docs', 'parted') {
    $db->begin_work;
    my $partition_by = $table eq 'parted' ? 'PARTITION BY HASH (tenant_id)' : '';
    $db->do("CREATE TABLE $table (tenant_id uuid, id int, body text, touched int DEFAULT 0) $partition_by");
    for my $part ($partition_by ? 0 .. 3 : ()) {
      $db->do("CREATE TABLE parted_$part PARTITION OF parted FOR VALUES WITH (MODULUS 4, REMAINDER $part)");
    }
    $db->do("SELECT rls_tenant.protect('$table')");
    $db->do("GRANT ALL ON $table TO bouncer_app");
    my $insert = $db->prepare("INSERT INTO $table (tenant_id, id, body) VALUES (?, ?, ?)");
    for my $tenant (1 .. $tenants) { $insert->execute(split /\|/) for split /\n/, $rows_of{$tenant}; }
    $db->commit;
  }
  $db->do("ANALYZE docs, parted");
  $db->do("ALTER DATABASE $name SET $_") for @settings;
  $db->do($_) for
    q{CREATE FUNCTION docs_of_plpgsql() RETURNS TABLE (t uuid, i int, b text) LANGUAGE plpgsql AS
      'BEGIN RETURN QUERY SELECT tenant_id, id, body FROM docs ORDER BY id; END'},
    q{CREATE FUNCTION docs_of_sql() RETURNS TABLE (t uuid, i int, b text) LANGUAGE sql AS
      'SELECT tenant_id, id, body FROM docs ORDER BY id'};
  return $name;
}

# 1. One client

# What a client found wrong, how often it did what, and which servers it met.
my (%found, %did, %met);

sub wrong { my ($what) = @_; $found{$what}++; }

# Reads rows as a tenant (0: as nobody) by one of several ways, and holds them against the oracle.
sub read_rows {
  my ($client, $tenant, $way) = @_;
  my %query = (
    plain => 'SELECT tenant_id, id, body FROM docs ORDER BY id',
    partitioned => 'SELECT tenant_id, id, body FROM parted ORDER BY id',
    join => 'SELECT d.tenant_id, p.id, p.body FROM docs d JOIN parted p ON p.id = d.id ORDER BY p.id',
    plpgsql => 'SELECT * FROM docs_of_plpgsql()',
    sql => 'SELECT * FROM docs_of_sql()',
    prepared => 'EXECUTE kept',
    cursor => 'FETCH ALL FROM c',
  );
  $way //= (sort keys %query)[rand keys %query];
  # A plan that stays with the server connection, for whoever comes next.
  if ($way eq 'prepared' && !value($client, q{SELECT count(*) FROM pg_prepared_statements WHERE name = 'kept'})) {
    $client->do("PREPARE kept AS $query{plain}");
  }
  $client->do("DECLARE c CURSOR FOR $query{plain}") if $way eq 'cursor';
  my $got = rows($client, $query{$way});
  $client->do('CLOSE c') if $way eq 'cursor';
  wrong("rows without a context, by $way") if !$tenant;
  wrong("wrong rows, by $way") if $tenant && $got ne $rows_of{$tenant};
  $did{"read, $way"}++;
  my $pid = value($client, 'SELECT pg_backend_pid()');
  $met{$pid}{$tenant}++;
}

# Runs something that must fail, with this SQLSTATE.
sub must_fail {
  my ($client, $state, $what, $code) = @_;
  my $done = eval { $code->(); 1 };
  return wrong("$what: not refused") if $done;
  my $got = $client->state // '';
  wrong("$what: $got " . ($client->errstr // $@)) if $got ne $state;
}

# Sets the context in one of the proper ways.
sub set_context {
  my ($client, $tenant) = @_;
  my $id = tenant_id($tenant);
  my $way = int(rand(4));
  if ($way == 0) { $client->do("SET LOCAL rls_tenant.tenant_id = '$id'") }
  elsif ($way == 1) { $client->selectrow_array('SELECT rls_tenant.set_context(?::uuid)', undef, $id) }
  elsif ($way == 2) { $client->selectrow_array(q{SELECT set_config('rls_tenant.tenant_id', ?, true)}, undef, $id) }
  else { $client->selectrow_array(q{SELECT set_config('rls_tenant.tenant_id', ?, false)}, undef, $id) }
}

# Ends a connection in the middle of what it does.
sub hang_up {
  my ($client) = @_;
  open(my $socket, '+<&', $client->{pg_socket}) or die;
  shutdown($socket, SHUT_RDWR);
}

# What a transaction may do. Each gets the connection and a tenant, and gives true if the connection is gone.
my %kinds = (
  'reads and commits' => sub {
    my ($client, $tenant) = @_;
    $client->do('BEGIN');
    set_context($client, $tenant);
    read_rows($client, $tenant) for 1 .. 1 + rand(3);
    $client->do('COMMIT');
    return 0;
  },
  'rolls back' => sub {
    my ($client, $tenant) = @_;
    $client->do('BEGIN');
    set_context($client, $tenant);
    read_rows($client, $tenant);
    $client->do('ROLLBACK');
    return 0;
  },
  'fails' => sub {
    my ($client, $tenant) = @_;
    $client->do('BEGIN');
    set_context($client, $tenant);
    read_rows($client, $tenant);
    must_fail($client, '22012', 'a division by zero', sub { $client->do('SELECT 1 / 0 FROM docs') });
    $client->do(rand() < 0.5 ? 'ROLLBACK' : 'COMMIT');
    return 0;
  },
  'disconnects' => sub {
    my ($client, $tenant) = @_;
    $client->do('BEGIN');
    set_context($client, $tenant);
    read_rows($client, $tenant);
    if (rand() < 0.5) { $client->disconnect } else { hang_up($client) }
    return 1;
  },
  'writes' => sub {
    my ($client, $tenant) = @_;
    my ($own, $other) = (1 + int(rand(row_count($tenant))), 1 + $tenant % $tenants);
    my $foreign = tenant_id($other);
    $client->do('BEGIN');
    set_context($client, $tenant);
    my $changed = $client->do("UPDATE docs SET touched = touched + 1 WHERE id = $own");
    wrong("UPDATE changed $changed rows") if $changed != 1;
    for my $write ('UPDATE docs SET touched = -1', 'DELETE FROM docs', 'DELETE FROM parted') {
      wrong("$write reached another tenant") if $client->do("$write WHERE tenant_id = '$foreign'") != 0;
    }
    $client->do('SAVEPOINT s');
    must_fail($client, '42501', 'a row for another tenant',
      sub { $client->do("INSERT INTO docs VALUES ('$foreign', 0, 'planted')") });
    $client->do('ROLLBACK TO s');
    read_rows($client, $tenant);
    $client->do(rand() < 0.5 ? 'ROLLBACK' : 'COMMIT');
    return 0;
  },
  'tries to switch' => sub {
    my ($client, $tenant) = @_;
    my $other = tenant_id(1 + $tenant % $tenants);
    $client->do('BEGIN');
    set_context($client, $tenant);
    $client->do('SAVEPOINT s');
    read_rows($client, $tenant);
    must_fail($client, '25001', 'another tenant', sub { $client->do("SET LOCAL rls_tenant.tenant_id = '$other'") });
    $client->do('ROLLBACK TO s');
    must_fail($client, '25001', 'another tenant by set_config',
      sub { $client->do("SELECT set_config('rls_tenant.tenant_id', '$other', false)") });
    $client->do('ROLLBACK TO s');
    read_rows($client, $tenant);
    $client->do('COMMIT');
    return 0;
  },
  'SET for the session' => sub {
    my ($client, $tenant) = @_;
    # Refused once the library is loaded. Before, it is a setting like any other, which must not become a context.
    my $passed = eval { $client->do("SET rls_tenant.tenant_id = '" . tenant_id($tenant) . "'"); 1 };
    wrong('SET for the session: ' . $client->errstr) if !$passed && $client->state ne '0A000';
    $did{'SET for the session, ' . ($passed ? 'before loading' : 'refused')}++;
    return 0;
  },
  'SET in a transaction' => sub {
    my ($client, $tenant) = @_;
    $client->do('BEGIN');
    # Before the library is loaded it counts for this transaction.
    if (eval { $client->do("SET rls_tenant.tenant_id = '" . tenant_id($tenant) . "'"); 1 }) {
      read_rows($client, $tenant);
      $did{'SET in a transaction, before loading'}++;
    }
    $client->do(rand() < 0.5 ? 'ROLLBACK' : 'COMMIT');
    return 0;
  },
  'set_config for the session' => sub {
    my ($client, $tenant) = @_;
    $client->do("SELECT set_config('rls_tenant.tenant_id', '" . tenant_id($tenant) . "', false)");
    return 0;
  },
  'resets' => sub {
    my ($client) = @_;
    $client->do((rand() < 0.5 ? 'RESET rls_tenant.tenant_id' : rand() < 0.5 ? 'RESET ALL' : 'DISCARD ALL'));
    return 0;
  },
  'has no context' => sub {
    my ($client) = @_;
    $client->do('BEGIN') if (my $block = rand() < 0.5);
    must_fail($client, '55000', 'no context',
      sub { read_rows($client, 0, (qw(plain partitioned join plpgsql sql))[rand 5]) });
    $client->do('ROLLBACK') if $block;
    return 0;
  },
  'has no context and a kept plan' => sub {
    my ($client) = @_;
    $client->do('BEGIN');
    must_fail($client, '55000', 'no context, prepared', sub { read_rows($client, 0, 'prepared') });
    $client->do('ROLLBACK');
    return 0;
  },
  'looks at the context' => sub {
    my ($client) = @_;
    my $context = rows($client, 'SELECT * FROM rls_tenant.current_context()');
    wrong("a context is left: $context") if $context ne '|||||';
    return 0;
  },
);

# Mostly what is proper. A client that disconnects takes its server connection along, so few do.
sub draw_kind {
  my $draw = rand();
  return 'disconnects' if $draw < 0.02;
  return 'reads and commits' if $draw < 0.30;
  my @others = grep { $_ ne 'disconnects' } sort keys %kinds;
  return $others[rand @others];
}

# The life of a client; writes what it found into a file.
sub run_client {
  my ($number) = @_;
  srand($seed * 1000 + $number);
  my $client = $bouncer->connect;
  for (1 .. $transactions) {
    my $kind = draw_kind();
    my $tenant = 1 + int(rand($tenants));
    my $gone = eval { $kinds{$kind}->($client, $tenant) };
    if (!defined $gone) {
      wrong("$kind: $@");
      $gone = 1;
    }
    $did{$kind}++;
    $client = $bouncer->connect if $gone;
  }
  open(my $file, '>', "$directory/client.$number") or die;
  print $file "found\t$_\t$found{$_}\n" =~ s/\n(?!\z)/ /gr for sort keys %found;
  print $file "did\t$_\t$did{$_}\n" for sort keys %did;
  for my $pid (sort keys %met) { print $file "met\t$pid\t$_\n" for sort keys %{$met{$pid}} }
  print $file "end\t\t\n";
  close($file);
}

# 2. All of them, and what they found

sub run_clients {
  my ($label) = @_;
  my @children;
  for my $number (1 .. $clients) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
      eval { run_client($number); 1 } or diag("client $number: $@");
      POSIX::_exit(0);
    }
    push @children, $pid;
  }
  waitpid($_, 0) for @children;
  my (%wrong, %done, %servers, $ended);
  for my $number (1 .. $clients) {
    for (split /\n/, -e "$directory/client.$number" ? slurp("$directory/client.$number") : '') {
      my ($what, $name, $value) = split /\t/, "$_\t", 4;
      if ($what eq 'found') { $wrong{$name} += $value }
      elsif ($what eq 'did') { $done{$name} += $value }
      elsif ($what eq 'met') { $servers{$name}{tenants}{$value} = $servers{$name}{clients}{$number} = 1 }
      else { $ended++ }
    }
    unlink "$directory/client.$number";
  }
  is($ended, $clients, "$label: $clients clients ran $transactions transactions each");
  same_lines(join("\n", map { "$wrong{$_} times: $_" } sort keys %wrong), '',
    "$label: no row of a wrong tenant, none without a context");
  my @idle = grep { !$done{$_} } keys %kinds;
  is("@idle", '', "$label: everything was tried");
  note("$_: $done{$_}") for sort keys %done;
  my @shared = grep { keys %{$servers{$_}{tenants}} > 1 && keys %{$servers{$_}{clients}} > 1 } keys %servers;
  cmp_ok(scalar @shared, '>=', $pool,
    "$label: server connections served several clients and tenants (" . @shared . ' of ' . keys(%servers) . ')');
  return \%done;
}

note("RLS_TENANT_SEED=$seed, $clients clients, $transactions transactions, $tenants tenants, $pool server connections");
for my $how ('lazy', 'preloaded') {
  $database = make_database("pgbouncer_$how", $how eq 'lazy' ? () : q{session_preload_libraries = 'rls_tenant'});
  $bouncer = PgBouncer->start('pgbouncer', server => $server, database => $database, user => 'bouncer_app', port => 6432, pool => $pool,
    settings => ['server_lifetime = 1']);
  # Later it hangs on how the clients' turns fall whether one meets a server connection without the library.
  if ($how eq 'lazy') {
    my $client = $bouncer->connect;
    $kinds{$_}->($client, 1) for 'SET for the session', 'SET in a transaction';
    $client->disconnect;
    is(join(', ', map { "$_: $did{$_}" } grep { /before/ } sort keys %did),
      'SET for the session, before loading: 1, SET in a transaction, before loading: 1',
      'lazy: a SET passes before the library is loaded');
    is(join(', ', keys %found), '', 'lazy: and gives no rows of a wrong tenant');
    %$_ = () for \(%did, %met);
  }
  my $done = run_clients("$how (seed $seed)");
  ok(!$done->{'SET for the session, before loading'}, 'preloaded: no SET for the session passes') if $how eq 'preloaded';
  ok($done->{'SET for the session, refused'}, "$how: SET for the session was refused");
  my $db = $server->connect($database);
  my $rows = map { split /\n/ } values %rows_of;
  is(rows($db, 'SELECT count(*), count(*) FILTER (WHERE touched < 0) FROM docs'), "$rows|0",
    "$how: in the end no row was lost, planted or touched by another tenant");
  cmp_ok(value($db, 'SELECT sum(touched) FROM docs'), '>', 0, "$how: and writes went through");
  $bouncer->stop;
}
unlike($server->log, qr/was terminated by signal|PANIC/, 'no crash');
done_testing();
