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
use DBI;
use Test::More;

my $seed     = $ENV{RLS_TENANT_SEED}  // (time ^ $$ << 8) & 0x7fffffff;
my $steps    = $ENV{RLS_TENANT_STEPS} // 5000;
my %left_out = map { $_ => 1 } split /,/, $ENV{RLS_TENANT_LEAVE_OUT} // '';
srand $seed;
diag "RLS_TENANT_SEED=$seed RLS_TENANT_STEPS=$steps";

my $database = "rls_tenant_random_$$";
my $rows     = 20;                        # of each tenant
my @tenants  = qw(A B C);
my %settings = (tenant => 'rls_tenant.tenant_id', account => 'rls_tenant.account_id');

# What the walks differ in: the role's mode, its pinned tenant, and when the library loads.
my @walks = (
  {name => 'bound',         role => "rls_tenant_bound_$$",  one => 1},
  {name => 'bound, lazily', role => "rls_tenant_lazy_$$",   one => 1, lazy => 1},
  {name => 'bound, pinned', role => "rls_tenant_pinned_$$", one => 1, pin  => 'C'},
  {name => 'free',          role => "rls_tenant_free_$$",   one => 0},
  {name => 'free, pinned',  role => "rls_tenant_fpin_$$",   one => 0, pin  => 'C', lazy => 1},
);

sub pick { return $_[rand @_] }

sub connect_as {
  my ($role, $name) = @_;
  my $source = "dbi:Pg:dbname=$name" . join '', map { ";$_->[0]=$_->[1]" }
    grep { defined $_->[1] } ['host', $ENV{PGHOST}], ['port', $ENV{PGPORT}];
  return DBI->connect($source, $role, '',
    {RaiseError => 0, PrintError => 0, PrintWarn => 0, AutoCommit => 1, pg_server_prepare => 0})
    // die "cannot connect: $DBI::errstr\n";
}

