#!/usr/bin/perl
# A random walk through what a session can do to its context, step by step beside a model that knows which tenant's
# rows may appear, which settings the transaction has read, and what must be refused.
#
#   RLS_TENANT_SEED       repeats a walk; it is printed at the start
#   RLS_TENANT_STEPS      steps in all, 5000 unless told
#   RLS_TENANT_LEAVE_OUT  names of steps that are not taken (comma-separated), to narrow a failure down
#
# The server is that of PGHOST, PGPORT and PGUSER (a superuser). The test makes a database and roles, and drops them.
use strict;
use warnings;
use ContextDatabase;
use ContextModel;
use Test::More;

my $seed     = $ENV{RLS_TENANT_SEED}  // (time ^ $$ << 8) & 0x7fffffff;
my $steps    = $ENV{RLS_TENANT_STEPS} // 5000;
my %left_out = map { $_ => 1 } split /,/, $ENV{RLS_TENANT_LEAVE_OUT} // '';
srand $seed;
diag "RLS_TENANT_SEED=$seed RLS_TENANT_STEPS=$steps";

# What the walks differ in: the role's mode, its pinned tenant, and when the library loads.
my @walks = (
  {name => 'bound',         role => "rls_tenant_bound_$$",  one => 1},
  {name => 'bound, lazily', role => "rls_tenant_lazy_$$",   one => 1, lazy => 1},
  {name => 'bound, pinned', role => "rls_tenant_pinned_$$", one => 1, pin  => 'C'},
  {name => 'free',          role => "rls_tenant_free_$$",   one => 0},
  {name => 'free, pinned',  role => "rls_tenant_fpin_$$",   one => 0, pin  => 'C', lazy => 1},
);

# The session and its model.
my ($walk, $db, @trace, @violations);
my ($model, $in_transaction, %cursors, %prepared, %held, $parallel, $names);

sub violation {
  my ($what) = @_;
  push @violations, join "\n", "$walk->{name}: $what", map { "  $_" } @trace;
  return;
}

