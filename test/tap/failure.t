# What goes wrong in the middle of DDL: sessions that are killed, transactions in two phases, savepoints, a check that fails
# itself, many sessions at once. Nothing bad stays, nothing good is lost.

use strict;
use warnings;
use Cluster;
use POSIX ();
use Test::More;

my $server = Cluster->start('failure', 'max_connections = 40');
$server->role('owner');
$server->role('bypass', 'BYPASSRLS');
$server->database('failure', 1);
my $db = $server->connect('failure');
$db->do($_) for
  'GRANT CREATE ON SCHEMA public TO owner, bypass',
  'SET ROLE owner',
  'BEGIN',
  'CREATE TABLE bill (tenant_id bigint, id int, PRIMARY KEY (tenant_id, id))',
  q{SELECT rls_tenant.protect('bill')},
  'GRANT ALL ON bill TO bypass',
  'CREATE TABLE line (tenant_id bigint, id int, bill_id int, PRIMARY KEY (tenant_id, id))',
  q{SELECT rls_tenant.protect('line')},
  'COMMIT',
  'RESET ROLE';

# All that a refusal must leave as it was.
sub picture {
  return join("\n", map { rows($db, $_) }
    q{SELECT relname, relkind, relrowsecurity, relforcerowsecurity, relowner::regrole FROM pg_class
      WHERE relnamespace = 'public'::regnamespace ORDER BY 1},
    q{SELECT polrelid::regclass, polname, polpermissive, pg_get_expr(polqual, polrelid) FROM pg_policy ORDER BY 1, 2},
    q{SELECT conrelid::regclass, conname, convalidated FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2});
}

# Faults of all relations of the schema.
sub faults {
  return rows($db, q{SELECT c.oid::regclass, f.* FROM pg_class c, rls_tenant.table_faults(c.oid) f
    WHERE relnamespace = 'public'::regnamespace ORDER BY 1, 2});
}

# What the guard refuses: statements by the error's rule.
my %bad = (
  rls_off => ['CREATE TABLE loose (tenant_id bigint NOT NULL)'],
  rls_off_with_policies => ['ALTER TABLE bill DISABLE ROW LEVEL SECURITY'],
  view_bypass => ['SET LOCAL ROLE bypass', 'CREATE VIEW leak AS SELECT * FROM bill', 'RESET ROLE'],
  matview => ['CREATE MATERIALIZED VIEW kept AS SELECT * FROM bill'],
  always_true => ['DROP POLICY tenant_isolation ON bill', 'ALTER POLICY tenant_access ON bill USING (true)'],
  no_policy => ['DROP POLICY tenant_isolation ON bill', 'DROP POLICY tenant_access ON bill'],
  fk_crosses => ['CREATE UNIQUE INDEX bill_id ON bill (id)', 'ALTER TABLE line ADD CONSTRAINT crosses FOREIGN KEY (bill_id) REFERENCES bill (id)'],
  rule_rewrite => ['CREATE RULE also AS ON INSERT TO bill DO ALSO SELECT 1'],
);
my $before = picture();
is(faults(), '', 'at first nothing is wrong');

# A new connection, after the server has come back.
sub reconnect {
  return wait_until(sub { $db = $server->connect('failure'); value($db, 'SELECT NOT pg_is_in_recovery()') }, 60);
}

# 1. A session is killed between its DDL and COMMIT, with all of it done in one transaction

for my $rule (sort keys %bad) {
  next if $rule eq 'always_true';  # on the same policy as no_policy
  my $victim = $server->connect('failure');
  $victim->do($_) for 'BEGIN', @{$bad{$rule}};
  my $pid = $victim->{pg_pid};
  if ($rule eq 'view_bypass' || $rule eq 'no_policy' || $rule eq 'fk_crosses') {
    kill('KILL', $pid) or die "kill $pid: $!";
    ok(wait_until(sub { !kill(0, $pid) }) && reconnect(), "$rule: killed, and the server comes back");
  } else {
    $db->do("SELECT pg_terminate_backend($pid, 10000)");
  }
  is(picture(), $before, "$rule: of a session that is killed before COMMIT nothing is left");
}

# 2. Two phases

