# Sessions check memberships while others change them: no answer is stale. An answer is stale when it was given to a statement
# that was sent after the change had been acknowledged, and the membership was not changed again before it arrived; or
# when it shows what was never committed.
#
# The proof: a file holds one word for each user and group, written by the only process that changes that membership. It
# counts up with every write and says what holds: in flux from before the COMMIT is sent until it is acknowledged,
# else the role or none. A checker reads the words, asks, and reads them again: where a word is the same and not in
# flux, nothing but what it says held all the while.
#
# Sizes, by environment variables:
#   RLS_TENANT_CHANGES   committed changes in all (20000)
#   RLS_TENANT_CHECKERS  sessions that check (4)
#   RLS_TENANT_CHANGERS  sessions that change (2)
#   RLS_TENANT_SEED      seed of what they do (made up and printed)

use strict;
use warnings;
use Cluster;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $changes = $ENV{RLS_TENANT_CHANGES} // 20_000;
my $checkers = $ENV{RLS_TENANT_CHECKERS} // 4;
my $changers = $ENV{RLS_TENANT_CHANGERS} // 2;
my $seed = $ENV{RLS_TENANT_SEED} // time % 1_000_000;
my ($users, $groups, $docs) = (6, 16, 5);
diag("seed $seed");

my $server = Cluster->start('stress');
my $directory = $server->{host};
$server->database('stress', 1);
$server->role('stress_app');

# 1. The words

use constant {NONE => 0, GUEST => 1, ADMIN => 2, FLUX => 3};
my @roles = (undef, 'guest', 'admin');
my $words;    # the open file

sub open_words { open($words, '+<:raw', "$directory/words") or die "words: $!" }

sub place { my ($user, $group) = @_; return 4 * ($user * $groups + $group) }

# The words of all of a user's groups.
sub read_words {
  my ($user) = @_;
  sysseek($words, place($user, 0), 0) or die "words: $!";
  sysread($words, my $bytes, 4 * $groups) == 4 * $groups or die "words: $!";
  return unpack('L*', $bytes);
}

my %word;    # what this process has written