# Runs a statement; gives its rows, or undef and the SQLSTATE.
sub run {
  my ($sql, @values) = @_;
  push @trace, @values ? "$sql -- " . join ', ', map { $_ // 'NULL' } @values : $sql;
  my $statement = $db->prepare($sql, @values ? {pg_server_prepare => 1} : {pg_direct => 1});
  my $state;
  if (!$statement || !defined $statement->execute(@values)) {
    $state = $db->state;
  } else {
    my $result = $statement->{NUM_OF_FIELDS} ? $statement->fetchall_arrayref : [];
    return ($result) unless $statement->err;
    $state = $db->state;
  }
  $trace[-1] .= " -- $state " . ($db->errstr // '') =~ s/\n.*//sr;
  die 'the server is gone: ' . ($db->errstr // '') . "\n" unless $db->ping > 0 || $state !~ /^(08|57P|S8)/;
  return (undef, $state);
}

# The transaction is at its end, or begins.
sub begin_model {
  $model->begin;
  %cursors = ();
  return;
}

# What follows an error: the transaction goes back to a savepoint or ends.
sub recover {
  return begin_model() unless $in_transaction;
  if ($model->depth && rand() < 0.7) {
    back_to(int rand $model->depth);
  } else {
    run('ROLLBACK');
    $in_transaction = 0;
    begin_model();
  }
  return;
}

sub back_to {
  my ($index) = @_;
  my (undef, $state) = run("ROLLBACK TO s$index");
  violation("ROLLBACK TO failed: $state") if $state;
  $model->back_to($index);
  delete @cursors{grep { $cursors{$_}{level} >= $index } keys %cursors};
  return;
}

# Where workers may run, more may be refused: they have no say in the context of their leader, nor can it see what
# their functions read.
sub cautious {
  my ($state) = @_;
  return $parallel && $state =~ /^(2500[01]|55000|42501)$/;
}

# Compares the outcome of a statement with what must come: an SQLSTATE, or rows that a check accepts.
sub expect {
  my ($wanted, $check, $sql, @values) = @_;
  my ($result, $state) = run($sql, @values);
  if ($state) {
    return recover_by_rollback() if $state ne $wanted && cautious($state);
    violation("$state instead of " . ($wanted || 'success')) unless $state eq $wanted;
    recover();
    return;
  }
  if ($wanted) {
    violation("success instead of $wanted" . show($result));
    recover_by_rollback();
    return;
  }
  my $fault = $check ? $check->($result) : '';
  violation($fault . show($result)) if $fault;
  begin_model() unless $in_transaction;
  return $result;
}

# Statements that pass, whatever the context; false: one was refused, and the transaction is gone.
sub must {
  for my $sql (@_) {
    my (undef, $state) = run($sql);
    next unless $state;
    violation("$state instead of success") unless cautious($state);
    recover_by_rollback();
    return 0;
  }
  return 1;
}

# The model no longer knows where the session is: begin afresh.
sub recover_by_rollback {
  run('ROLLBACK') if $in_transaction;
  $in_transaction = 0;
  begin_model();
  return;
}

# The steps: name => [weight, code]. Each runs its statements and keeps the model abreast.
my %steps;
%steps = (
  begin => [40, sub {
    return if $in_transaction;
    run('BEGIN');
    $in_transaction = 1;
    begin_model();
    return if rand() < 0.3;
    my $id = pick(@tenants);
    expect($model->set_context($id, undef), undef, "SELECT rls_tenant.set_context('$id')");
  }],
  commit => [4, sub {
    return unless $in_transaction;
    my $chain = rand() < 0.2;
    my (undef, $state) = run($chain ? 'COMMIT AND CHAIN' : 'COMMIT');
    my $holds = grep { $_->{hold} } values %cursors;    # their functions run now
    violation("COMMIT failed: $state") if $state && !($holds && $state =~ /^(42P11|25001|55000|42501)$/);
    %held = map { $_ => 1 } grep { $cursors{$_}{hold} } keys %cursors unless $state;
    begin_model();
    $in_transaction = $chain && !$state;
  }],
  rollback => [2, sub {
    return unless $in_transaction;
    recover_by_rollback();
  }],
  prepare_transaction => [1, sub {
    return if !$in_transaction || grep { $_->{hold} } values %cursors;
    my $name = 'x' . $names++;
    my (undef, $state) = run("PREPARE TRANSACTION '$name'");
    violation("PREPARE TRANSACTION failed: $state") if $state && $state ne '55000';
    $in_transaction = 0;
    begin_model();
    run(pick('COMMIT', 'ROLLBACK') . " PREPARED '$name'") unless $state;
  }],
  savepoint => [4, sub {
    return if !$in_transaction || $model->depth > 4;
    must('SAVEPOINT s' . $model->depth) or return;
    $model->savepoint;
  }],
  rollback_to => [2, sub {
    return if !$in_transaction || !$model->depth;
    back_to(int rand $model->depth);
  }],
  release => [1, sub {
    return if !$in_transaction || !$model->depth;
    my $index = int rand $model->depth;
    must("RELEASE s$index") or return;
    $model->release($index);
    for (values %cursors) { $_->{level} = $index - 1 if $_->{level} > $index - 1 }
  }],

  # Setting. Outside a transaction block it ends with its own statement.
  set_local => [8, sub {
    my $id = pick(@tenants, @tenants, '');
    expect($model->set('tenant', $id), undef, "SET LOCAL rls_tenant.tenant_id = '$id'");
  }],
  set_config => [6, sub {
    my $id = pick(@tenants, '');
    expect($model->set('tenant', $id), undef, "SELECT set_config('rls_tenant.tenant_id', '$id', " . pick('true', 'false') . ')');
  }],
  set_context => [6, sub {
    my ($id, $account) = (pick(@tenants), pick('x', 'y', undef));
    my $wanted = $model->set_context($id, $account);
    if (rand() < 0.5) {
      expect($wanted, undef, 'SELECT rls_tenant.set_context(?, ?)', $id, $account);
    } else {
      expect($wanted, undef, "SELECT rls_tenant.set_context('$id'" . (defined $account ? ", '$account')" : ')'));
    }
  }],
  set_account => [3, sub {
    my $id = pick('x', 'y', '');
    expect($model->set('account', $id), undef, "SET LOCAL rls_tenant.account_id = '$id'");
  }],
  set_session => [1, sub {
    my $id = pick(@tenants);
    my (undef, $state) = run("SET rls_tenant.tenant_id = '$id'");
    return recover() if ($state // '') eq '0A000';
    violation('a session-level SET ' . ($state ? "gives $state" : 'passed')) if $state || $model->{loaded};
    $model->set('tenant', $id) if $in_transaction;
  }],
  # What no check hook sees: the next read refuses.
  reset => [3, sub {
    my $sql = pick('RESET rls_tenant.tenant_id', 'SET LOCAL rls_tenant.tenant_id TO DEFAULT',
      'SET rls_tenant.tenant_id TO DEFAULT');
    my (undef, $state) = run($sql);
    violation("$state instead of success") if $state;
    $model->put('tenant', undef);
    begin_model() unless $in_transaction;
  }],
  # A value for the session, hidden by its default to the end of the transaction: it must not come back afterwards.
  hide => [4, sub {
    return unless $in_transaction;
    my $id = pick(@tenants);
    expect($model->set('tenant', $id), undef, "SELECT set_config('rls_tenant.tenant_id', '$id', false)") or return;
    $steps{pick(qw(reset clear_context))}[1]->();
    $steps{pick(qw(commit prepare_transaction))}[1]->();
    $steps{read}[1]->();
  }],
  reset_all => [1, sub {
    run('RESET ALL');
    $model->reset_all;
    begin_model() unless $in_transaction;
  }],
  clear_context => [2, sub {
    expect($model->clear_context, undef, 'SELECT rls_tenant.clear_context()');
  }],
  show => [3, sub {
    $model->load;
    my $tenant = $model->now('tenant');
    expect('', sub { return ($_[0][0][0] // '') eq $tenant ? '' : "current_context() does not say '$tenant'" },
      'SELECT tenant_id FROM rls_tenant.current_context()');
  }],

  # Reading
  read => [10, sub {
    my $source = pick('t', 't', 'v', 'static_rows() x(tenant_id)', 'dynamic_rows() x(tenant_id)', 'loop_rows() x(tenant_id)',
      'inlined_rows() x(tenant_id)', 'lazy_rows() x(tenant_id)', '(SELECT * FROM t OFFSET 0) x',
      'generate_series(1, 1) g, LATERAL (SELECT tenant_id FROM t) x');
    expect($model->read_tenant, all_rows_of($model->now('tenant')), "SELECT tenant_id FROM $source");
  }],
  read_prepared => [8, sub {
    my $name = pick(qw(whole by_key joined));
    my %text = (
      whole  => 'PREPARE whole AS SELECT tenant_id FROM t ORDER BY k',
      by_key => 'PREPARE by_key (int) AS SELECT tenant_id FROM t WHERE k > $1',
      joined => 'PREPARE joined AS SELECT a.tenant_id FROM t a JOIN t b USING (id)',
    );
    if (!$prepared{$name}) { must($text{$name}) or return }
    $prepared{$name} = 1;
    expect($model->read_tenant, all_rows_of($model->now('tenant')), "EXECUTE $name" . ($name eq 'by_key' ? '(0)' : ''));
  }],
  read_bound => [3, sub {
    expect($model->read_tenant, all_rows_of($model->now('tenant')), 'SELECT tenant_id FROM t WHERE k > ?', 0);
  }],
  copy => [2, sub {
    my ($wanted, $tenant) = ($model->read_tenant, $model->now('tenant'));
    my (undef, $state) = run('COPY (SELECT tenant_id FROM t) TO STDOUT');
    my @lines;
    if (!$state) {
      my $line;
      while ($db->pg_getcopydata($line) >= 0) { chomp $line; push @lines, $line }
      $state = $db->state if $db->err;
    }
    $state = '' unless $state && $state ne '00000';
    return recover_by_rollback() if $state ne $wanted && cautious($state);
    violation("COPY: '$state' instead of '$wanted'") if $state ne $wanted;
    violation("COPY gave @lines instead of rows of $tenant") if !$state && (@lines != $rows || grep { $_ ne $tenant } @lines);
    if ($state) { recover() } elsif (!$in_transaction) { begin_model() }
  }],
  read_account => [3, sub {
    my ($tenant, $account) = ($model->now('tenant'), $model->now('account'));
    my $wanted = $model->read_both;
    my ($result, $state) = run('SELECT tenant_id, account_id FROM own');
    if ($state) {
      violation("$state instead of " . ($wanted || 'success')) unless $wanted;
      return recover_by_rollback();    # which of the two was read before the error is the planner's affair
    }
    violation("success instead of $wanted") if $wanted;
    violation("not the 2 rows of $tenant $account" . show($result))
      if @$result != 2 || grep { $_->[0] ne $tenant || $_->[1] ne $account } @$result;
    begin_model() unless $in_transaction;
  }],
  seen => [4, sub {
    expect($model->read_tenant, text_of($model->now('tenant')), pick('SELECT seen()', 'SELECT seen() FROM pg_class LIMIT 1'));
  }],
  # A function's SET clause: another tenant for one call, where that is allowed.
  seen_as => [4, sub {
    my $id = pick(@tenants);
    expect($model->read_as($id), text_of($id), "SELECT seen_as_$id()");
  }],
  seen_as_within => [2, sub {
    my $id     = pick(@tenants);
    my $wanted = $model->read_tenant;
    my $tenant = $model->now('tenant');
    $wanted ||= '25001' if $id ne $tenant;
    expect($wanted, all_rows_of($tenant), "SELECT tenant_id, seen_as_$id() FROM t");
  }],
  # A statement that switches while it reads.
  switch_within => [4, sub {
    my ($id, $tenant) = (pick(@tenants), $model->now('tenant'));
    expect($model->switch_within($id), all_rows_of($tenant), pick(
      "SELECT tenant_id, switch('$id') FROM t",
      "SELECT tenant_id FROM t WHERE switch('$id') IS NOT NULL",
      "SELECT tenant_id FROM t, LATERAL (SELECT switch('$id' || repeat(t.tenant_id, 0))) x",
      "UPDATE t SET n = n RETURNING tenant_id, switch('$id')",
      "WITH x AS MATERIALIZED (SELECT tenant_id, switch('$id') FROM t) SELECT * FROM x",
    ));
  }],
  switch_in_finish => [2, sub {    # both updates run after the main query, the last one first
    my $id = pick(@tenants);
    expect($model->switch_within($id), undef,
      "WITH x AS (UPDATE t SET n = n + 1), y AS (UPDATE t SET k = k RETURNING switch('$id')) SELECT 1");
  }],
  one_time_filter => [3, sub {
    my $id = pick(@tenants);
    if (!$prepared{filter}) {
      must(q{PREPARE filter (text) AS SELECT tenant_id FROM t
        WHERE (SELECT set_config('rls_tenant.tenant_id', $1, true)) IS NOT NULL}) or return;
    }
    $prepared{filter} = 1;
    my $tenant = $model->now('tenant');
    return if $tenant eq '' && $model->is_bound('tenant');    # which comes first is the planner's affair
    if ($tenant eq '') {
      # Unset until the filter sets it: whether planning reads first depends on the plan cache.
      my ($result, $state) = run("EXECUTE filter('$id')");
      return recover_by_rollback() if $state && cautious($state);
      violation("$state instead of 55000") if $state && $state ne ($walk->{pin} ? '42501' : '55000');
      return recover() if $state;
      violation("a pinned role reads $id") if $model->leaves_pin($id);
      my $fault = all_rows_of($id)->($result);
      violation($fault . show($result)) if $fault;
      $model->put('tenant', $id);
      $model->bind_by_read('tenant', $id);
      begin_model() unless $in_transaction;
      return;
    }
    expect($model->switch_within($id), all_rows_of($tenant), "EXECUTE filter('$id')");
  }],
  attempt => [4, sub {
    return if $parallel;
    my ($id, $fail) = (pick(@tenants), rand() < 0.5);
    my $wanted = $model->attempt($id, $fail);
    expect($wanted, text_of($model->now('tenant')), "SELECT attempt('$id', " . ($fail ? 'true' : 'false') . ')');
  }],

  # Writing
  update => [3, sub {
    expect($model->read_tenant, all_rows_of($model->now('tenant')),
      pick('UPDATE t SET n = n + 1 RETURNING tenant_id', 'UPDATE t SET k = k WHERE id > 0 RETURNING tenant_id'));
  }],
  insert => [3, sub {
    my ($wanted, $tenant) = ($model->read_tenant, $model->now('tenant'));
    my $foreign = !$wanted && rand() < 0.3 ? other($tenant) : undef;
    my $sql     = defined $foreign ? "INSERT INTO t VALUES (0, '$foreign') RETURNING tenant_id"
      : 'WITH x AS (INSERT INTO t (id) VALUES (0) RETURNING tenant_id) SELECT * FROM x';
    $wanted ||= '42501' if defined $foreign;
    my $in = expect($wanted, sub { return $_[0][0][0] eq $tenant ? '' : "a row of another tenant than $tenant" }, $sql);
    return unless $in;
    # Outside a block the context is gone with the statement: take it away as the tenant again.
    my $delete = 'DELETE FROM t WHERE id = 0';
    must($in_transaction ? $delete : ('BEGIN', "SELECT rls_tenant.set_context('$tenant')", $delete, 'COMMIT'));
  }],

  # Cursors
  declare => [6, sub {
    return if !$in_transaction || keys %cursors > 5;
    my $name = 'c' . $names++;
    my ($wanted, $tenant) = ($model->read_tenant, $model->now('tenant'));
    my $scroll = pick('', 'SCROLL', 'NO SCROLL');
    my $how    = pick('', 'LIMIT 1000', 'OFFSET 0');
    expect($wanted, undef, "DECLARE $name $scroll CURSOR FOR SELECT tenant_id, id FROM t ORDER BY k $how") or return;
    $cursors{$name} = {tenant => $tenant, position => 0, level => $model->depth - 1, scroll => $scroll eq 'SCROLL'};
  }],
  open => [3, sub {
    return if !$in_transaction || keys %cursors > 5;
    my $name = 'c' . $names++;
    my ($wanted, $tenant) = ($model->read_tenant, $model->now('tenant'));
    if ($wanted eq '55000' || $wanted && $tenant eq '') {    # a cached plan may open a cursor that raises when it is fetched from
      my (undef, $state) = run("SELECT opened('$name')");
      return recover() if $state;
      (undef, $state) = run("FETCH 1 FROM $name");
      violation('a cursor opened with no tenant gives rows') unless $state;
      return recover();
    }
    expect($wanted, undef, "SELECT opened('$name')") or return;
    $cursors{$name} = {tenant => $tenant, position => 0, level => $model->depth - 1};
  }],
  fetch => [14, sub {
    my $name = pick(grep { defined $cursors{$_}{tenant} } sort keys %cursors) // return;
    my $cursor = $cursors{$name};
    my ($count, $from) = (1 + int rand 8, $cursor->{position});
    my ($way, @wanted);
    if ($cursor->{scroll} && rand() < 0.5) {
      if (rand() < 0.5) {
        $way    = "BACKWARD $count";
        @wanted = grep { $_ >= 1 } map { $from - $_ } 1 .. $count;
        $cursor->{position} = $from - $count > 0 ? $from - $count : 0;
      } else {
        my $to = int rand $rows + 3;
        $way    = "ABSOLUTE $to";
        @wanted = grep { $_ >= 1 && $_ <= $rows } $to;
        $cursor->{position} = $to > $rows ? $rows + 1 : $to;
      }
    } else {
      $way    = "FORWARD $count";
      @wanted = grep { $_ <= $rows } map { $from + $_ } 1 .. $count;
      $cursor->{position} = $from + $count > $rows ? $rows + 1 : $from + $count;
    }
    my $tenant = $cursor->{tenant};
    my $wanted = $tenant eq $model->now('tenant') ? '' : '25001';
    my $place  = {A => 0, B => 1, C => 2}->{$tenant};
    my @ids    = sort { $a <=> $b } grep { $_ % 3 == $place } 1 .. 3 * $rows;
    my $move   = rand() < 0.15;
    expect($wanted, sub {
      return '' if $move;
      my $got  = join ' ', map { "$_->[0]$_->[1]" } @{$_[0]};
      my $want = join ' ', map { "$tenant$ids[$_ - 1]" } @wanted;
      return $got eq $want ? '' : "not the rows $want";
    }, ($move ? 'MOVE' : 'FETCH') . " $way FROM $name");
    delete $cursors{$name} if $wanted;
  }],
  close => [2, sub {
    my $name = pick(sort keys %cursors) // return;
    delete $cursors{$name};
    my (undef, $state) = run("CLOSE $name");
    return unless $state;
    violation("CLOSE failed: $state");
    recover();
  }],
  with_hold => [1, sub {
    return unless $in_transaction;
    expect($model->read_tenant || '42P11', undef, 'DECLARE held CURSOR WITH HOLD FOR SELECT tenant_id FROM t');
  }],
  # A cursor over a function's rows: whatever it gives, it gives to its own tenant.
  declare_function => [3, sub {
    return if !$in_transaction || keys %cursors > 5;
    my $name = 'c' . $names++;
    my $source = pick('SELECT * FROM static_rows()', 'SELECT * FROM loop_rows()', 'SELECT lazy_rows()',
      "SELECT left(seen(), 1) FROM generate_series(1, $rows)");
    my (undef, $state) = run("DECLARE $name CURSOR FOR $source");
    return recover() if $state;
    $cursors{$name} = {function => 1, level => $model->depth - 1};
  }],
  fetch_function => [6, sub {
    my $name = pick(grep { $cursors{$_}{function} } sort keys %cursors) // return;
    my $tenant = $model->now('tenant');
    my ($result, $state) = run("FETCH 3 FROM $name");
    if ($state) {
      violation("$state for a cursor over a function") unless $state =~ ($walk->{pin} ? qr/^(25001|55000|42501)$/ : qr/^(25001|55000)$/);
      violation("$state although nothing changed")
        if $state eq '25001' && $walk->{one} && !$model->breaks_binding('tenant', $tenant) && !$parallel;
      delete $cursors{$name};
      return recover();
    }
    violation("a cursor over a function gives another tenant's rows to '$tenant'" . show($result))
      if grep { $_->[0] ne $tenant } @$result;
    $model->bind_by_read('tenant', $tenant) if @$result;
  }],
  hold_function => [1, sub {
    return if !$in_transaction || keys %cursors > 5 || $parallel;
    my $name = 'c' . $names++;
    my (undef, $state) = run("DECLARE $name CURSOR WITH HOLD FOR SELECT * FROM "
      . pick('static_rows()', 'loop_rows()', 'dynamic_rows()'));
    return recover() if $state;
    $cursors{$name} = {hold => 1, level => $model->depth - 1};
  }],
  fetch_held => [4, sub {
    my $name = pick(sort keys %held) // return;
    delete $held{$name};
    my $tenant = $model->now('tenant');
    my ($result, $state) = run("FETCH ALL FROM $name");
    return recover() if $state;
    violation("a held cursor gives rows of an earlier transaction to '$tenant'" . show($result)) if @$result;
    must("CLOSE $name");
  }],

  # Errors in the middle, and what they leave behind.
  fail => [3, sub {
    my $wanted = $model->read_tenant;
    expect($wanted || '22012', undef, pick('SELECT 1 / (k - k) FROM t', 'UPDATE t SET n = 1 / (k - k)',
      "SELECT 1 / (length(seen()) - length(seen())) FROM t"));
  }],
  time_out => [1, sub {
    return if !$in_transaction || $model->read_tenant;    # a refusal may come too late for the clock
    must(q{SET LOCAL statement_timeout = '20ms'}) or return;
    expect('57014', undef, 'SELECT tenant_id, pg_sleep(0.005) FROM t');
    must('SET LOCAL statement_timeout = 0') if $in_transaction;
  }],

  # Procedures end transactions, and have a context in each.
  procedure => [2, sub {
    return if $in_transaction;
    begin_model();
    $model->load;
    my ($first, $second) = (pick(@tenants), pick(@tenants));
    my $wanted = $model->leaves_pin($first) || $model->leaves_pin($second) ? '42501' : '';
    my $report = join ' ', $first, $first x $rows, $second x $rows;
    expect($wanted, sub { return $_[0][0][0] eq $report ? '' : "not '$report'" },
      "CALL call_two('$first', '$second', " . pick('true', 'false') . ', NULL)');
    begin_model();
  }],
  loop_and_commit => [1, sub {
    return if $in_transaction;
    my ($first, $second) = (pick(@tenants), pick(@tenants));
    my ($result, $state) = run("CALL loop_and_commit('$first', '$second', NULL)");
    $model->load;
    begin_model();
    return if $state;
    violation("a loop with COMMIT gives $first\'s rows to $second") if grep { !/^(.)\1$/ } split / /, $result->[0][0];
  }],

  # The session
  planning => [2, sub {
    must('SET plan_cache_mode = ' . pick(qw(auto force_generic_plan force_custom_plan)),
      map { "SET $_ = " . pick('on', 'off') } qw(enable_seqscan enable_bitmapscan enable_sort enable_indexscan));
  }],
  parallel => [1, sub {
    $parallel = 1;    # for the rest of the session: a ROLLBACK may bring it back
    $model->load;
    must('SELECT 1 FROM rls_tenant.current_context()') or return;    # a library that loads in a worker is another matter
    my $forced = $db->{pg_server_version} >= 160000 ? 'debug_parallel_query' : 'force_parallel_mode';
    must("SET $forced = " . pick('on', 'on', 'off'), 'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
      'SET min_parallel_table_scan_size = 0', 'SET parallel_leader_participation = ' . pick('on', 'off'));
  }],
  discard => [1, sub {
    return if $in_transaction;
    must(pick('DISCARD ALL', 'DISCARD PLANS', 'DEALLOCATE ALL')) or return;
    if ($trace[-1] !~ /PLANS/) { %prepared = () }
    if ($trace[-1] =~ /DISCARD ALL/) { ($parallel, %held) = (0) }
  }],
  reconnect => [2, sub {
    $db->disconnect;
    start_session();
  }],
);

sub start_session {
  $db = connect_as($walk->{role}, $database);
  $db->do('SET client_min_messages = error');
  $model = ContextModel->new(one => $walk->{one}, pin => $walk->{pin}, loaded => !$walk->{lazy});
  ($in_transaction, $parallel) = (0, 0);
  (%prepared, %held, %cursors) = ();
  @trace = ("-- a new session of $walk->{name}");
  return;
}

sub take_steps {
  my ($count) = @_;
  my @pool = map { ($_) x $steps{$_}[0] } grep { !$left_out{$_} } sort keys %steps;
  start_session();
  for (1 .. $count) {
    my $name = pick(@pool);
    splice @trace, 0, @trace - 40 if @trace > 40;
    my $before = @violations;
    push @trace, "-- $name";
    $steps{$name}[1]->();
    pop @trace if $trace[-1] eq "-- $name";
    # After a violation the model and the session may disagree: begin afresh.
    if (@violations > $before) { $db->disconnect; start_session() }
    last if @violations >= 5;
  }
  $db->disconnect;
  return;
}

END { my $status = $?; tear_down(@walks); $? = $status }

set_up(@walks);
for my $next (@walks) {
  $walk       = $next;
  @violations = ();
  my $done = eval { take_steps(int($steps / @walks)); 1 };
  my $died = $done ? '' : $@;
  ok($done && !@violations, "$walk->{name}: no row of another tenant, nothing refused or let pass wrongly");
  diag $died if $died;
  diag join "\n", 'the last statements:', @trace if $died;    # the server may have crashed
  diag $_ for @violations;
}
done_testing();