for my $rule (sort keys %bad) {
  $db->do($_) for 'BEGIN', @{$bad{$rule}};
  refused($db, q{PREPARE TRANSACTION 'bad'}, '42P16', qr/: $rule: /, "$rule: cannot be prepared");
  $db->do('ROLLBACK');
  is(picture(), $before, "$rule: and nothing is left");
}
is(value($db, 'SELECT count(*) FROM pg_prepared_xacts'), 0, 'no transaction is prepared');
$db->do($_) for 'BEGIN', 'CREATE TABLE later (tenant_id bigint)', q{SELECT rls_tenant.protect('later')},
  'CREATE VIEW later_view WITH (security_invoker) AS SELECT * FROM later',
  'ALTER TABLE line ADD CONSTRAINT line_bill FOREIGN KEY (tenant_id, bill_id) REFERENCES bill (tenant_id, id)',
  'DROP POLICY tenant_access ON bill', 'CREATE POLICY tenant_access ON bill USING (tenant_id = rls_tenant.current_tenant_bigint() AND id > 0)',
  q{PREPARE TRANSACTION 'good'};
$server->restart('immediate');
reconnect();
is(rows($db, q{SELECT to_regclass('later'), (SELECT count(*) FROM pg_prepared_xacts)}), '|1',
  'a prepared transaction shows nothing after a crash');
$db->do(q{COMMIT PREPARED 'good'});
is(faults(), '', 'COMMIT PREPARED after the restart leaves nothing bad');
is(rows($db, q{SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid), to_regclass('later_view')
  FROM pg_class c WHERE relname = 'later'}), '1|1|2|later_view', 'and brings all that is good');
is(rows($db, q{SELECT convalidated FROM pg_constraint WHERE conname = 'line_bill'}), '1', 'the foreign key, too');
like(value($db, q{SELECT string_agg(pg_get_expr(polqual, polrelid), ' ') FROM pg_policy WHERE polrelid = 'bill'::regclass}), qr/id > 0/, 'and the policy');
$before = picture();

# 3. Savepoints

for my $rule (sort keys %bad) {
  $db->do($_) for 'BEGIN', 'SAVEPOINT s', @{$bad{$rule}}, 'ROLLBACK TO s', 'COMMIT';
  is(picture(), $before, "$rule: rolled back to a savepoint, nobody minds");
  $db->do($_) for 'BEGIN', 'SAVEPOINT s', @{$bad{$rule}}, 'RELEASE s';
  refused($db, 'COMMIT', '42P16', qr/: $rule: /, "$rule: released, it is refused");
}
$db->do($_) for 'BEGIN', 'CREATE TABLE loose (tenant_id bigint)', 'SAVEPOINT s', q{SELECT rls_tenant.protect('loose')}, 'ROLLBACK TO s';
refused($db, 'COMMIT', '42P16', qr/loose: rls_off/, 'protection that is rolled back is none');
$db->do($_) for 'BEGIN', 'SAVEPOINT s', 'DROP TABLE bill CASCADE', 'ROLLBACK TO s', 'ALTER TABLE bill NO FORCE ROW LEVEL SECURITY',
  'ALTER TABLE bill FORCE ROW LEVEL SECURITY', 'COMMIT';
is(picture(), $before, 'a table whose DROP was rolled back is as it was');
$db->do(q{DO $$ BEGIN
  BEGIN CREATE TABLE loose (a int); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END;
END $$});
is(picture(), $before, 'what an exception of PL/pgSQL undid is not refused');
refused($db, q{DO $$ BEGIN
  BEGIN CREATE TABLE loose (a int); EXCEPTION WHEN OTHERS THEN NULL; END;
END $$}, '42P16', qr/loose: no_tenant_column/, 'and no exception handler hides from the guard');

# 4. Dropped and made again under its name

$db->do($_) for 'BEGIN', 'DROP TABLE later CASCADE', 'CREATE TABLE later (tenant_id bigint, other int)';
refused($db, 'COMMIT', '42P16', qr/later: rls_off/, 'a table made again under its name needs its protection again');
is(picture(), $before, 'and the first one stays');
$db->do($_) for 'BEGIN', 'DROP TABLE later CASCADE', 'CREATE TABLE later (tenant_id bigint)', 'DROP TABLE later',
  'CREATE TABLE later (tenant_id bigint)', q{SELECT rls_tenant.protect('later')}, 'COMMIT';
is(faults(), '', 'with it, it passes');
$before = picture();

# 5. The check itself fails

