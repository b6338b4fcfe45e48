# Libraries that watch statements beside ours, and JIT: auto_explain shows the plans that ran, so here it tells whether a
# plan held the value of the context, also inside functions; pg_stat_statements plans and counts as before. In each order
# of loading every tenant reads its own rows.

use strict;
use warnings;
use Cluster;
use Socket qw(PF_UNIX SOCK_STREAM pack_sockaddr_un);
use Test::More;

my $server = Cluster->start('watchers', "shared_preload_libraries = 'pg_stat_statements'", 'pg_stat_statements.track_planning = on',
  'pg_stat_statements.track = all');
$server->role('watched');
my $admin = $server->connect($server->database('watched', 1));
$admin->do($_) for
  'CREATE EXTENSION pg_stat_statements',
  'BEGIN',
  'CREATE TABLE plain (id int, tenant_id bigint, body text)',
  'CREATE TABLE parted (id int, tenant_id bigint, body text) PARTITION BY LIST (tenant_id)',
  (map { "CREATE TABLE parted_$_ PARTITION OF parted FOR VALUES IN ($_)" } 1 .. 3),
  (map { "SELECT rls_tenant.protect('$_')" } 'plain', 'parted'),
  'COMMIT',
  (map { "INSERT INTO $_ SELECT i, t, '$_ ' || t || ' ' || i FROM generate_series(1, 3) t, generate_series(1, 2) i" } 'plain', 'parted'),
  (map { my $t = $_; my $all = "SELECT string_agg(body, ',' ORDER BY id) FROM $t";
    ("CREATE FUNCTION sql_$t() RETURNS text LANGUAGE sql VOLATILE AS \$\$ $all \$\$",
      "CREATE FUNCTION plpgsql_$t() RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN RETURN ($all); END \$\$",
      "CREATE FUNCTION dynamic_$t() RETURNS text LANGUAGE plpgsql AS \$\$ DECLARE r text; BEGIN EXECUTE \$q\$$all\$q\$ INTO r; RETURN r; END \$\$")
  } 'plain', 'parted'),
  'GRANT ALL ON plain, parted TO watched',
  'GRANT CREATE ON SCHEMA public TO watched',
  'ANALYZE';

# What a tenant of a table must see.
sub own { my ($table, $tenant) = @_; return join ',', map { "$table $tenant $_" } 1, 2 }

# Runs a query in a transaction of a tenant; gives its one value and the plans that auto_explain told of, of the table alone.
my $told;
sub watched {
  my ($session, $tenant, $query, @values) = @_;
  local $SIG{__WARN__} = sub { $told .= $_[0] };
  local $session->{PrintWarn} = 1;
  $session->do('BEGIN');
  $session->do("SET LOCAL rls_tenant.tenant_id = '$tenant'");
  $told = '';
  my $got = ref $query
    ? do { $query->execute(@values); $query->fetchall_arrayref->[0][0] }
    : $session->selectrow_array($query, {pg_direct => 1});
  $session->do('COMMIT');
  return $got;
}

# How the plans that were told of find the tenant.
sub asked { return $told =~ /fast_tenant_bigint/ ? 'asks' : $told =~ /tenant_id = '(\d)'::bigint/ ? "holds $1" : "neither: $told" }

for my $libraries ('auto_explain, rls_tenant', 'rls_tenant, auto_explain') {
  $admin->do("ALTER ROLE watched SET session_preload_libraries = $libraries");
  $admin->do($_) for map { "ALTER ROLE watched SET $_" } 'auto_explain.log_min_duration = 0', 'auto_explain.log_nested_statements = on',
    'auto_explain.log_analyze = on', 'client_min_messages = log', 'plan_cache_mode = auto';
  my $session = $server->connect('watched', user => 'watched');
  for my $table ('plain', 'parted') {
    my $all = "SELECT string_agg(body, ',' ORDER BY id) FROM $table";
    $session->do("PREPARE kept_$table AS $all");
    my %ways = (
      'the simple protocol' => [1, $all],
      'a parameter' => [1, $session->prepare("$all WHERE id > ?", {pg_server_prepare => 1}), 0],
      'a prepared statement' => [0, "EXECUTE kept_$table"],
      'PL/pgSQL' => [0, "SELECT plpgsql_$table()"],
      'dynamic SQL' => [0, "SELECT dynamic_$table()"],
      'an SQL function' => [0, "SELECT sql_$table()"],
    );
    for my $way (sort keys %ways) {
      my ($once, $query, @values) = @{$ways{$way}};
      for my $tenant (1, 2, 2, 3, 1) {
        is(watched($session, $tenant, $query, @values), own($table, $tenant), "$libraries: $table, $way: tenant $tenant reads its rows");
      }
      my $wanted = $once || $table eq 'parted' ? 'holds 1' : 'asks';
      is(asked(), $wanted, "by a plan that $wanted");
    }
  }
  $session->disconnect;
}
$admin->do("ALTER ROLE watched SET session_preload_libraries = 'rls_tenant'");

