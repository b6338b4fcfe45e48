#!/usr/bin/perl
# Random writes under random policies, with the library and without it. Its planner's part takes checks out of statements
# that are made already or that nothing can fail, whoever has written the policies: so in two sessions, of which one has
# loaded the library, each statement must return the same rows or raise the same error, leave the same rows behind, and
# ask volatile functions as often.
#
#   RLS_TENANT_SEED    repeats a run; it is printed at the start
#   RLS_TENANT_WRITES  how many tables there are, each with two dozen statements; 150 unless told

use strict;
use warnings;
use Cluster;
use Test::More;

my $cases = $ENV{RLS_TENANT_WRITES} // 150;
my $seed = $ENV{RLS_TENANT_SEED} // int(rand(2**31));
srand($seed);
diag("RLS_TENANT_SEED=$seed RLS_TENANT_WRITES=$cases");

my $server = Cluster->running;
$server->role('random_writer', 'NOLOGIN');
$server->database('random_writes');
my ($admin, $plain, $loaded) = map { $server->connect('random_writes') } 1 .. 3;
$_->do('SET client_min_messages = error') for $admin, $plain, $loaded;
$loaded->do("LOAD 'rls_tenant'");

sub pick { return $_[rand @_] }
sub chance { return rand() < $_[0] }