# The check needs the exemptions, which another session has locked: time runs out, or somebody cancels. (PostgreSQL stops the
# clock of statement_timeout before it runs a COMMIT that a client sends, but not one inside DO.)
my $locker = $server->connect('failure');
for my $how ('statement_timeout', 'lock_timeout', 'pg_cancel_backend') {
  my $state = $how eq 'lock_timeout' ? '55P03' : '57014';
  $locker->do($_) for 'BEGIN', 'LOCK TABLE rls_tenant.exemption IN ACCESS EXCLUSIVE MODE';
  my $session = $server->connect('failure');
  my $commit = 'COMMIT';
  if ($how eq 'statement_timeout') {
    $commit = 'DO $$ BEGIN CREATE TABLE loose (a int); COMMIT; END $$';
  } else {
    $session->do($_) for 'BEGIN', 'CREATE TABLE loose (a int)';
  }
  my $child;
  if ($how eq 'pg_cancel_backend') {
    my $pid = $session->{pg_pid};
    $child = fork() // die "fork: $!";
    if ($child == 0) {
      my $killer = $server->connect('failure');
      my $sent = wait_until(sub { value($killer, "SELECT pg_cancel_backend($pid) FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'") });
      POSIX::_exit($sent ? 0 : 1);
    }
  } else {
    $session->do("SET $how = '200ms'");
  }
  refused($session, $commit, $state, qr/cancel/, "$how during the check ends the transaction");
  if ($child) {
    waitpid($child, 0);
    is($?, 0, 'as somebody asked');
  }
  $locker->do('ROLLBACK');
  is(picture(), $before, "$how: nothing of it is left");
  refused($session, 'CREATE TABLE loose (a int)', '42P16', qr/loose: no_tenant_column/, "$how: and the next transaction is checked");
  is(value($session, 'SELECT 1'), 1, "$how: the session goes on");
}

# An exemption that says nothing waives nothing.
$db->do(q{INSERT INTO rls_tenant.exemption (schema_name, relation_pattern, rules, reason) VALUES ('public', 'loose%', $1, 'r')}, undef, $_->[0])
  && refused($db, 'CREATE TABLE loose (a int)', '42P16', qr/loose: no_tenant_column/, "an exemption from the rules $_->[0] does not waive all")
  && $db->do(q{DELETE FROM rls_tenant.exemption})
  for ['{NULL}'], ['{nonsense}'], ['{{nonsense,NULL},{NULL,rls_off}}'];
$db->do('ALTER TABLE rls_tenant.exemption DROP CONSTRAINT exemption_relation_pattern_check');
$db->do(q{INSERT INTO rls_tenant.exemption (schema_name, relation_pattern, reason) VALUES ('public', 'loose\\', 'r'), ('gone', '\\', 'r')});
refused($db, 'CREATE TABLE loose_too (a int)', '22025', qr/LIKE pattern must not end with escape character/,
  'a broken pattern, which the table itself does not take, fails the transaction');
$db->do(q{DELETE FROM rls_tenant.exemption});

# A policy that names what is gone. PostgreSQL keeps that from happening; a broken catalog does not.
$db->do($_) for 'CREATE FUNCTION vanishing(bigint) RETURNS boolean LANGUAGE sql RETURN $1 > 0', 'BEGIN',
  'CREATE TABLE broken (tenant_id bigint, id int)', q{SELECT rls_tenant.protect('broken', access => 'vanishing(id)')}, 'COMMIT';
$db->do('SET allow_system_table_mods = on');
my $function = $db->selectall_arrayref(q{DELETE FROM pg_proc WHERE proname = 'vanishing' RETURNING oid})->[0][0];
$db->do('ALTER TABLE broken ADD COLUMN more int');
pass('a policy with a function that is gone: what does no harm passes');
$db->do($_) for 'BEGIN', 'DROP POLICY tenant_isolation ON broken', "DELETE FROM pg_depend WHERE objid = $function OR refobjid = $function";
$db->do('CREATE POLICY open ON broken USING (id > 0)');
refused($db, 'COMMIT', '42P16', qr/broken: not_confined/, 'and what does is refused');
$db->do('DROP TABLE broken');
is(picture(), $before, 'and it can be dropped');

# 6. Views that read each other, and that read one below many times over

$db->do($_) for 'SET statement_timeout = \'30s\'', 'CREATE VIEW ring_a AS SELECT 1 AS id', 'CREATE VIEW ring_b AS SELECT * FROM ring_a',
  'CREATE OR REPLACE VIEW ring_a AS SELECT * FROM ring_b';
pass('views that read each other, which PostgreSQL allows, are no endless walk');
$db->do($_) for 'BEGIN', 'SET LOCAL ROLE bypass', 'CREATE VIEW deep_0 AS SELECT id FROM bill', map({
  my $below = $_ - 1;
  "CREATE VIEW deep_$_ AS SELECT p.id FROM deep_$below p, deep_$below q"
} 1 .. 30);
refused($db, 'COMMIT', '42P16', qr/31 relations.*deep_30: view_bypass: it reads public\.bill as role "bypass"/s,
  'thirty views, each of which reads the one below twice, are walked through once');