my $user  = $ENV{PGUSER} // 'postgres';
my $admin = connect_as($user, $ENV{PGDATABASE} // 'postgres');

sub admin_do {
  my ($handle, @statements) = @_;
  defined $handle->do($_) or die "$_: " . $handle->errstr for @statements;
  return;
}

sub set_up {
  admin_do($admin, 'SET client_min_messages = error', "CREATE DATABASE $database");
  my $setup = connect_as($user, $database);
  admin_do(
    $setup,
    'SET client_min_messages = error',
    'CREATE EXTENSION rls_tenant',
    'BEGIN',
    'CREATE TABLE t (id int, tenant_id text NOT NULL, k int, n int DEFAULT 0)',
    q{SELECT rls_tenant.protect('t')},
    'CREATE TABLE own (id int, tenant_id text NOT NULL, account_id text)',
    q{SELECT rls_tenant.protect('own', access => 'account_id = rls_tenant.current_account_text()')},
    'COMMIT',
    'CREATE INDEX ON t (k, tenant_id)',
    'CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM t',
    'SET row_security = off',
    "INSERT INTO t SELECT g, (ARRAY['A','B','C'])[g % 3 + 1], g FROM generate_series(1, 3 * $rows) g",
    q{INSERT INTO own SELECT g, t, a FROM generate_series(1, 2) g, unnest('{A,B,C}'::text[]) t, unnest('{x,y}'::text[]) a},
    'ANALYZE',
    # Static SQL, dynamic SQL, and a SQL function that the planner inlines.
    q{CREATE FUNCTION static_rows() RETURNS SETOF text LANGUAGE plpgsql STABLE AS
      $$ BEGIN RETURN QUERY SELECT tenant_id FROM t ORDER BY k; END $$},
    q{CREATE FUNCTION loop_rows() RETURNS SETOF text LANGUAGE plpgsql AS
      $$ DECLARE r record; BEGIN FOR r IN SELECT tenant_id FROM t ORDER BY k LOOP RETURN NEXT r.tenant_id; END LOOP; END $$},
    q{CREATE FUNCTION dynamic_rows() RETURNS SETOF text LANGUAGE plpgsql AS
      $$ BEGIN RETURN QUERY EXECUTE 'SELECT tenant_id FROM t ORDER BY k'; END $$},
    q{CREATE FUNCTION inlined_rows() RETURNS SETOF text LANGUAGE sql STABLE AS $$ SELECT tenant_id FROM t ORDER BY k $$},
    q{CREATE FUNCTION lazy_rows() RETURNS SETOF text LANGUAGE sql VOLATILE AS $$ SELECT tenant_id FROM t ORDER BY k $$},
    # What one statement finds, as one text: the tenants it saw.
    q{CREATE FUNCTION seen() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS
      $$ BEGIN RETURN (SELECT string_agg(tenant_id, '') FROM t); END $$},
    (
      map {
        qq{CREATE FUNCTION seen_as_$_() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE SET rls_tenant.tenant_id = '$_' AS
           \$\$ BEGIN RETURN (SELECT string_agg(tenant_id, '') FROM t); END \$\$}
      } @tenants
    ),
    q{CREATE FUNCTION switch(id text) RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN PERFORM set_config('rls_tenant.tenant_id', id, true); RETURN id; END $$},
    # Tries another tenant, with an error afterwards if asked, and says what it sees in the end.
    q{CREATE FUNCTION attempt(tenant text, fail boolean) RETURNS text LANGUAGE plpgsql AS $$
      BEGIN
        BEGIN
          PERFORM rls_tenant.set_context(tenant);
          PERFORM count(*) FROM t WHERE NOT fail OR 1 / (k - k) > 0;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        RETURN (SELECT string_agg(tenant_id, '') FROM t);
      END $$},
    q{CREATE FUNCTION opened(name refcursor) RETURNS refcursor LANGUAGE plpgsql AS
      $$ BEGIN OPEN name FOR SELECT tenant_id, id FROM t ORDER BY k; RETURN name; END $$},
    # Two transactions, and an argument that was evaluated in the first.
    q{CREATE PROCEDURE call_two(first text, second text, commits boolean, INOUT report text) LANGUAGE plpgsql AS $$
      DECLARE argument text; first_saw text; second_saw text;
      BEGIN
        PERFORM rls_tenant.set_context(first);
        CALL pass_on(rls_tenant.current_tenant_text(), second, commits, first_saw, second_saw, argument);
        report := concat_ws(' ', argument, first_saw, second_saw);
      END $$},
    q{CREATE PROCEDURE pass_on(argument text, second text, commits boolean, INOUT first_saw text, INOUT second_saw text,
        INOUT given text) LANGUAGE plpgsql AS $$
      BEGIN
        first_saw := seen();
        IF commits THEN COMMIT; ELSE ROLLBACK; END IF;
        PERFORM rls_tenant.set_context(second);
        second_saw := seen();
        given := argument;
      END $$},
    # A loop over a function's rows with COMMIT inside: each row beside the tenant of its transaction.
    q{CREATE PROCEDURE loop_and_commit(first text, second text, INOUT report text) LANGUAGE plpgsql AS $$
      DECLARE r text;
      BEGIN
        PERFORM rls_tenant.set_context(first);
        report := '';
        FOR r IN SELECT * FROM static_rows() LOOP
          report := report || r || coalesce(current_setting('rls_tenant.tenant_id'), '-') || ' ';
          COMMIT;
          PERFORM rls_tenant.set_context(second);
        END LOOP;
      END $$},
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO PUBLIC',
  );
  $setup->disconnect;
  for my $walk (@walks) {
    admin_do($admin, "CREATE ROLE $walk->{role} LOGIN");
    admin_do($admin, "ALTER ROLE $walk->{role} SET rls_tenant.one_tenant_per_transaction = off") unless $walk->{one};
    admin_do($admin, "ALTER ROLE $walk->{role} SET rls_tenant.tenant_id = '$walk->{pin}'") if $walk->{pin};
    admin_do($admin, "ALTER ROLE $walk->{role} SET session_preload_libraries = 'rls_tenant'") unless $walk->{lazy};
  }
  return;
}

sub tear_down {
  defined $admin->do("DROP DATABASE IF EXISTS $database WITH (FORCE)") or diag $admin->errstr;
  defined $admin->do("DROP ROLE IF EXISTS $_->{role}") or diag $admin->errstr for @walks;
  return;
}

# The session and its model.
my ($walk, $db, @trace, @violations);
my ($in_transaction, %value, %bound, %touched, @savepoints, %cursors, %prepared, %held, $loaded, $parallel, $names);

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

# What a setting falls back to: the role's pin, '' if there is none.
sub fallback {
  my ($setting) = @_;
  return $setting eq 'tenant' ? $walk->{pin} // '' : '';
}

# The tenant (or account) that the context stands for now, '' if none.
sub now { my ($setting) = @_; return $value{$setting} // fallback($setting) }

# Whether a role that is pinned would leave its pin: refused at the latest when it reads, and at once by set_context().
sub leaves_pin { my ($id) = @_; return $walk->{pin} && $id ne $walk->{pin} }

# A setting is changed; the level of savepoints at which it first was tells when that is undone.
sub touch {
  my ($setting) = @_;
  $touched{$setting} //= @savepoints;
  return;
}

# Binds the transaction, where it is not bound yet, to a value ('': none) that it has set.
sub bind_by_set {
  my ($setting, $id) = @_;
  $bound{$setting} //= {id => $id} if $walk->{one} && $loaded;
  return;
}

# A read binds to what it has read, and to all settings as they are.
sub bind_by_read {
  my ($setting, $id) = @_;
  $bound{$setting} = {id => $id, read => 1};
  return unless $walk->{one};
  for my $other (qw(tenant account)) {
    $bound{$other} //= {id => now($other)};
    $bound{$other}{read} = 1;
  }
  return;
}

# Whether a value is another than the transaction is bound to.
sub breaks_binding {
  my ($setting, $id) = @_;
  return $walk->{one} && $bound{$setting} && $bound{$setting}{id} ne $id;
}

# The library is loaded by the first call of a function of it: from then on the transaction is bound to what has been set
# in it. Before, nothing refuses a SET.
sub load {
  return if $loaded;
  $loaded = 1;
  for my $setting (keys %value) { bind_by_set($setting, $value{$setting}) if ($value{$setting} // '') ne '' }
  return;
}

# A set that a check hook sees. Gives the SQLSTATE that must come, or ''.
sub model_set {
  my ($setting, $id) = @_;
  return '' if !defined $id && !defined $value{$setting};
  return '25001' if breaks_binding($setting, $id // fallback($setting));
  $value{$setting} = $id;
  touch($setting);
  bind_by_set($setting, $id) if ($id // '') ne '';
  return '';
}

# A read. Gives the SQLSTATE that must come, or ''.
sub model_read {
  my ($setting) = @_;
  my $id = now($setting);
  load();
  return '25001' if breaks_binding($setting, $id);
  return '42501' if $setting eq 'tenant' && leaves_pin($id);
  return '55000' if $id eq '';
  bind_by_read($setting, $id);
  return '';
}

sub model_set_context {
  my ($id, $account) = @_;
  load();
  my $refused = model_set('tenant', $id) || (leaves_pin($id) ? '42501' : '') || model_set('account', $account);
  bind_by_set('account', now('account')) unless $refused || defined $account;
  return $refused;
}

sub begin_model {
  (%value, %bound, %touched, @savepoints, %cursors) = ();
  return;
}

# What follows an error: the transaction goes back to a savepoint or ends.
sub recover {
  return begin_model() unless $in_transaction;
  if (@savepoints && rand() < 0.7) {
    back_to(int rand @savepoints);
  } else {
    run('ROLLBACK');
    $in_transaction = 0;
    begin_model();
  }
  return;
}

# What was set and is undone binds nothing, unless it was read; what set_context() left out goes with the tenant.
sub forget_undone {
  return if defined $touched{tenant};
  delete @bound{grep { !$bound{$_}{read} && !defined $touched{$_} } keys %bound};
  return;
}

sub back_to {
  my ($index) = @_;
  my (undef, $state) = run("ROLLBACK TO s$index");
  violation("ROLLBACK TO failed: $state") if $state;
  %value = %{$savepoints[$index]};
  $#savepoints = $index;
  delete @touched{grep { $touched{$_} > $index } keys %touched};
  forget_undone();
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
    # What a pin, a reset and a savepoint leave bound together is refused more often than the model says: never less.
    return recover_by_rollback() if $walk->{pin} && $walk->{one} && $state eq '25001' && $state ne $wanted;
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

# The model no longer knows where the session is: begin afresh.
sub recover_by_rollback {
  run('ROLLBACK') if $in_transaction;
  $in_transaction = 0;
  begin_model();
  return;
}

sub show {
  my ($result) = @_;
  my $text = join ' ', map { join ',', map { $_ // 'NULL' } @$_ } @$result;
  return ' (' . substr($text, 0, 120) . ')';
}

# Checks: every row of the tenant, once; the same in one text.
sub all_rows_of {
  my ($tenant) = @_;
  return sub {
    my ($result) = @_;
    return "not the $rows rows of $tenant" if @$result != $rows || grep { $_->[0] ne $tenant } @$result;
    return '';
  };
}

sub text_of {
  my ($tenant) = @_;
  return sub { return ($_[0][0][0] // '') eq $tenant x $rows ? '' : "not the $rows rows of $tenant in one text" };
}

sub other { my ($not) = @_; return pick(grep { $_ ne $not } @tenants) }

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
    expect(model_set_context($id, undef), undef, "SELECT rls_tenant.set_context('$id')");
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
    return if !$in_transaction || @savepoints > 4;
    run('SAVEPOINT s' . @savepoints);
    push @savepoints, {%value};
  }],
  rollback_to => [2, sub {
    return if !$in_transaction || !@savepoints;
    back_to(int rand @savepoints);
  }],
  release => [1, sub {
    return if !$in_transaction || !@savepoints;
    my $index = int rand @savepoints;
    run("RELEASE s$index");
    $#savepoints = $index - 1;
    for (values %touched) { $_ = $index if $_ > $index }
    for (values %cursors) { $_->{level} = $index - 1 if $_->{level} > $index - 1 }
  }],

  # Setting. Outside a transaction block it ends with its own statement.
  set_local => [8, sub {
    my $id = pick(@tenants, @tenants, '');
    expect(model_set('tenant', $id), undef, "SET LOCAL rls_tenant.tenant_id = '$id'");
  }],
  set_config => [6, sub {
    my $id = pick(@tenants, '');
    expect(model_set('tenant', $id), undef, "SELECT set_config('rls_tenant.tenant_id', '$id', " . pick('true', 'false') . ')');
  }],
  set_context => [6, sub {
    my ($id, $account) = (pick(@tenants), pick('x', 'y', undef));
    my $wanted = model_set_context($id, $account);
    if (rand() < 0.5) {
      expect($wanted, undef, 'SELECT rls_tenant.set_context(?, ?)', $id, $account);
    } else {
      expect($wanted, undef, "SELECT rls_tenant.set_context('$id'" . (defined $account ? ", '$account')" : ')'));
    }
  }],
  set_account => [3, sub {
    my $id = pick('x', 'y', '');
    expect(model_set('account', $id), undef, "SET LOCAL rls_tenant.account_id = '$id'");
  }],
  set_session => [1, sub {
    my $id = pick(@tenants);
    my (undef, $state) = run("SET rls_tenant.tenant_id = '$id'");
    return recover() if ($state // '') eq '0A000';
    violation('a session-level SET ' . ($state ? "gives $state" : 'passed')) if $state || $loaded;
    model_set('tenant', $id) if $in_transaction;
  }],
  # What no check hook sees: the next read refuses.
  reset => [3, sub {
    my $sql = pick('RESET rls_tenant.tenant_id', 'SET LOCAL rls_tenant.tenant_id TO DEFAULT',
      'SET rls_tenant.tenant_id TO DEFAULT');
    my (undef, $state) = run($sql);
    violation("$state instead of success") if $state;
    $value{tenant} = undef;
    touch('tenant');
    begin_model() unless $in_transaction;
  }],
  # A value for the session, hidden by its default to the end of the transaction: it must not come back afterwards.
  hide => [4, sub {
    return unless $in_transaction;
    my $id = pick(@tenants);
    expect(model_set('tenant', $id), undef, "SELECT set_config('rls_tenant.tenant_id', '$id', false)") or return;
    $steps{pick(qw(reset clear_context))}[1]->();
    $steps{pick(qw(commit prepare_transaction))}[1]->();
    $steps{read}[1]->();
  }],
  reset_all => [1, sub {
    run('RESET ALL');
    touch($_) for grep { defined $value{$_} } keys %value;
    %value = ();
    begin_model() unless $in_transaction;
  }],
  clear_context => [2, sub {
    load();
    my $wanted = '';
    for my $setting (qw(tenant account)) { $wanted ||= model_set($setting, undef) }
    expect($wanted, undef, 'SELECT rls_tenant.clear_context()');
  }],
  show => [3, sub {
    load();
    my $tenant = now('tenant');
    expect('', sub { return ($_[0][0][0] // '') eq $tenant ? '' : "current_context() does not say '$tenant'" },
      'SELECT tenant_id FROM rls_tenant.current_context()');
  }],

  # Reading
  read => [10, sub {
    my $source = pick('t', 't', 'v', 'static_rows() x(tenant_id)', 'dynamic_rows() x(tenant_id)', 'loop_rows() x(tenant_id)',
      'inlined_rows() x(tenant_id)', 'lazy_rows() x(tenant_id)', '(SELECT * FROM t OFFSET 0) x',
      'generate_series(1, 1) g, LATERAL (SELECT tenant_id FROM t) x');
    expect(model_read('tenant'), all_rows_of(now('tenant')), "SELECT tenant_id FROM $source");
  }],
  read_prepared => [8, sub {
    my $name = pick(qw(whole by_key joined));
    my %text = (
      whole  => 'PREPARE whole AS SELECT tenant_id FROM t ORDER BY k',
      by_key => 'PREPARE by_key (int) AS SELECT tenant_id FROM t WHERE k > $1',
      joined => 'PREPARE joined AS SELECT a.tenant_id FROM t a JOIN t b USING (id)',
    );
    if (!$prepared{$name}++) { run($text{$name}) }
    expect(model_read('tenant'), all_rows_of(now('tenant')), "EXECUTE $name" . ($name eq 'by_key' ? '(0)' : ''));
  }],
  read_bound => [3, sub {
    expect(model_read('tenant'), all_rows_of(now('tenant')), 'SELECT tenant_id FROM t WHERE k > ?', 0);
  }],
  copy => [2, sub {
    my ($wanted, $tenant) = (model_read('tenant'), now('tenant'));
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
    my ($tenant, $account) = (now('tenant'), now('account'));
    my $wanted = model_read('tenant') || model_read('account');
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
    expect(model_read('tenant'), text_of(now('tenant')), pick('SELECT seen()', 'SELECT seen() FROM pg_class LIMIT 1'));
  }],
  # A function's SET clause: another tenant for one call, where that is allowed.
  seen_as => [4, sub {
    my $id     = pick(@tenants);
    my $wanted = breaks_binding('tenant', $id) ? '25001' : '';
    $wanted ||= '42501' if leaves_pin($id);
    bind_by_read('tenant', $id) unless $wanted;
    load();
    expect($wanted, text_of($id), "SELECT seen_as_$id()");
  }],
  seen_as_within => [2, sub {
    my $id     = pick(@tenants);
    my $wanted = model_read('tenant');
    my $tenant = now('tenant');
    $wanted ||= '25001' if $id ne $tenant;
    expect($wanted, all_rows_of($tenant), "SELECT tenant_id, seen_as_$id() FROM t");
  }],
  # A statement that switches while it reads.
  switch_within => [4, sub {
    my $id     = pick(@tenants);
    my $tenant = now('tenant');
    my $wanted = model_read('tenant');
    $wanted ||= '25001' if $id ne $tenant;
    do { $value{tenant} = $id; touch('tenant') } unless $wanted;
    expect($wanted, all_rows_of($tenant), pick(
      "SELECT tenant_id, switch('$id') FROM t",
      "SELECT tenant_id FROM t WHERE switch('$id') IS NOT NULL",
      "SELECT tenant_id FROM t, LATERAL (SELECT switch('$id' || repeat(t.tenant_id, 0))) x",
      "UPDATE t SET n = n RETURNING tenant_id, switch('$id')",
      "WITH x AS MATERIALIZED (SELECT tenant_id, switch('$id') FROM t) SELECT * FROM x",
    ));
  }],
  switch_in_finish => [2, sub {    # both updates run after the main query, the last one first
    my $id     = pick(@tenants);
    my $tenant = now('tenant');
    my $wanted = model_read('tenant');
    $wanted ||= '25001' if $id ne $tenant;
    do { $value{tenant} = $id; touch('tenant') } unless $wanted;
    expect($wanted, undef,
      "WITH x AS (UPDATE t SET n = n + 1), y AS (UPDATE t SET k = k RETURNING switch('$id')) SELECT 1");
  }],
  one_time_filter => [3, sub {
    my $id = pick(@tenants);
    if (!$prepared{filter}++) {
      run(q{PREPARE filter (text) AS SELECT tenant_id FROM t
        WHERE (SELECT set_config('rls_tenant.tenant_id', $1, true)) IS NOT NULL});
    }
    my $tenant = now('tenant');
    return if $tenant eq '' && $walk->{one} && $bound{tenant};    # which comes first is the planner's affair
    if ($tenant eq '' && $walk->{one} || $tenant eq '' && !$walk->{one}) {
      # Unset until the filter sets it: whether planning reads first depends on the plan cache.
      my ($result, $state) = run("EXECUTE filter('$id')");
      return recover_by_rollback() if $state && cautious($state);
      violation("$state instead of 55000") if $state && $state ne ($walk->{pin} ? '42501' : '55000');
      return recover() if $state;
      violation("a pinned role reads $id") if leaves_pin($id);
      my $fault = all_rows_of($id)->($result);
      violation($fault . show($result)) if $fault;
      $value{tenant} = $id;
      touch('tenant');
      bind_by_read('tenant', $id);
      begin_model() unless $in_transaction;
      return;
    }
    my $wanted = model_read('tenant');
    $wanted ||= '25001' if $id ne $tenant;
    do { $value{tenant} = $id; touch('tenant') } unless $wanted;
    expect($wanted, all_rows_of($tenant), "EXECUTE filter('$id')");
  }],
  attempt => [4, sub {
    return if $parallel;
    my ($id, $fail) = (pick(@tenants), rand() < 0.5);
    my ($values, $touches) = ({%value}, {%touched});
    load();
    my $refused = model_set_context($id, undef) || model_read('tenant');
    if ($refused || $fail) {
      %value = %$values;
      %touched = %$touches;
      forget_undone();
    }
    expect(model_read('tenant'), text_of(now('tenant')), "SELECT attempt('$id', " . ($fail ? 'true' : 'false') . ')');
  }],

  # Writing
  update => [3, sub {
    expect(model_read('tenant'), all_rows_of(now('tenant')),
      pick('UPDATE t SET n = n + 1 RETURNING tenant_id', 'UPDATE t SET k = k WHERE id > 0 RETURNING tenant_id'));
  }],
  insert => [3, sub {
    my ($wanted, $tenant) = (model_read('tenant'), now('tenant'));
    my $foreign = !$wanted && rand() < 0.3 ? other($tenant) : undef;
    my $sql     = defined $foreign ? "INSERT INTO t VALUES (0, '$foreign') RETURNING tenant_id"
      : 'WITH x AS (INSERT INTO t (id) VALUES (0) RETURNING tenant_id) SELECT * FROM x';
    $wanted ||= '42501' if defined $foreign;
    my $in = expect($wanted, sub { return $_[0][0][0] eq $tenant ? '' : "a row of another tenant than $tenant" }, $sql);
    return unless $in;
    # Outside a block the context is gone with the statement: take it away as the tenant again.
    if ($in_transaction) {
      run('DELETE FROM t WHERE id = 0');
    } else {
      run('BEGIN'); run("SELECT rls_tenant.set_context('$tenant')"); run('DELETE FROM t WHERE id = 0'); run('COMMIT');
    }
  }],

  # Cursors
  declare => [6, sub {
    return if !$in_transaction || keys %cursors > 5;
    my $name = 'c' . $names++;
    my ($wanted, $tenant) = (model_read('tenant'), now('tenant'));
    my $scroll = pick('', 'SCROLL', 'NO SCROLL');
    my $how    = pick('', 'LIMIT 1000', 'OFFSET 0');
    expect($wanted, undef, "DECLARE $name $scroll CURSOR FOR SELECT tenant_id, id FROM t ORDER BY k $how") or return;
    $cursors{$name} = {tenant => $tenant, position => 0, level => $#savepoints, scroll => $scroll eq 'SCROLL'};
  }],
  open => [3, sub {
    return if !$in_transaction || keys %cursors > 5;
    my $name = 'c' . $names++;
    my ($wanted, $tenant) = (model_read('tenant'), now('tenant'));
    if ($wanted eq '55000' || $wanted && $tenant eq '') {    # a cached plan may open a cursor that raises when it is fetched from
      my (undef, $state) = run("SELECT opened('$name')");
      return recover() if $state;
      (undef, $state) = run("FETCH 1 FROM $name");
      violation('a cursor opened with no tenant gives rows') unless $state;
      return recover();
    }
    expect($wanted, undef, "SELECT opened('$name')") or return;
    $cursors{$name} = {tenant => $tenant, position => 0, level => $#savepoints};
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
    my $wanted = $tenant eq now('tenant') ? '' : '25001';
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
    expect(model_read('tenant') || '42P11', undef, 'DECLARE held CURSOR WITH HOLD FOR SELECT tenant_id FROM t');
  }],
  # A cursor over a function's rows: whatever it gives, it gives to its own tenant.
  declare_function => [3, sub {
    return if !$in_transaction || keys %cursors > 5;
    my $name = 'c' . $names++;
    my $source = pick('SELECT * FROM static_rows()', 'SELECT * FROM loop_rows()', 'SELECT lazy_rows()',
      "SELECT left(seen(), 1) FROM generate_series(1, $rows)");
    my (undef, $state) = run("DECLARE $name CURSOR FOR $source");
    return recover() if $state;
    $cursors{$name} = {function => 1, level => $#savepoints};
  }],
  fetch_function => [6, sub {
    my $name = pick(grep { $cursors{$_}{function} } sort keys %cursors) // return;
    my $tenant = now('tenant');
    my ($result, $state) = run("FETCH 3 FROM $name");
    if ($state) {
      violation("$state for a cursor over a function") unless $state =~ ($walk->{pin} ? qr/^(25001|55000|42501)$/ : qr/^(25001|55000)$/);
      violation("$state although nothing changed")
        if $state eq '25001' && $walk->{one} && !breaks_binding('tenant', $tenant) && !$parallel;
      delete $cursors{$name};
      return recover();
    }
    violation("a cursor over a function gives another tenant's rows to '$tenant'" . show($result))
      if grep { $_->[0] ne $tenant } @$result;
    bind_by_read('tenant', $tenant) if @$result;
  }],
  hold_function => [1, sub {
    return if !$in_transaction || keys %cursors > 5 || $parallel;
    my $name = 'c' . $names++;
    my (undef, $state) = run("DECLARE $name CURSOR WITH HOLD FOR SELECT * FROM "
      . pick('static_rows()', 'loop_rows()', 'dynamic_rows()'));
    return recover() if $state;
    $cursors{$name} = {hold => 1, level => $#savepoints};
  }],
  fetch_held => [4, sub {
    my $name = pick(sort keys %held) // return;
    delete $held{$name};
    my $tenant = now('tenant');
    my ($result, $state) = run("FETCH ALL FROM $name");
    return recover() if $state;
    violation("a held cursor gives rows of an earlier transaction to '$tenant'" . show($result)) if @$result;
    run("CLOSE $name");
  }],

  # Errors in the middle, and what they leave behind.
  fail => [3, sub {
    my $wanted = model_read('tenant');
    expect($wanted || '22012', undef, pick('SELECT 1 / (k - k) FROM t', 'UPDATE t SET n = 1 / (k - k)',
      "SELECT 1 / (length(seen()) - length(seen())) FROM t"));
  }],
  time_out => [1, sub {
    return unless $in_transaction;
    my $wanted = model_read('tenant');
    run(q{SET LOCAL statement_timeout = '20ms'});
    expect($wanted || '57014', undef, 'SELECT tenant_id, pg_sleep(0.005) FROM t');
    run('SET LOCAL statement_timeout = 0') if $in_transaction;
  }],

  # Procedures end transactions, and have a context in each.
  procedure => [2, sub {
    return if $in_transaction;
    begin_model();
    load();
    my ($first, $second) = (pick(@tenants), pick(@tenants));
    my $wanted = leaves_pin($first) || leaves_pin($second) ? '42501' : '';
    my $report = join ' ', $first, $first x $rows, $second x $rows;
    expect($wanted, sub { return $_[0][0][0] eq $report ? '' : "not '$report'" },
      "CALL call_two('$first', '$second', " . pick('true', 'false') . ', NULL)');
    begin_model();
  }],
  loop_and_commit => [1, sub {
    return if $in_transaction;
    my ($first, $second) = (pick(@tenants), pick(@tenants));
    my ($result, $state) = run("CALL loop_and_commit('$first', '$second', NULL)");
    load();
    begin_model();
    return if $state;
    violation("a loop with COMMIT gives $first\'s rows to $second") if grep { !/^(.)\1$/ } split / /, $result->[0][0];
  }],

  # The session
  planning => [2, sub {
    run('SET plan_cache_mode = ' . pick(qw(auto force_generic_plan force_custom_plan)));
    run("SET $_ = " . pick('on', 'off')) for qw(enable_seqscan enable_bitmapscan enable_sort enable_indexscan);
  }],
  parallel => [1, sub {
    $parallel = 1;    # for the rest of the session: a ROLLBACK may bring it back
    run('SELECT 1 FROM rls_tenant.current_context()');    # a library that loads in a worker is another matter
    load();
    my $forced = $db->{pg_server_version} >= 160000 ? 'debug_parallel_query' : 'force_parallel_mode';
    run("SET $forced = " . pick('on', 'on', 'off'));
    run('SET parallel_setup_cost = 0'); run('SET parallel_tuple_cost = 0'); run('SET min_parallel_table_scan_size = 0');
    run('SET parallel_leader_participation = ' . pick('on', 'off'));
  }],
  discard => [1, sub {
    return if $in_transaction;
    run(pick('DISCARD ALL', 'DISCARD PLANS', 'DEALLOCATE ALL'));
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
  ($in_transaction, $parallel, $loaded) = (0, 0, !$walk->{lazy});
  (%prepared, %held) = ();
  begin_model();
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

END { if ($admin) { my $status = $?; tear_down(); $? = $status } }

set_up();
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