my $tenant = q{current_setting('app.tenant')::int};
$admin->do($_) for
  'CREATE TABLE member (t int)', 'INSERT INTO member VALUES (1), (2)', 'GRANT SELECT ON member TO random_writer',
  'CREATE SEQUENCE asked', 'GRANT ALL ON SEQUENCE asked TO random_writer',
  q{CREATE FUNCTION ask(int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN nextval('asked') > 0 AND $1 < 4; END $$},
  q{CREATE FUNCTION is_listed(int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN $1 IN (SELECT t FROM member); END $$},
  # What triggers do to a row.
  (map { my ($name, $body) = @$_; "CREATE FUNCTION $name() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN $body END \$\$" }
    ['moves_tenant', 'NEW.t = NEW.t % 3 + 1; RETURN NEW;'], ['changes_a', 'NEW.a = NEW.a + 1; RETURN NEW;'],
    ['changes_b', 'NEW.b = 2; RETURN NEW;'], ['changes_nothing', 'RETURN NEW;'],
    ['skips', 'IF NEW.b = 1 THEN RETURN NULL; END IF; RETURN NEW;']);

# --- A table

my (%table, @made, @targets, $statements);
my @triggers = qw(moves_tenant moves_tenant changes_a changes_b changes_nothing skips);

# Makes something of the case, for all sessions.
sub make {
  my ($sql) = @_;
  my $done = eval { $admin->do($sql); 1 };
  push @made, $done ? $sql : "-- refused: $sql";
  return $done;
}

sub expression {
  my @simple = ("t = $tenant", "t = $tenant", "t = $tenant", "t = $tenant AND a < 5", 'a <> 3', 'b IS DISTINCT FROM 2', 'true');
  return pick("g = $tenant", "g = $tenant AND a < 6") if $table{generated} && chance(0.4);
  return pick(@simple) if chance(0.6);
  return pick('own(w)', 'is_listed(t)', 'ask(t)', 'EXISTS (SELECT FROM member m WHERE m.t = w.t)', 't = (SELECT max(t) FROM member)',
    'w.tableoid <> 0', "w.ctid < '(0,9)'", 'w IS NOT NULL', "t = ANY (ARRAY[$tenant, 3])", 'b < 4');
}

sub make_policy {
  my $number = ++$table{policies};
  my $command = pick('ALL', 'ALL', 'ALL', 'SELECT', 'INSERT', 'UPDATE', 'UPDATE', 'DELETE');
  my $using = $command eq 'INSERT' ? '' : ' USING (' . expression() . ')';
  my $check = $command =~ /SELECT|DELETE/ || ($using && chance(0.7)) ? '' : ' WITH CHECK (' . expression() . ')';
  make(sprintf 'CREATE POLICY p%d ON w AS %s FOR %s%s%s%s', $number, chance(0.4) ? 'RESTRICTIVE' : 'PERMISSIVE', $command,
    chance(0.2) ? ' TO random_writer' : '', $using, $check);
}

sub make_trigger {
  my $number = ++$table{triggers};
  my $events = pick('UPDATE', 'UPDATE', 'INSERT', 'INSERT OR UPDATE', 'UPDATE OF b');
  make(sprintf 'CREATE TRIGGER t%d %s %s ON %s FOR EACH ROW EXECUTE FUNCTION %s()', $number, pick('BEFORE', 'BEFORE', 'AFTER'), $events,
    pick('w', @{$table{parts}}), pick(@triggers));
}

sub make_table {
  (@made, %table) = ();
  $admin->do('DROP TABLE IF EXISTS w CASCADE');
  $table{kind} = pick('plain', 'plain', 'parent', 'partitioned');
  $table{generated} = chance(0.3);
  my $key = $table{key} = $table{kind} eq 'partitioned' ? 'id, a' : 'id';
  make("CREATE TABLE w (id int, t int DEFAULT $tenant, a int, b int, list int[]"
      . ($table{generated} ? ', g int GENERATED ALWAYS AS (t + a / 4) STORED' : '')
      . ($table{kind} eq 'parent' ? ')' : ", PRIMARY KEY ($key))") . ($table{kind} eq 'partitioned' ? ' PARTITION BY LIST (a)' : ''));
  make('ALTER TABLE w ADD PRIMARY KEY (id)') if $table{kind} eq 'parent';
  @{$table{parts}} = $table{kind} eq 'plain' ? () : qw(w_1 w_2);
  if ($table{kind} eq 'partitioned') {
    make('CREATE TABLE w_1 PARTITION OF w FOR VALUES IN (1, 2, 3)');
    make('CREATE TABLE w_2 PARTITION OF w DEFAULT');
  } elsif ($table{kind} eq 'parent') {
    make("CREATE TABLE $_ (PRIMARY KEY (id)) INHERITS (w)") for qw(w_1 w_2);
  }
  make("CREATE FUNCTION own(w) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT \$1.t = $tenant'" =~ s/'app.tenant'/''app.tenant''/r);
  make("INSERT INTO " . ($table{kind} eq 'parent' ? pick('w', 'w_1', 'w_2') : 'w')
      . ' (id, t, a, b) VALUES ' . join ', ', map { sprintf '(%d, %d, %d, %d)', $_, 1 + $_ % 3, 1 + $_ % 5, $_ % 4 } 3 * $_ .. 3 * $_ + 2)
    for 0 .. 3;
  make('ALTER TABLE w ENABLE ROW LEVEL SECURITY');
  make_policy() for 1 .. 1 + rand 4;
  make_trigger() for 1 .. rand 2.2;
  @targets = ('w', 'w', 'w', @{$table{parts}});
  push @targets, 'ONLY w' if $table{kind} eq 'parent';
  if (chance(0.4)) {
    make(sprintf 'CREATE VIEW v WITH (%s) AS SELECT * FROM w WHERE b < 3 %s', pick('security_invoker', 'security_barrier'),
      pick('', 'WITH LOCAL CHECK OPTION', 'WITH CASCADED CHECK OPTION'));
    push @targets, 'v';
  }
  make("GRANT ALL ON $_ TO random_writer") for 'w', @{$table{parts}}, (grep { $_ eq 'v' } @targets);
}

# Something else changes between the statements.
sub alter {
  return make_policy() if chance(0.3);
  return make_trigger() if chance(0.4);
  return make(sprintf 'ALTER TABLE w %s TRIGGER t%d', pick('DISABLE', 'ENABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA'), $table{triggers})
    if $table{triggers} && chance(0.5);
  return make('DROP POLICY p' . $table{policies}) if $table{policies} > 1 && chance(0.5);
  return make('CREATE TABLE w_late () INHERITS (w)') if $table{kind} ne 'partitioned' && !$table{late}++;
}

# --- A statement

sub assignment {
  return pick('b = 2', 'b = b + 1', 'a = 2', 'a = a + 3', 't = 2', "t = $tenant", 't = DEFAULT', 'list[1] = 5', '(a, b) = (SELECT 4, 1)',
    '(t, b) = (SELECT 1, 1)', 'id = id');
}
sub assignments { my %seen; return join ', ', grep { my ($column) = /^\(?(\w+)/; !$seen{$column}++ } map { assignment() } 1 .. 1 + rand 2; }
sub returning { return chance(0.5) ? ' RETURNING ' . pick('x.id, x.t, x.b', 'x.*', '1') : '' }
sub values_of { return join ', ', map { sprintf '(%d, %s, %d, %d)', rand 16, pick('DEFAULT', 1 .. 3), 1 + rand 5, rand 4 } 1 .. 1 + rand 2 }

sub update {
  my $from = chance(0.2) ? ' FROM member m' : '';
  my @conditions = ($from ? 'm.t = x.t' : (), chance(0.6) ? 'x.id = ' . int rand 12 : (), chance(0.2) ? 'x.b > 0' : ());
  return "UPDATE $_[0] AS x SET " . (assignments() || 'b = 1') . $from . (@conditions ? ' WHERE ' . join(' AND ', @conditions) : '') . returning();
}

sub insert {
  my ($target) = @_;
  my $conflict = $target eq 'ONLY w' || chance(0.3) ? '' : chance(0.15) ? ' ON CONFLICT DO NOTHING'
    : " ON CONFLICT ($table{key}) DO UPDATE SET " . pick(assignments() || 'b = 1', 'b = excluded.b', 'a = excluded.a, b = 1')
    . (chance(0.3) ? ' WHERE x.b < 3' : '');
  return "INSERT INTO " . ($target eq 'ONLY w' ? 'w' : $target) . ' AS x (id, t, a, b) VALUES ' . values_of() . $conflict . returning();
}

sub merge {
  my ($target) = @_;
  return sprintf 'MERGE INTO %s x USING (VALUES (%d, 1), (%d, 2), (20, 3)) n(id, v) ON x.id = n.id WHEN MATCHED %sTHEN %s WHEN NOT MATCHED THEN %s',
    $target eq 'v' ? 'w' : $target, 1 + rand 5, 6 + rand 5, chance(0.3) ? 'AND x.b < 3 ' : '', pick('UPDATE SET b = n.v', 'UPDATE SET t = n.v', 'DELETE'),
    pick('DO NOTHING', 'INSERT (id, t, a, b) VALUES (n.id, n.v, 1, 1)');
}

sub statement {
  my $target = pick(@targets);
  my $kind = rand;
  return update($target) if $kind < 0.4;
  return insert($target) if $kind < 0.75;
  return merge($target) if $kind < 0.83;
  return "DELETE FROM $target AS x" . (chance(0.5) ? ' WHERE x.id < 6' : '') . returning() if $kind < 0.88;
  my $inner = (chance(0.6) ? update($target) : insert($target)) =~ s/ RETURNING .*//r;
  return "WITH c AS ($inner RETURNING x.id, x.t) SELECT * FROM c" if $kind < 0.95;
  return "WITH c AS ($inner RETURNING x.id) " . update('w');
}

# What a statement does in a session: its rows or its error, how often a volatile function was asked, and all rows that are
# there then. All is undone.
sub outcome {
  my ($session, $sql, $as, $replica) = @_;
  $session->do('BEGIN');
  $session->do("SELECT setval('asked', 1)");
  $session->do('SET LOCAL session_replication_role = replica') if $replica;
  $session->do("SET LOCAL app.tenant = '$as'");
  $session->do('SET LOCAL ROLE random_writer');
  $session->do('SAVEPOINT s');
  my $got = eval {
    my $handle = $session->prepare($sql, {pg_direct => 1});
    $handle->execute;
    $handle->{NUM_OF_FIELDS} ? join("\n", sort map { join '|', map { ref $_ ? "{@$_}" : $_ // '-' } @$_ } @{$handle->fetchall_arrayref}) : $handle->rows;
  };
  if (!defined $got) {
    $got = $session->state . ' ' . $session->errstr =~ s/\n.*//sr;
    $session->do('ROLLBACK TO s');
  }
  $session->do('RESET ROLE');
  my $result = join "\n", $got, 'asked ' . value($session, 'SELECT last_value FROM asked'),
    rows($session, 'SELECT tableoid::regclass, w::text FROM w ORDER BY 1, 2');
  $session->do('ROLLBACK');
  return $result;
}

my (@differences, %seen);
for my $case (1 .. $cases) {
  make_table();
  $_->do('DEALLOCATE ALL') for $plain, $loaded;
  my @prepared;
  for my $step (1 .. 24) {
    alter() if chance(0.15);
    my ($sql, $as, $replica) = (statement(), 1 + int rand 3, chance(0.05));
    if (@prepared && chance(0.4)) {
      $sql = 'EXECUTE ' . pick(@prepared);
    } elsif (chance(0.4)) {
      # Both refuse to prepare what is wrong, or neither.
      my $name = "s$step";
      my @failed = map { my $session = $_; eval { $session->do("PREPARE $name AS $sql"); '' } // $session->errstr =~ s/\n.*//sr } $plain, $loaded;
      push @differences, join "\n", @made, $sql, @failed if $failed[0] ne $failed[1];
      next if $failed[0];
      push @made, "PREPARE $name AS $sql";
      push @prepared, $name;
      $sql = "EXECUTE $name";
    }
    my @outcomes = map { outcome($_, $sql, $as, $replica) } $plain, $loaded;
    $statements++;
    $seen{$outcomes[0] =~ /^(42501)/ ? 'refused' : $outcomes[0] =~ /^[0-9A-Z]{5} / ? 'failed' : 'done'}++;
    next if $outcomes[0] eq $outcomes[1];
    push @differences, join "\n", map({ "$_;" } @made), "as $as" . ($replica ? ', replica' : '') . ": $sql;", '-- without the library:', $outcomes[0],
      '-- with it:', $outcomes[1];
  }
}
diag(sprintf '%d statements: %s', $statements, join ', ', map { "$seen{$_} $_" } sort keys %seen);
is(scalar @differences, 0, 'every write does the same with the library and without it') || diag($differences[0]);
cmp_ok($seen{$_} // 0, '>', $statements / 50, "of the statements many are $_") for 'done', 'refused';
done_testing;