sub write_word {
  my ($pair, $content) = @_;
  $word{"@$pair"} = (($word{"@$pair"} // 0) & ~3) + 4 + $content;
  sysseek($words, place(@$pair), 0) or die "words: $!";
  syswrite($words, pack('L', $word{"@$pair"})) == 4 or die "words: $!";
  return;
}

sub content { my ($pair) = @_; return ($word{"@$pair"} // 0) & 3 }

# 2. Changing

sub pick { return $_[rand @_] }

my ($db, %did, %tried);

# The statement that gives a membership another content, by one of several ways.
sub statement_for {
  my ($pair, $content) = @_;
  my ($user, $group) = @$pair;
  my $table = pick('member', 'member', 'member_' . $user % 2);
  my $where = "user_id = $user AND tenant_id = $group";
  my $role = $roles[$content] // '';
  my $merge = "MERGE INTO member m USING (VALUES ($user, $group)) v (u, g) ON m.user_id = v.u AND m.tenant_id = v.g";
  my @ways =
      $content == NONE ? ("DELETE FROM $table WHERE $where", "$merge WHEN MATCHED THEN DELETE",
        "UPDATE $table SET active = false WHERE $where")
    : content($pair) == NONE ? (
        "INSERT INTO $table VALUES ($user, $group, '$role') ON CONFLICT (user_id, tenant_id) DO UPDATE SET role = '$role', active = true")
    : ("UPDATE $table SET role = '$role' WHERE $where", "$merge WHEN MATCHED THEN UPDATE SET role = '$role'");
  return pick(@ways);
}

# Another content than it has, mostly none where it has one.
sub other_content {
  my ($pair) = @_;
  my $now = content($pair);
  return pick(GUEST, ADMIN) if $now == NONE;
  return rand() < 0.7 ? NONE : $now == GUEST ? ADMIN : GUEST;
}

# Runs what ends a transaction; the words tell of it before and after.
sub end_with {
  my ($statement, $new) = @_;
  write_word($_->[0], FLUX) for @$new;
  $db->do($statement);
  write_word(@$_) for @$new;
  return scalar @$new;
}

# Ways to change; each gets one or more pairs with their new contents and says how many changes it has committed.
my %ways = (
  'one statement' => sub { my ($new) = @_; return end_with(statement_for(@{$new->[0]}), [$new->[0]]) },
  'a transaction' => sub {
    my ($new) = @_;
    $db->do('BEGIN');
    $db->do(statement_for(@$_)) for @$new;
    return end_with('COMMIT', $new);
  },
  'two phases' => sub {
    my ($new) = @_;
    $db->do('BEGIN');
    $db->do(statement_for(@$_)) for @$new;
    $db->do("PREPARE TRANSACTION 't$$'");
    return end_with("COMMIT PREPARED 't$$'", $new) if rand() < 0.7;
    $db->do("ROLLBACK PREPARED 't$$'");
    return 0;
  },
  'undone' => sub {
    my ($new) = @_;
    $db->do('BEGIN');
    $db->do(statement_for(@$_)) for @$new;
    $db->do('ROLLBACK');
    return 0;
  },
  'undone in part' => sub {
    my ($new) = @_;
    my ($first, @others) = @$new;
    $db->do('BEGIN');
    $db->do(statement_for(@$first));
    $db->do('SAVEPOINT s');
    $db->do(statement_for(@$_)) for @others;
    $db->do('ROLLBACK TO s');
    return end_with('COMMIT', [$first]);
  },
  'as a replica' => sub {
    my ($new) = @_;
    $db->do('BEGIN');
    $db->do('SET LOCAL session_replication_role = replica');
    $db->do(statement_for(@$_)) for @$new;
    return end_with('COMMIT', $new);
  },
);
my @ways = ('one statement', 'one statement', sort keys %ways);

sub change {
  my ($number) = @_;
  my @pairs = grep { ($_->[0] + $_->[1]) % $changers == $number }
    map { my $user = $_; map { [$user, $_] } 0 .. $groups - 1 } 0 .. $users - 1;
  $db = $server->connect('stress');
  my $goal = int($changes / $changers);
  while (($did{changes} // 0) < $goal) {
    my %new = map { ("@$_" => $_) } map { pick(@pairs) } 1 .. 1 + rand 3;
    my $way = pick(@ways);
    $did{changes} += $ways{$way}->([map { [$_, other_content($_)] } @new{sort keys %new}]);
    $tried{$way}++;
  }
  return;
}

# 3. Checking

my (@stale, @words_before, $user);

# Remembers what holds, before a statement is sent.
sub before { @words_before = read_words($user); return }

# Compares an answer, group by group, with what held before and after. $test gives, for a content, what must be answered.
sub after {
  my ($kind, $answers, $test) = @_;
  my @now = read_words($user);
  $tried{$kind}++;
  for my $group (sort { $a <=> $b } keys %$answers) {
    my $word = $words_before[$group];
    next if $word != $now[$group] || ($word & 3) == FLUX;
    $did{proofs}++;
    my $wanted = $test->($word & 3);
    next if !defined $wanted || $answers->{$group} == ($wanted ? 1 : 0);
    push @stale, "$kind: user $user, group $group: $answers->{$group} where the role is " . ($roles[$word & 3] // 'none');
  }
  return;
}

my $member = sub { return $_[0] != NONE };
my $admin = sub { return $_[0] == ADMIN };
# Rows may be missing, but none may be there of a group that the user is not in.
my $no_more = sub { return $_[0] == NONE ? 0 : undef };

# A set of groups as answers for all groups.
sub set { my %in = map { ($_ => 1) } @_; return {map { ($_ => $in{$_} // 0) } 0 .. $groups - 1} }

sub column { my ($query) = @_; return map { $_->[0] } @{$db->selectall_arrayref($query)} }

my %prepared;

# A statement that the session prepares once.
sub prepared {
  my ($query, @arguments) = @_;
  my $statement = $prepared{$query} //= $db->prepare($query, {pg_prepare_now => 1});
  $statement->execute(@arguments);
  return map { $_->[0] } @{$statement->fetchall_arrayref};
}

my $scan = 'SELECT DISTINCT tenant_id FROM doc';
my %checks = (
  is_member => sub {
    my $group = int rand $groups;
    before();
    after('is_member', {$group => value($db, "SELECT rls_tenant.is_member($group)")}, $member);
  },
  'is_member, prepared' => sub {
    my $group = int rand $groups;
    before();
    after('is_member, prepared', {$group => (prepared('SELECT rls_tenant.is_member($1::int)', $group))[0]}, $member);
  },
  'has_role, prepared' => sub {
    my $group = int rand $groups;
    before();
    after('has_role, prepared', {$group => (prepared(q{SELECT rls_tenant.has_role($1::int, 'admin')}, $group))[0]}, $admin);
  },
  member_groups => sub {
    before();
    after('member_groups', set(column('SELECT unnest(rls_tenant.member_groups_bigint())')), $member);
  },
  'member_groups of a role' => sub {
    before();
    after('member_groups of a role', set(column(q{SELECT unnest(rls_tenant.member_groups_bigint(role => 'admin'))})), $admin);
  },
  'rows by index' => sub {
    $db->do('SET LOCAL enable_seqscan = off');
    before();
    after('rows by index', set(column($scan)), $member);
    $db->do('SET LOCAL enable_seqscan = on');
  },
  'rows, prepared' => sub { before(); after('rows, prepared', set(prepared($scan)), $member) },
  'rows of a function' => sub { before(); after('rows of a function', set(column('SELECT * FROM groups_seen()')), $member) },
  'an UPDATE' => sub {
    before();
    after('an UPDATE', set(column('UPDATE touched SET n = n WHERE true RETURNING tenant_id')), $member);
  },
);

# A cursor is read bit by bit; it may be refused when a membership was lost, which ends the transaction: false then.
sub check_cursor {
  $db->do(q{DECLARE c CURSOR FOR SELECT tenant_id FROM doc ORDER BY id});
  for my $fetch (1 .. 2 + rand 6) {
    before();
    my @rows = eval { column('FETCH 7 FROM c') };
    if ($@) {
      push @stale, 'a cursor: ' . $db->errstr if $db->state ne '55000' || $fetch == 1;
      $tried{'a cursor, refused'}++;
      $db->do('ROLLBACK');
      return 0;
    }
    my $answers = set(@rows);
    after('a cursor', $answers, $no_more);
    last if !@rows;
  }
  $db->do('CLOSE c');
  return 1;
}

sub check {
  my ($number) = @_;
  $db = $server->connect('stress', user => 'stress_app');
  $db->do('SET plan_cache_mode = force_generic_plan') if $number % 2;
  my @kinds = sort keys %checks;
  until (-e "$directory/done") {
    $user = int rand $users;
    $db->do('BEGIN ISOLATION LEVEL ' . pick('READ COMMITTED', 'REPEATABLE READ'));
    $db->do("SET LOCAL rls_tenant.user_id = '$user'");
    my $open = 1;
    for (1 .. 1 + rand 8) {
      if (rand() < 0.08) { $open = check_cursor() or last; next }
      my $kind = pick(@kinds);
      # At REPEATABLE READ rows that others have written cannot be written: these are written by checkers alone.
      next if $kind eq 'an UPDATE' && rand() < 0.9;
      if (!eval { $checks{$kind}->(); 1 }) {
        my $error = $@;
        push @stale, "$kind: $error" if ($db->state // '') ne '40001';
        $db->do('ROLLBACK');
        $open = 0;
        last;
      }
    }
    $db->do(pick('COMMIT', 'ROLLBACK')) if $open;
    last if @stale > 20;
    sleep(0.005);    # the changers' turn, where processors are few
  }
  $did{queries} = value($db, 'SELECT queries FROM rls_tenant.membership_cache()');
  return;
}

# 4. All at once

my $admin_db = $server->connect('stress');
$admin_db->do('SET rls_tenant.guard = off');
$admin_db->do($_) for
  'CREATE TABLE member (user_id int, tenant_id int, role text NOT NULL, active boolean NOT NULL DEFAULT true,
    PRIMARY KEY (user_id, tenant_id)) PARTITION BY LIST (user_id)',
  (map { my $part = $_; "CREATE TABLE member_$part PARTITION OF member FOR VALUES IN ("
    . join(', ', grep { $_ % 2 == $part } 0 .. $users - 1) . ')' } 0, 1),
  q{SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id', 'role', 'active')},
  'CREATE TABLE doc (id serial PRIMARY KEY, tenant_id int NOT NULL)',
  'CREATE INDEX ON doc (tenant_id)',
  "INSERT INTO doc (tenant_id) SELECT i % $groups FROM generate_series(1, $groups * $docs) i",
  'CREATE TABLE touched (tenant_id int PRIMARY KEY, n int)',
  "INSERT INTO touched SELECT i, 0 FROM generate_series(0, $groups - 1) i",
  q{SELECT rls_tenant.protect('doc', membership => 'tenant'), rls_tenant.protect('touched', membership => 'tenant')},
  'GRANT ALL ON doc, touched TO stress_app',
  q{CREATE FUNCTION groups_seen() RETURNS SETOF int LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN QUERY SELECT DISTINCT tenant_id FROM doc; END'},
  'ANALYZE doc, touched, member';
open(my $empty, '>:raw', "$directory/words") or die "words: $!";
print $empty pack('L', 0) x ($users * $groups);
close($empty);

# Starts one of the processes; it leaves a file of what it did and found.
sub start {
  my ($name, $number, $code) = @_;
  my $pid = fork // die "fork: $!";
  return $pid if $pid;
  srand($seed * 1000 + $number);
  open_words();
  my $done = eval { $code->($number); 1 };
  my $error = $@ =~ s/\n/ /gr;
  open(my $file, '>', "$directory/$name.$number") or POSIX::_exit(1);
  print $file "stale\t$_\n" =~ s/\n(?!\z)/ /gr for @stale;
  print $file "did\t$_\t$did{$_}\n" for sort keys %did;
  print $file "tried\t$_\t$tried{$_}\n" for sort keys %tried;
  print $file $done ? "end\n" : "died\t$error\n";
  close($file);
  POSIX::_exit(0);
}

my $start = time;
my @checking = map { start('checker', $_, \&check) } 1 .. $checkers;
my @changing = map { start('changer', $_, \&change) } 0 .. $changers - 1;
waitpid($_, 0) for @changing;
my $seconds = time - $start;
open(my $flag, '>', "$directory/done") or die "done: $!";
close($flag);
waitpid($_, 0) for @checking;

my (@found, %total, $ended);
for my $file (glob("$directory/checker.* $directory/changer.*")) {
  for (split /\n/, slurp($file)) {
    my ($what, $name, $value) = split /\t/, "$_\t\t";
    if ($what eq 'end') { $ended++ }
    elsif ($what eq 'stale' || $what eq 'died') { push @found, $name }
    else { $total{$name} += $value }
  }
}
is($ended, $checkers + $changers, 'every session came to its end');
cmp_ok($total{changes}, '>=', int($changes / $changers) * $changers, "$total{changes} changes were committed");
same_lines(join("\n", @found), '', 'no answer was stale');
my @idle = grep { !$total{$_} } sort(keys %checks, keys %ways), 'a cursor', 'a cursor, refused';
is("@idle", '', 'everything was tried');
my $checked = 0;
$checked += $total{$_} // 0 for keys %checks, 'a cursor';
note("$checked checks put $total{queries} queries to the tables");
cmp_ok($total{proofs}, '>', $checked, "$total{proofs} times it was certain what the answer had to be");
note(sprintf('%d s', $seconds));
note("$_: $total{$_}") for sort keys %total;
# Where nobody changes any more, all agree with the table.
open_words();
my @wrong;
for my $user (0 .. $users - 1) {
  my $group = 0;
  my $held = join ' ', grep { defined } map { my $role = $roles[$_ & 3]; $group++; $role && ($group - 1) . $role } read_words($user);
  my $rows = value($admin_db, "SELECT coalesce(string_agg(tenant_id || role, ' ' ORDER BY tenant_id), '') FROM member WHERE active AND user_id = $user");
  push @wrong, "user $user: $rows, not $held" if $rows ne $held;
}
same_lines(join("\n", @wrong), '', 'the words say what the table has');
done_testing();