# What is kept is not planned for each tenant: pg_stat_statements counts. pgbench sends statements without parameters that are
# prepared by the protocol, as drivers do; each fails if it finds other rows than the tenant's. Now and then ALTER TABLE has them
# parsed and planned anew. One table at a time: what is dropped for one would be dropped for the other.
my $transactions = 200;
for my $table ('plain', 'parted') {
  $admin->do("ALTER TABLE $_ OWNER TO watched") for $table, $table eq 'parted' ? map { "parted_$_" } 1 .. 3 : ();    # who ALTERs it
  my $script = "$work/watchers.$table";
  open(my $file, '>', $script) or die "$script: $!\n";
  print $file <<"SCRIPT";
\\set tenant random(1, 3)
\\set number :number + 1
BEGIN;
SELECT rls_tenant.set_context(:tenant::bigint);
SELECT 1 / (count(*) = 2 AND min(tenant_id) = rls_tenant.current_tenant_bigint())::int AS counted FROM $table;
UPDATE $table SET body = body || '';
\\if :number % 20 = 0
ALTER TABLE $table ALTER id SET STATISTICS 100;
\\endif
COMMIT;
SCRIPT
  close($file);
  for my $mode ('prepared', 'extended', 'simple') {
    $admin->do('SELECT pg_stat_statements_reset()');
    my ($status, $output) = $server->run('pgbench', '-n', '-M', $mode, '-t', $transactions, '-D', 'number=0', '-f', $script, '-U', 'watched', 'watched');
    is($status, 0, "$table, $mode: each tenant reads its own rows") || diag($output);
    my $plans = value($admin, q{SELECT sum(plans) FROM pg_stat_statements WHERE query ~ 'AS counted' AND query !~ 'pg_stat'});
    my $altered = $transactions / 20;
    if ($mode ne 'prepared') { is($plans, $transactions, 'a plan each time') }
    elsif ($table eq 'plain') { cmp_ok($plans, '<=', 2 + 2 * $altered, "$plans plans for all tenants, with $altered ALTER TABLE") }
    else { cmp_ok($plans, '>', $transactions / 4, "$plans plans, one for each change of tenant") }
  }
}

# What a driver may leave unfinished: a statement that is bound, and parsed anew for that, but not run. Its plan is kept with the
# value, and another tenant, who runs it, must get a new one. The protocol's messages as they are, since drivers do not do that.
{
  socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
  connect($socket, pack_sockaddr_un("$server->{host}/.s.PGSQL.$server->{port}")) or die "connect: $!\n";
  my $read = sub { my $bytes = ''; while (length $bytes < $_[0]) { sysread($socket, $bytes, $_[0] - length $bytes, length $bytes) or die "the server is gone\n" } $bytes };
  # Sends messages; gives the errors until the server is ready.
  my $ask = sub {
    syswrite($socket, join '', @_);
    my @errors;
    while (1) {
      my ($type, $length) = unpack 'aN', $read->(5);
      my $content = $read->($length - 4);
      push @errors, $content =~ s/\0/ /gr if $type eq 'E';
      return join "\n", @errors if $type eq 'Z';
    }
  };
  my $message = sub { my ($type, $content) = @_; return $type . pack('N', 4 + length $content) . $content };
  my $query = sub { $message->('Q', "$_[0]\0") };
  my $bind = $message->('B', "\0u\0" . pack('nnn', 0, 0, 0));
  my ($execute, $sync) = ($message->('E', "\0" . pack('N', 0)), $message->('S', ''));
  my $run = sub { my ($tenant, @messages) = @_; return join '', map { $ask->($_) } $query->('BEGIN'), $query->("SET LOCAL rls_tenant.tenant_id = '$tenant'"), @messages, $query->('COMMIT') };
  is($ask->(substr $message->('x', pack('N', 196608) . "user\0watched\0database\0watched\0\0"), 1), '', 'a connection without a driver');
  is($ask->($message->('P', "u\0UPDATE plain SET body = body\0" . pack('n', 0)) . $sync), '', 'a statement is prepared');
  is($run->(1, $bind . $execute . $sync), '', 'and run');
  $admin->do('ALTER TABLE plain ALTER id SET STATISTICS 101');
  is($run->(1, $bind . $sync, $query->('SELECT count(*) FROM plain')), '', 'it is parsed anew and not run');
  is($run->(2, $bind . $execute . $sync), '', 'another tenant runs it');
}

# JIT, where there is one.
SKIP: {
  my $session = $server->connect('watched', user => 'watched');
  $session->do("SET $_") for 'jit = on', 'jit_above_cost = 0', 'jit_inline_above_cost = 0', 'jit_optimize_above_cost = 0';
  skip('this PostgreSQL has no JIT', 1) if !value($session, 'SELECT pg_jit_available()');
  $session->do('BEGIN');
  $session->do("SET LOCAL rls_tenant.tenant_id = '2'");
  like(rows($session, 'EXPLAIN (ANALYZE) SELECT body FROM plain'), qr/tenant_id = '2'.*\nJIT:/s, 'a compiled plan holds the value');
  $session->do('COMMIT');
  for my $table ('plain', 'parted') {
    my $all = "SELECT string_agg(body, ',' ORDER BY id) FROM $table";
    $session->do("PREPARE kept_$table AS $all");
    for my $tenant (1, 2, 3, 2) {
      is(watched($session, $tenant, $all), own($table, $tenant), "JIT: $table, tenant $tenant");
      is(watched($session, $tenant, "EXECUTE kept_$table"), own($table, $tenant), 'and prepared');
    }
  }
  $session->disconnect;
}

done_testing;
