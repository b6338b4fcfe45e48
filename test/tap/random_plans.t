#!/usr/bin/perl
# A random walk through what keeps plans: prepared statements, functions, cursors and procedures over plain,
# partitioned and foreign tables, while tenants, roles, settings and tables change. The rows of every tenant are known;
# now and then a fresh session is asked, too.
#
#   RLS_TENANT_SEED   repeats a walk; it is printed at the start
#   RLS_TENANT_STEPS  steps in all, 20000 unless told

use strict;
use warnings;
use Cluster;
use Test::More;

my $steps = $ENV{RLS_TENANT_STEPS} // 20000;
my $seed = $ENV{RLS_TENANT_SEED} // int(rand(2**31));
srand($seed);
diag("RLS_TENANT_SEED=$seed RLS_TENANT_STEPS=$steps");

my $database = 'random_plans';
my $server = Cluster->running;
$server->role('plans_app');
$server->role('plans_other', 'NOLOGIN');
$server->role('plans_all', 'NOLOGIN BYPASSRLS');
my $admin = $server->connect($server->database($database, 1));
$admin->do('SET client_min_messages = error');

sub pick { return $_[rand @_] }
sub chance { return rand() < $_[0] }

my @tenants = (1 .. 4);
my @ids = (1 .. 5);
my %account = map { $_ => sprintf '%08d-0000-4000-8000-000000000000', $_ } 1, 2;
my @users = qw(ann bob);
my @parted = qw(lst hsh rng acc usr);    # of bigint, int, smallint, uuid (the account) and text (with the user)

# What the walks differ in.
my @walks = (
  {name => 'preloaded', of_role => [q{session_preload_libraries = 'rls_tenant'}]},
  {name => 'lazy'},
  # What a transaction that sets nothing falls back to.
  {name => 'fallback', fallback => 3,
    of_database => [q{rls_tenant.tenant_id = '3'}, "rls_tenant.account_id = '$account{1}'", q{rls_tenant.user_id = 'ann'}]},
  # Nothing but the tenant of the login can be read.
  {name => 'pinned', fallback => 3, pin => 3, of_role => [q{rls_tenant.tenant_id = '3'}],
    of_database => ["rls_tenant.account_id = '$account{1}'", q{rls_tenant.user_id = 'ann'}]},
);

# The rows of a table: those of each tenant, and for acc and usr of one account or user only.
my %columns = (
  plain => 'tenant_id bigint', lst => 'tenant_id bigint', hsh => 'tenant_id int', rng => 'tenant_id smallint',
  acc => 'tenant_id bigint, account_id uuid', usr => 'tenant_id text, owner text',
);
my %key = (acc => 'tenant_id, account_id, id', usr => 'tenant_id, owner, id');
my %by = (lst => 'LIST (tenant_id)', hsh => 'HASH (tenant_id)', rng => 'RANGE (tenant_id)', acc => 'LIST (account_id)',
  usr => 'LIST (tenant_id)');

