#!/usr/bin/perl
# Random queries under is_member() policies against the same queries under EXISTS policies: two tables of the same rows,
# random memberships, indexes, plans and users; the answers must be equal, the order of rows included.
#
# RLS_TENANT_SEED repeats a run, RLS_TENANT_CASES says how many queries it compares (default 1000).

use strict;
use warnings;
use Cluster;
use Test::More;

my $cases = $ENV{RLS_TENANT_CASES} // 1000;
my $seed = $ENV{RLS_TENANT_SEED} // int(rand(2**31));
srand($seed);
diag("RLS_TENANT_SEED=$seed RLS_TENANT_CASES=$cases");

my $server = Cluster->running;
$server->role('random_member');
my $admin = $server->connect($server->database('random_membership', 1));
my $app = $server->connect('random_membership', user => 'random_member');

$app->do('SET jit = off');  # plans that nothing else can be are dear, and would be compiled

sub pick { return $_[rand @_] }
sub chance { return rand() < $_[0] }

# What a group can be: the column's type in the tables, in the source, and a group by its number.
my @types = (
  { name => 'uuids', type => 'uuid', source => 'uuid', group => sub { sprintf '%08x-0000-4000-8000-%012x', $_[0] % 3, $_[0] } },
  { name => 'bigints', type => 'bigint', source => 'bigint', group => sub { $_[0] - 10 } },
  { name => 'integers', type => 'integer', source => 'bigint', group => sub { $_[0] } },
  { name => 'smallints', type => 'smallint', source => 'integer', group => sub { $_[0] - 20 } },
  { name => 'texts', type => 'text', source => 'varchar(20)', group => sub { ('a', 'A', '', 'b ', 'ä', 'longer than 8 ')[$_[0] % 6] . $_[0] } },
  { name => 'words', type => 'varchar(30)', source => 'text', group => sub { 'w' . $_[0] } },
  { name => 'plain_texts', type => 'text COLLATE "C"', source => 'text', group => sub { "g$_[0]" } },
);
my $groups = 40;
my $users = 12;

# A name as a pattern that means it and no other.
sub quoted { my ($name) = @_; return $name =~ s/([\\%_])/\\$1/gr }

$admin->do(q{SELECT rls_tenant.exempt('public', '%', 'a test')});
$admin->do('CREATE TABLE other (id int PRIMARY KEY, tag int)');
$admin->do('INSERT INTO other SELECT g, g % 7 FROM generate_series(1, 150) g');
$admin->do('GRANT SELECT ON other TO random_member');
for my $type (@types) {
  my ($name, $column, $source) = @$type{qw(name type source)};
  $admin->do($_) for
    "CREATE TABLE member_$name (user_id int, g $source, role text, status text)",
    "SELECT rls_tenant.add_membership('$name', 'member_$name', 'user_id', 'g', 'role', 'status <> ''gone''')",
    map({ ("CREATE TABLE ${_}_$name (id int PRIMARY KEY, tenant_id $column, note text)",
      "ALTER TABLE ${_}_$name ENABLE ROW LEVEL SECURITY",
      "GRANT ALL ON ${_}_$name TO random_member") } qw(ours theirs)),
    # By its name: a pattern waives nothing on a table that row-level security has closed.
    "SELECT rls_tenant.exempt('public', '" . quoted("theirs_$name") . "', 'what is compared')",
    "CREATE POLICY p ON ours_$name USING (rls_tenant.is_member(tenant_id, '$name'))",
    "CREATE POLICY p ON theirs_$name USING (EXISTS (SELECT FROM member_$name m WHERE m.user_id = rls_tenant.current_user_bigint()
       AND m.g = tenant_id AND status <> 'gone'))",
    "GRANT SELECT ON member_$name TO random_member";
}

# New rows for both tables of a type; some of no group at all.
sub fill_tables {
  my ($type) = @_;
  my @rows = map { { id => $_, group => chance(0.05) ? undef : $type->{group}->(int rand($groups)) } } 1 .. 30 + int rand(250);
  my $values = join ', ', map { "($_->{id}, " . (defined $_->{group} ? $admin->quote($_->{group}) : 'NULL') . ", 'n' || $_->{id} % 5)" } @rows;
  for my $table ("ours_$type->{name}", "theirs_$type->{name}") {
    $admin->do("TRUNCATE $table");
    $admin->do("INSERT INTO $table VALUES $values");
    $admin->do("ANALYZE $table");
  }
}

# Other indexes, on our table only: the answers must not depend on them.
sub change_indexes {
  my ($type) = @_;
  my $table = "ours_$type->{name}";
  $admin->do("DROP INDEX IF EXISTS $table" . "_$_") for 1 .. 3;
  for my $number (1 .. int rand(4)) {
    my $columns = pick('(tenant_id)', '(tenant_id, id)', '(id, tenant_id)', '(tenant_id DESC NULLS LAST)', '(note, tenant_id, id)',
      '(tenant_id) WHERE id % 2 = 0', '((tenant_id)) INCLUDE (note)', '(lower(tenant_id::text))', 'USING hash (tenant_id)', '(id DESC, tenant_id)');
    $admin->do("CREATE INDEX ${table}_$number ON $table $columns");
  }
}