$db->do('DROP VIEW ring_a CASCADE');
$db->do($_) for 'BEGIN', 'CREATE TABLE first_0 (tenant_id bigint)', 'CREATE TABLE second_0 (tenant_id bigint)',
  q{SELECT rls_tenant.protect('first_0')}, q{SELECT rls_tenant.protect('second_0')};
$db->do('SET client_min_messages = error');
for my $i (1 .. 25) {
  my $above = $i - 1;
  $db->do("CREATE TABLE ${_}_$i () INHERITS (first_$above, second_$above)") for 'first', 'second';
}
$db->do('COMMIT');
is(faults(), '', 'tables that inherit from two, which inherit from two, and so on are protected');
$db->do('DROP TABLE first_0, second_0 CASCADE');
$db->do('RESET ALL');
is(picture(), $before, 'and gone');

# 7. One bad among a thousand

$db->do($_) for 'BEGIN', q{DO $$ BEGIN FOR i IN 1 .. 1000 LOOP
  EXECUTE format('CREATE TABLE many_%s (tenant_id bigint NOT NULL)', i);
  IF i <> 777 THEN PERFORM rls_tenant.protect(format('many_%s', i)::regclass); END IF;
END LOOP; END $$};
refused($db, 'COMMIT', '42P16', qr/^ERROR:  table public\.many_777 does not keep tenants apart\nDETAIL:  public\.many_777: rls_off: [^\n]*\n[^\n]*\nHINT/,
  'the one bad table among a thousand is found, and no other is named');
is(picture(), $before, 'and none of them stays');

# 8. Many sessions at once: each makes tables, good ones and bad ones, and tries its bad things on those of all

# What one session does; gives the names of the tables that it has committed.
sub worker {
  my ($number) = @_;
  srand(4711 + $number);
  my $session = $server->connect('failure');
  $session->do('SET deadlock_timeout = \'100ms\'');
  my @made;
  for my $round (1 .. 30) {
    my $name = "t_${number}_$round";
    my $good = rand() < 0.5;
    my @statements = ($good || rand() < 0.5) ? ("CREATE TABLE $name (tenant_id bigint, id int)") : ();
    push @statements, "SELECT rls_tenant.protect('$name')" if $good;
    push @statements, @{$bad{(sort keys %bad)[rand keys %bad]}} if !$good;
    my $level = ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')[rand 3];
    my $done = eval { $session->do($_) for "BEGIN ISOLATION LEVEL $level", @statements, 'COMMIT'; 1 };
    my $state = $session->state;
    eval { $session->do('ROLLBACK') };
    if ($done) {
      push @made, $name if $good;
      die "$name: a bad transaction was committed: @statements\n" if !$good;
    }
    elsif ($good || $state !~ /^(42P16|40P01|40001|55P03|42P07|23505|42710)$/) { die "$name: $state " . $session->errstr . "\n" }
  }
  return @made;
}

my %made;
my @children;
for my $number (1 .. 6) {
  pipe(my $reader, my $writer) or die "pipe: $!";
  my $child = fork() // die "fork: $!";
  if ($child == 0) {
    my @names = eval { worker($number) };
    syswrite($writer, $@ ne '' ? "error: $@" : "@names");
    POSIX::_exit(0);
  }
  close($writer);
  push @children, [$child, $reader];
}
for my $child (@children) {
  local $/;
  my $text = readline($child->[1]) // '';
  waitpid($child->[0], 0);
  unlike($text, qr/^error|^$/, 'a session at work with others does what is good, and nothing else') or diag($text);
  $made{$_} = 1 for split ' ', $text;
}
is(faults(), '', 'many sessions at once: nothing bad stays');
is(rows($db, q{SELECT relname FROM pg_class WHERE relname ~ '^t_\d' AND relkind = 'r' ORDER BY relname COLLATE "C"}), join("\n", sort keys %made),
  'and nothing good is lost');
is(rows($db, q{SELECT count(*) FROM pg_class WHERE relname IN ('loose', 'leak', 'kept', 'bill_id')}), '0', 'nor anything half');

my @signals = $server->log =~ /was terminated by signal (\d+)/g;
is("@signals", '9 9 9', 'no other crash than the three that were meant');
unlike($server->log, qr/PANIC/, 'and no panic');
done_testing();