sub set_up {
  $admin->do($_) for
    'CREATE EXTENSION postgres_fdw',
    q{SELECT rls_tenant.exempt('public', 'other', 'a test')},
    'CREATE TABLE other (id int PRIMARY KEY)', 'INSERT INTO other VALUES (1), (2), (3), (4), (5)',
    'BEGIN',
    (map { "CREATE TABLE $_ ($columns{$_}, id int, body text, PRIMARY KEY (" . ($key{$_} // 'tenant_id, id') . '))'
        . ($by{$_} ? " PARTITION BY $by{$_}" : '') } 'plain', @parted),
    (map { my $t = $_; map { "CREATE TABLE ${t}_$_ PARTITION OF $t FOR VALUES IN ('$_')"
        . ($t eq 'lst' && $_ == 2 ? ' PARTITION BY HASH (id)' : '') } @tenants } 'lst', 'usr'),
    (map { "CREATE TABLE lst_2_$_ PARTITION OF lst_2 FOR VALUES WITH (MODULUS 2, REMAINDER $_)" } 0, 1),
    'CREATE TABLE lst_default PARTITION OF lst DEFAULT',
    (map { "CREATE TABLE hsh_$_ PARTITION OF hsh FOR VALUES WITH (MODULUS 3, REMAINDER $_)" } 0 .. 2),
    'CREATE TABLE rng_low PARTITION OF rng FOR VALUES FROM (MINVALUE) TO (3)',
    'CREATE TABLE rng_high PARTITION OF rng FOR VALUES FROM (3) TO (MAXVALUE)',
    (map { "CREATE TABLE acc_$_ PARTITION OF acc FOR VALUES IN ('$account{$_}')" } keys %account),
    'CREATE TABLE remote (LIKE plain INCLUDING ALL)',    # reached through foreign tables only
    (map { "SELECT rls_tenant.protect('$_')" } qw(plain remote lst hsh rng)),
    q{SELECT rls_tenant.protect('acc', access => 'account_id = rls_tenant.current_account_uuid()')},
    q{SELECT rls_tenant.protect('usr', access => 'owner = rls_tenant.current_user_text()')},
    'ALTER TABLE acc ALTER account_id SET DEFAULT rls_tenant.current_account_uuid()',
    'ALTER TABLE usr ALTER owner SET DEFAULT rls_tenant.current_user_text()',
    (map { "CREATE VIEW v_$_ WITH (security_invoker) AS SELECT id, body FROM $_ WHERE id > 0" } 'plain', @parted),
    (map { ("INSERT INTO $_ SELECT t, i, '$_ ' || t || ' ' || i FROM generate_series(1, 4) t, generate_series(1, 5) i") }
      qw(plain remote lst hsh rng)),
    (map { "INSERT INTO acc SELECT t, '$account{$_}', i, 'acc ' || t || ' ' || $_ || ' ' || i FROM generate_series(1, 4) t, generate_series(1, 5) i" }
      keys %account),
    (map { "INSERT INTO usr SELECT t, '$_', i, 'usr ' || t || ' $_ ' || i FROM generate_series(1, 4) t, generate_series(1, 5) i" } @users),
    'CREATE TABLE noted (tenant_id bigint, id serial PRIMARY KEY, v text)',
    q{SELECT rls_tenant.protect('noted')},
    'COMMIT',
    "CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$server->{host}', port '$server->{port}', dbname '$database')",
    q{CREATE USER MAPPING FOR PUBLIC SERVER loop OPTIONS (user 'postgres', password_required 'false')},
    q{CREATE FOREIGN TABLE far (tenant_id bigint, id int, body text) SERVER loop OPTIONS (table_name 'remote')},
    q{CREATE FOREIGN TABLE far_asked (tenant_id bigint, id int, body text) SERVER loop OPTIONS (table_name 'remote', use_remote_estimate 'true')};
  for my $t ('plain', @parted) {
    my $all = "SELECT string_agg(body, ',' ORDER BY body) FROM $t";
    $admin->do($_) for
      "CREATE FUNCTION sql_$t() RETURNS text LANGUAGE sql VOLATILE AS \$\$ $all \$\$",
      "CREATE FUNCTION inlined_$t() RETURNS SETOF text LANGUAGE sql STABLE AS \$\$ SELECT body FROM $t \$\$",
      "CREATE FUNCTION atomic_$t() RETURNS text LANGUAGE sql VOLATILE BEGIN ATOMIC $all; END",
      "CREATE FUNCTION plpgsql_$t() RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN RETURN ($all); END \$\$",
      "CREATE FUNCTION by_id_$t(n int) RETURNS text LANGUAGE plpgsql AS \$\$ DECLARE r text; BEGIN SELECT body INTO r FROM $t WHERE id = n; RETURN r; END \$\$",
      "CREATE FUNCTION loop_$t() RETURNS text LANGUAGE plpgsql AS \$\$
        DECLARE b text; a text[] := '{}'; BEGIN FOR b IN SELECT body FROM $t ORDER BY body LOOP a := a || b; END LOOP; RETURN array_to_string(a, ','); END \$\$",
      (map { "CREATE FUNCTION as_${_}_$t() RETURNS text LANGUAGE plpgsql SET rls_tenant.tenant_id = '$_' AS \$\$ BEGIN RETURN plpgsql_$t(); END \$\$" } @tenants),
      "CREATE FUNCTION merged_$t() RETURNS bigint LANGUAGE plpgsql AS \$\$
        DECLARE n bigint; BEGIN MERGE INTO $t USING other o ON $t.id = o.id WHEN MATCHED THEN UPDATE SET body = $t.body; GET DIAGNOSTICS n = ROW_COUNT; RETURN n; END \$\$",
      "CREATE DOMAIN is_$t AS text CHECK (VALUE IS NULL OR VALUE = sql_$t())";
  }
  $admin->do($_) for
    'ALTER TABLE noted ADD CHECK (v IS NULL OR v = sql_lst())', 'ALTER TABLE noted ALTER v SET DEFAULT sql_lst()',
    # What each of several transactions of one call sees.
    q{CREATE PROCEDURE in_turn(tenants text[], wanted text, INOUT report text) LANGUAGE plpgsql AS $$
      DECLARE t text; seen text;
      BEGIN
        report := '';
        FOREACH t IN ARRAY tenants LOOP
          PERFORM rls_tenant.set_context(t, '} . $account{1} . q{', 'ann');
          seen := CASE wanted WHEN 'lst' THEN sql_lst() WHEN 'hsh' THEN plpgsql_hsh() WHEN 'acc' THEN loop_acc() ELSE sql_usr() END;
          report := report || coalesce(seen, '-') || ';';
          IF t::int % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
        END LOOP;
      END $$},
    # A superuser's switches.
    q{CREATE FUNCTION switch(setting text, value text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT set_config('rls_tenant.' || setting, value, false) $$},
    'GRANT ALL ON ALL TABLES IN SCHEMA public TO plans_app, plans_other, plans_all',
    'GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plans_app, plans_other, plans_all',
    'GRANT plans_other, plans_all TO plans_app', 'GRANT CREATE ON SCHEMA public TO plans_app', 'ANALYZE';
}

# The session and what is known of it.
my ($walk, $db, @trace, @violations, $since);
my ($in_transaction, $tenant, $latched, $set, $touched, $unsure, @savepoints, %prepared, %handles, %cursors, $role, $null, $one, $detached, $parallel);
my ($account, $user) = (1, 'ann');

# The rows that a table has for the context, in order; undef: none.
sub bodies {
  my ($t, $n) = @_;
  my @rows = $role eq 'all' ? all_bodies($t) : bodies_of($t, now());
  @rows = grep { / $n$/ } @rows if defined $n;
  return sort @rows;
}

sub bodies_of {
  my ($t, $id) = @_;
  return () if !defined $id || $detached && $t eq 'lst' && $id == 3;
  my $more = $t eq 'acc' ? " $account" : $t eq 'usr' ? " $user" : '';
  return map { "$t $id$more $_" } @ids;
}

sub all_bodies {
  my ($t) = @_;
  my @more = $t eq 'acc' ? map { " $_" } sort keys %account : $t eq 'usr' ? map { " $_" } @users : '';
  return map { my $id = $_; map { my $more = $_; map { "$t $id$more $_" } @ids } @more } grep { !($detached && $t eq 'lst' && $_ == 3) } @tenants;
}

sub now { return $tenant // $walk->{fallback} }

# A tenant to set: the pinned one mostly, where there is one.
sub some_tenant { return $walk->{pin} && chance(0.7) ? $walk->{pin} : pick(@tenants) }

# Whether the login may not read a tenant.
sub elsewhere { return defined $walk->{pin} && $_[0] ne $walk->{pin} }

sub joined { return @_ ? join(',', sort @_) : undef }

# The statements: text, parameters (undef: none), rows, and whether they write. T is the table.
my $agg = q{string_agg(body, ',' ORDER BY body)};
my @templates = (
  {text => "SELECT $agg FROM T"},
  {text => "SELECT $agg FROM T WHERE id = ?", one => 1},
  {text => "SELECT $agg FROM T WHERE id = ? AND body LIKE '%'", one => 1},
  {text => "SELECT $agg FROM T JOIN other USING (id)"},
  {text => "SELECT $agg FROM other JOIN LATERAL (SELECT body FROM T WHERE T.id = other.id) x ON true"},
  {text => "WITH c AS MATERIALIZED (SELECT * FROM T) SELECT $agg FROM c, (SELECT 1) x"},
  {text => "SELECT (SELECT $agg FROM T)"},
  {text => "SELECT $agg FROM (SELECT body FROM T UNION ALL SELECT body FROM T WHERE false) x"},
  {text => "SELECT $agg FROM v_T"},
  {text => "SELECT string_agg(b, ',' ORDER BY b) FROM inlined_T() b"},
  {text => 'SELECT sql_T()'}, {text => 'SELECT plpgsql_T()'}, {text => 'SELECT loop_T()'}, {text => 'SELECT atomic_T()'},
  {text => 'SELECT by_id_T(?)', one => 1, single => 1},
  {text => 'SELECT max(sql_T()) FROM other'},
  {text => "WITH u AS (UPDATE T SET body = body RETURNING body) SELECT $agg FROM u", writes => 1},
  {text => "WITH u AS (UPDATE T SET body = body WHERE id = ? RETURNING body) SELECT $agg FROM u", one => 1, writes => 1},
  {text => "WITH i AS (INSERT INTO T (id, body) SELECT id, '' FROM other ON CONFLICT (K) DO UPDATE SET body = T.body RETURNING body) SELECT $agg FROM i",
    writes => 1, conflict => 1},
  {text => 'MERGE INTO T USING other o ON T.id = o.id WHEN MATCHED THEN UPDATE SET body = T.body WHEN NOT MATCHED THEN DO NOTHING',
    writes => 1, count => 1},
  {text => 'SELECT merged_T()', writes => 1, count => 1},
  {text => "SELECT 'WANTED'::text::is_T", checks => 1},
);
my @statements;
for my $t ('plain', @parted) {
  my $key = $key{$t} // 'tenant_id, id';
  push @statements, map { {%$_, table => $t, text => $_->{text} =~ s/\bT\b|(?<=_)T\b/$t/gr =~ s/\bK\b/$key/r} } @templates;
}
push @statements, map { my $far = $_; map { {%$_, table => 'remote', far => 1, text => $_->{text} =~ s/\bT\b/$far/gr} }
  {text => "SELECT $agg FROM T WHERE tenant_id = rls_tenant.current_tenant_bigint()"},
  {text => "SELECT $agg FROM T WHERE tenant_id::text = rls_tenant.current_tenant_text() AND id = ?", one => 1},
  {text => "SELECT $agg FROM T JOIN other USING (id) WHERE tenant_id = rls_tenant.current_tenant_bigint()"},
  {text => "WITH u AS (UPDATE T SET body = body WHERE tenant_id = rls_tenant.current_tenant_bigint() RETURNING body) SELECT $agg FROM u", writes => 1},
} qw(far far_asked);

sub violation {
  push @violations, join "\n", "$walk->{name}, as $role, one tenant " . ($one ? 'on' : 'off') . ": $_[0]", map { "  $_" } @trace;
}

# Runs a statement; gives its rows (or how many it touched), or undef and the SQLSTATE.
sub run {
  my ($sql, @values) = @_;
  push @trace, @values ? "$sql -- @values" : $sql;
  my $handle;
  if (ref $sql) { $handle = $sql; $trace[-1] = $handle->{Statement} . " -- server-side, @values" }
  else { $handle = $db->prepare($sql, @values ? {pg_server_prepare => 1} : {pg_direct => 1}) }
  my $done = $handle && eval { $handle->execute(@values) };
  my $result = $done && ($handle->{NUM_OF_FIELDS} ? eval { $handle->fetchall_arrayref } : $handle->rows);
  return $result if defined $result && !$handle->err;
  my ($state, $text) = ($db->state, $db->errstr // '');
  $trace[-1] .= " -- $state " . $text =~ s/\n.*//sr;
  die "the server is gone: $text\n" if $state =~ /^(08|57P|S8)/;
  violation("refused: $text") if $text =~ /a plan was kept/;
  return (undef, $state);
}

sub end_model {
  ($in_transaction, $tenant, $latched, $account, $user) = (0, undef, undef, 1, 'ann');
  ($set, $touched, $unsure) = ();
  (@savepoints, %cursors) = ();
}

# What the transaction is bound to: what it has read, or what it has set and not rolled back ($touched: the level of
# savepoints at which the setting was first changed); undef: nothing.
sub bound { return $latched // $set }

# What must come of a read: '' or an SQLSTATE. 'unset' is latched where that gives NULL.
sub model_read {
  my $now = now();
  if (!defined $now) {
    return '25001' if $one && (bound() // 'unset') ne 'unset';
    $unsure = 1;    # what else the statement has read may have bound the transaction to no tenant
    return '55000' unless $null;
    $latched = 'unset' if $in_transaction;
    return '';
  }
  return '25001' if $one && (bound() // $now) ne $now;
  return '42501' if elsewhere($now);
  $latched = $now if $in_transaction;
  return '';
}

sub recover {
  return end_model() unless $in_transaction;
  if (@savepoints && chance(0.6)) { back_to(int rand @savepoints) } else { run('ROLLBACK'); end_model() }
}

sub back_to {
  my ($index) = @_;
  run("ROLLBACK TO s$index");
  $tenant = $savepoints[$index];
  ($set, $touched) = () if defined $touched && $touched > $index;
  $#savepoints = $index;
  delete @cursors{grep { $cursors{$_}{level} >= $index } keys %cursors};
}

# Runs a statement that reads and compares; $wanted: one text, or undef.
sub expect {
  my ($what, $wanted, $sql, @values) = @_;
  my $bypass = $role eq 'all' && !$what->{far};
  my $state_wanted = $bypass ? '' : model_read();
  my ($result, $state) = run($sql, @values);
  if ($state) {
    return recover() if $bypass && $parallel && $state =~ /^(?:25001|42501)$/;    # as in set_tenant
    violation("$state instead of " . ($state_wanted || 'success')) if $state ne $state_wanted;
    return recover();
  }
  my $got = ref $result ? $result->[0][0] : $result;
  $got = $wanted if $what->{count} && $got eq '-1';    # the driver cannot tell
  if ($state_wanted eq '55000' && !defined $got) { return end_model() unless $in_transaction; return }
  return violation("success instead of $state_wanted: " . ($got // 'NULL')) if $state_wanted;
  violation('got ' . ($got // 'NULL') . "\n  for " . ($wanted // 'NULL')) if ($got // '') ne ($wanted // '');
  end_model() unless $in_transaction;
}

# One of the statements, by a way that may keep its plan.
sub execute {
  my $number = int rand @statements;
  my $statement = $statements[$number];
  my $t = $statement->{table};
  return if $role eq 'all' && ($statement->{far} || $statement->{writes} || $statement->{single});
  return if ($statement->{writes} || $statement->{checks}) && (!defined now() || $detached && $t eq 'lst');
  my $n = pick(@ids);
  my @values = $statement->{one} ? $n : ();
  my $bypass = $role eq 'all' && !$statement->{far};
  my @rows = bodies($t, $statement->{one} ? $n : undef);
  my $wanted = $statement->{count} ? scalar @rows : joined(@rows);
  my $text = $statement->{text};
  if ($statement->{checks}) {
    return if $bypass;
    $text =~ s/'WANTED'/\$1/;
    @values = $wanted;
    $statement = {%$statement, values => 1};
  }
  if (chance(0.2)) {    # no plan that is kept
    my $literal = $text =~ s/\?|\$1/$db->quote($values[0])/er;
    return expect($statement, $wanted, $literal);
  }
  if (chance(0.3)) {
    my $handle = $handles{$number} //= $db->prepare($text =~ s/\$1/?/r, {pg_server_prepare => 1, pg_switch_prepared => 1});
    return expect($statement, $wanted, $handle, @values);
  }
  my $name = "p$number";
  if (!$prepared{$number}) {
    my $types = @values ? ($statement->{checks} ? '(text)' : '(int)') : '';
    my (undef, $state) = run("PREPARE $name $types AS " . $text =~ s/\?/\$1/r);
    if ($state) { violation("PREPARE: $state"); return recover() }
    $prepared{$number} = 1;
  }
  my $arguments = @values ? '(' . $db->quote($values[0]) . ')' : '';
  return expect($statement, $wanted, "EXECUTE $name$arguments");
}

sub set_tenant {
  my ($id) = @_;
  my $sql = pick("SET LOCAL rls_tenant.tenant_id = '$id'",
    "SELECT set_config('rls_tenant.tenant_id', '$id', " . pick('true', 'false') . ')',
    "SELECT rls_tenant.set_context('$id', '$account{$account}', '$user')");
  my $wanted = $one && (bound() // $id) ne $id ? '25001' : elsewhere($id) && $sql =~ /set_context/ ? '42501' : '';
  my (undef, $state) = run($sql);
  return recover() if $unsure && ($state // '') eq '25001';
  return recover() if $role eq 'all' && ($state // '') eq '25001';    # a parallel plan reads, whatever it is of
  violation(($state // 'success') . ' of a set instead of ' . ($wanted || 'success')) if ($state // '') ne $wanted;
  return recover() if $state;
  $tenant = $id;
  $set //= $id if $one;
  $touched //= @savepoints;
}

my %steps = (
  execute => [100, \&execute],
  begin => [30, sub {
    return if $in_transaction;
    run(pick('BEGIN', 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ'));
    end_model();
    $in_transaction = 1;
    ($account, $user) = (pick(keys %account), pick(@users));
    run("SET LOCAL rls_tenant.account_id = '$account{$account}'");
    run("SET LOCAL rls_tenant.user_id = '$user'");
    set_tenant(some_tenant()) unless chance(0.1);
  }],
  commit => [12, sub { return unless $in_transaction; run('COMMIT'); end_model() }],
  rollback => [6, sub { return unless $in_transaction; run('ROLLBACK'); end_model() }],
  again => [8, sub {    # the same tenant in two transactions
    my $id = $tenant // return;
    return unless $in_transaction;
    my ($a, $u) = ($account, $user);
    run(pick('COMMIT', 'ROLLBACK')); end_model(); run('BEGIN');
    ($in_transaction, $account, $user) = (1, $a, $u);
    run("SET LOCAL rls_tenant.account_id = '$account{$account}'"); run("SET LOCAL rls_tenant.user_id = '$user'");
    set_tenant($id);
  }],
  set => [4, sub { set_tenant(some_tenant()) if $in_transaction }],
  reset => [1, sub {
    return unless $in_transaction;
    run('RESET rls_tenant.tenant_id');
    $tenant = undef;
    $touched //= @savepoints;
  }],
  savepoint => [6, sub {
    return if !$in_transaction || @savepoints > 3;
    run('SAVEPOINT s' . @savepoints);
    push @savepoints, $tenant;
  }],
  rollback_to => [4, sub { back_to(int rand @savepoints) if $in_transaction && @savepoints }],
  fail => [2, sub {
    return if !$in_transaction || $role eq 'all' || !defined now();
    my $wanted = model_read() || '22012';
    my (undef, $state) = run('SELECT 1 / (id - id) FROM ' . pick('plain', 'hsh', 'rng'));
    violation(($state // 'success') . " instead of $wanted") if ($state // '') ne $wanted;
    recover();
  }],
  deallocate => [4, sub {
    if (chance(0.3)) { %handles = (); return }
    my $number = pick(sort keys %prepared) // return;
    run("DEALLOCATE p$number");
    delete $prepared{$number};
  }],
  # A function that has a tenant of its own.
  as => [5, sub {
    my ($t, $id) = (pick('plain', @parted), some_tenant());
    return if $role eq 'all' || !$in_transaction;
    my $wanted_state = $one && (bound() // $id) ne $id ? '25001' : elsewhere($id) ? '42501' : '';
    my ($result, $state) = run("SELECT as_${id}_$t()");
    violation(($state // 'success') . ' instead of ' . ($wanted_state || 'success')) if ($state // '') ne $wanted_state;
    return recover() if $state;
    $latched = $id;
    my $wanted = joined(bodies_of($t, $id));
    violation("as $id got " . ($result->[0][0] // 'NULL')) if ($result->[0][0] // '') ne ($wanted // '');
  }],
  in_turn => [3, sub {
    return if $in_transaction || $role eq 'all';
    my @turn = map { some_tenant() } 1 .. 4;
    my $t = pick(qw(lst hsh acc usr));
    my $wanted = join '', map { (joined(bodies_of($t, $_)) // '-') . ';' } @turn;
    my ($result, $state) = run(sprintf(q{CALL in_turn('{%s}', '%s', NULL)}, join(',', @turn), $t));
    my $state_wanted = (grep { elsewhere($_) } @turn) ? '42501' : '';
    return violation(($state // 'success') . ' of CALL instead of ' . ($state_wanted || 'success')) if ($state // '') ne $state_wanted;
    return if $state;
    violation("a procedure got $result->[0][0]\n  for $wanted") if ($result->[0][0] =~ s/^;$//r) ne $wanted;
  }],
  note => [4, sub {    # a default and a CHECK that call functions
    return if !$in_transaction || !defined now() || $role eq 'all';
    expect({}, joined(bodies('lst')), 'INSERT INTO noted DEFAULT VALUES RETURNING v');
  }],
  declare => [6, sub {
    return if !$in_transaction || keys %cursors > 3 || !defined now() || $role eq 'all';
    my $wanted = model_read();
    my ($t, $name) = (pick('plain', @parted), 'c' . int rand 1e9);
    my (undef, $state) = run("DECLARE $name CURSOR FOR SELECT body FROM $t ORDER BY body");
    violation(($state // 'success') . " of DECLARE instead of $wanted") if ($state // '') ne $wanted;
    return recover() if $state;
    $cursors{$name} = {tenant => now(), rows => [bodies($t)], level => $#savepoints};
  }],
  fetch => [12, sub {
    my $name = pick(sort keys %cursors) // return;
    my $cursor = $cursors{$name};
    my $wanted = ($cursor->{tenant} // '') eq (now() // '') ? '' : defined now() && elsewhere(now()) ? '42501' : '25001';
    my ($result, $state) = run("FETCH 2 FROM $name");
    violation(($state // 'success') . " of FETCH instead of $wanted") if ($state // '') ne $wanted;
    if ($state) { delete $cursors{$name}; return recover() }
    my @want = splice @{$cursor->{rows}}, 0, 2;
    my $got = join ',', map { $_->[0] } @$result;
    violation("a cursor got $got\n  for @want") if $got ne join ',', @want;
  }],
  role => [3, sub {
    return if $in_transaction;
    $role = pick('app', 'app', 'other', 'all');
    run($role eq 'app' ? 'RESET ROLE' : "SET ROLE plans_$role");
  }],
  missing => [2, sub {
    return if $in_transaction;
    $null = chance(0.4);
    run("SELECT switch('missing_context', '" . ($null ? 'null' : 'error') . "')");
  }],
  bound => [2, sub {
    return if $in_transaction;
    $one = chance(0.7);
    run("SELECT switch('one_tenant_per_transaction', '" . ($one ? 'on' : 'off') . "')");
  }],
  constants => [2, sub { return if $in_transaction; run('SET rls_tenant.plan_constants = ' . pick('auto', 'auto', 'off')) }],
  planning => [5, sub {
    return if $in_transaction;
    run('SET plan_cache_mode = ' . pick(qw(auto auto force_generic_plan force_custom_plan)));
    run("SET $_ = " . pick('on', 'on', 'off')) for
      qw(enable_seqscan enable_bitmapscan enable_nestloop enable_hashjoin enable_partition_pruning enable_partitionwise_join jit);
    run('SET constraint_exclusion = ' . pick('partition', 'on'));
    run('SET jit_above_cost = ' . (chance(0.02) ? 0 : 100000));
    my $cost = chance(0.1) ? 0 : 1000;
    $parallel ||= !$cost;    # until the session ends: its plans may be kept
    run("SET $_ = $cost") for qw(parallel_setup_cost parallel_tuple_cost min_parallel_table_scan_size);
  }],
  discard => [1, sub {
    return if $in_transaction;
    my $what = pick('PLANS', 'PLANS', 'TEMP', 'SEQUENCES');
    run("DISCARD $what");
  }],
  # Another session's DDL; it would wait for a transaction that has read.
  ddl => [5, sub {
    return if $in_transaction;
    my $t = pick('plain', @parted);
    my $name = 'x' . int rand 1e9;
    my $sql = pick("ANALYZE $t", "CREATE INDEX $name ON $t (body); DROP INDEX $name",
      "ALTER TABLE $t ADD COLUMN $name int; ALTER TABLE $t DROP COLUMN $name",
      "ALTER TABLE $t ALTER id SET STATISTICS 50",
      "CREATE OR REPLACE FUNCTION sql_$t() RETURNS text LANGUAGE sql VOLATILE AS \$\$ SELECT $agg FROM $t \$\$",
      "CREATE TABLE usr_$name PARTITION OF usr FOR VALUES IN ('$name'); DROP TABLE usr_$name", 'detach', 'detach');
    if ($sql eq 'detach') {
      $sql = $detached ? 'ALTER TABLE lst ATTACH PARTITION lst_3 FOR VALUES IN (3)' : 'ALTER TABLE lst DETACH PARTITION lst_3';
      $detached = !$detached;
    }
    push @trace, "-- elsewhere: $sql";
    $admin->do($sql);
  }],
  # Whether the known rows are those that a fresh session gets.
  fresh => [1, sub {
    return if !defined $tenant || elsewhere($tenant);
    my $t = pick('plain', @parted);
    my $fresh = $server->connect($database, user => 'plans_app');
    $fresh->do('BEGIN');
    $fresh->do("SELECT rls_tenant.set_context('$tenant', '$account{$account}', '$user')");
    my $got = value($fresh, "SELECT $agg FROM $t") // '';
    violation("a fresh session gets $got of $t") if $got ne (joined(bodies_of($t, $tenant)) // '');
    $fresh->disconnect;
  }],
  reconnect => [1, sub { return unless chance(0.3); $db->disconnect; start_session() }],
);

sub start_session {
  %handles = ();
  $db = $server->connect($database, user => 'plans_app', RaiseError => 0);
  $db->do('SET client_min_messages = error');
  end_model();
  %prepared = ();
  ($role, $null, $one, $parallel) = ('app', 0, 1, 0);
  @trace = ('-- a new session');
}

set_up();
my @pool = map { ($_) x $steps{$_}[0] } sort keys %steps;
for my $next (@walks) {
  $walk = $next;
  @violations = ();
  $admin->do($_) for
    'ALTER ROLE plans_app RESET ALL', "ALTER DATABASE $database RESET ALL",
    (map { "ALTER ROLE plans_app SET $_" } @{$walk->{of_role}}), (map { "ALTER DATABASE $database SET $_" } @{$walk->{of_database}});
  my $done = eval {
    start_session();
    for (1 .. $steps / @walks) {
      splice @trace, 0, @trace - 40 if @trace > 40;
      my $before = @violations;
      $steps{pick(@pool)}[1]->();
      if (@violations > $before) { $db->disconnect; start_session() }
      last if @violations >= 5;
    }
    1;
  };
  my $died = $done ? '' : $@;
  ok($done && !@violations, "$walk->{name}: every result is that of the context");
  diag join "\n", $died, 'the last statements:', @trace if $died;
  diag $_ for @violations;
  %handles = ();
  $db->disconnect;
}
$admin->disconnect;
done_testing();