# One change of memberships, committed.
sub change_members {
  my ($type) = @_;
  my $table = "member_$type->{name}";
  my $user = int rand($users);
  my $group = $admin->quote($type->{group}->(int rand($groups)));
  $admin->do(pick(
    ("INSERT INTO $table VALUES ($user, $group, (ARRAY['admin', 'reader', NULL])[1 + $user % 3], 'active')") x 12,
    "DELETE FROM $table WHERE user_id = $user AND g::text <= $group",
    "UPDATE $table SET status = CASE status WHEN 'gone' THEN 'active' ELSE 'gone' END WHERE user_id = $user AND g::text > $group",
    "UPDATE $table SET user_id = " . int(rand($users)) . " WHERE g = $group",
    "INSERT INTO $table VALUES ($user, NULL, 'admin', 'active')"));
  $admin->do("TRUNCATE $table") if chance(0.01);
}

# Queries of a table T; each gives one value.
my @queries = (
  q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM T},
  q{SELECT string_agg(id::text, ' ') FROM (SELECT id FROM T WHERE id > 20 ORDER BY id LIMIT 9) x},
  q{SELECT string_agg(id::text, ' ') FROM (SELECT id FROM T WHERE id BETWEEN 10 AND 400 ORDER BY id DESC LIMIT 9) x},
  q{SELECT string_agg(id::text, ' ') FROM (SELECT id FROM T ORDER BY tenant_id, id OFFSET 3 LIMIT 20) x},
  q{SELECT string_agg(id::text, ' ') FROM (SELECT id FROM T WHERE note = 'n2' ORDER BY note, id LIMIT 5) x},
  q{SELECT count(*) || ' ' || count(DISTINCT tenant_id) FROM T},
  q{SELECT string_agg(DISTINCT tenant_id::text, ',' ORDER BY tenant_id::text) FROM T WHERE id % 2 = 0},
  q{SELECT count(*) FROM T JOIN other USING (id) WHERE tag = 3},
  q{SELECT string_agg(id || ':' || coalesce(note, '-'), ' ' ORDER BY id) FROM other LEFT JOIN T USING (id) WHERE tag < 2},
  q{SELECT count(*) FROM other FULL JOIN T USING (id) WHERE tag IS NULL OR note IS NULL},
  q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM other o WHERE NOT EXISTS (SELECT FROM T WHERE T.id = o.id)},
  q{SELECT count(*) FROM T a JOIN T b ON a.tenant_id = b.tenant_id AND a.id = b.id + 1},
  q{SELECT count(*) FROM T WHERE tenant_id IN (SELECT tenant_id FROM T WHERE id < 60)},
  q{SELECT max(id) || ' ' || min(id) FROM T},
  q{SELECT string_agg(n, ' ' ORDER BY n) FROM (SELECT note || count(*) AS n FROM T GROUP BY note) x},
  q{WITH c AS (UPDATE T SET note = note || 'x' WHERE id % 3 = 0 RETURNING id) SELECT string_agg(id::text, ' ' ORDER BY id) FROM c},
  q{WITH c AS (DELETE FROM T WHERE note <> 'n1' RETURNING id) SELECT string_agg(id::text, ' ' ORDER BY id) FROM c},
  q{WITH c AS (UPDATE T SET note = 'j' FROM other o WHERE o.id = T.id AND tag = 1 RETURNING T.id) SELECT count(*) FROM c},
  q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM (SELECT id FROM T UNION ALL SELECT id + 1000 FROM T WHERE id < 50) x},
);

# The same answer or the same SQLSTATE.
sub answer {
  my ($query, $prepared) = @_;
  $app->do('SAVEPOINT s');
  my $value = eval {
    if ($prepared) {
      $app->do("PREPARE q AS $query");
      $app->do('EXECUTE q');
    }
    $app->selectrow_array($prepared ? 'EXECUTE q' : $query);
  };
  my $state = $@ ? $app->state : '';
  $app->do('ROLLBACK TO s');
  eval { $app->do('DEALLOCATE q') } if $prepared;
  return $state ? "error $state" : $value // 'NULL';
}

my @wrong;
my $shown = 0;
for my $type (@types) {
  fill_tables($type);
  change_members($type) for 1 .. 60;
}
for my $case (1 .. $cases) {
  my $type = pick(@types);
  fill_tables($type) if chance(0.03);
  change_indexes($type) if chance(0.15);
  change_members($type) if chance(0.5);
  my @settings = map { "SET LOCAL $_" } grep { chance(0.3) } map({ "enable_$_ = off" }
    qw(seqscan indexscan indexonlyscan bitmapscan nestloop hashjoin mergejoin sort hashagg material)),
    'plan_cache_mode = force_generic_plan', 'rls_tenant.membership_cost = 100', 'rls_tenant.membership_cache_size = 0';
  push @settings, map({ "SET LOCAL $_" } 'max_parallel_workers_per_gather = 2', 'parallel_setup_cost = 0',
    'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0', 'min_parallel_index_scan_size = 0') if chance(0.2);
  my $query = pick(@queries);
  my $prepared = chance(0.2);
  my $user = int rand($users);
  $app->do(pick('BEGIN', 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ'));
  $app->do($_) for @settings, "SET LOCAL rls_tenant.user_id = $user";
  my ($ours, $theirs) = map { my $table = "${_}_$type->{name}"; answer($query =~ s/\bT\b/$table/gr, $prepared) } qw(ours theirs);
  $shown++ if $theirs ne 'NULL' && $theirs ne '0';
  push @wrong, "user $user of $type->{name}: $query\n  ours: $ours\n  theirs: $theirs\n  " . join('; ', @settings) if $ours ne $theirs;
  $app->do('ROLLBACK');
}
is(join("\n", @wrong), '', "is_member() and EXISTS give the same in $cases cases");
cmp_ok($shown, '>', $cases / 2, 'most of them had something to show');

$_->disconnect for $app, $admin;
done_testing;
