# Random policies: what explain_access() says of each row and command against what PostgreSQL does.
#
# RLS_TENANT_SEED repeats a run, RLS_TENANT_CASES says how many sets of policies it makes (default 40).

use strict;
use warnings;
use Cluster;
use Test::More;

my $cases = $ENV{RLS_TENANT_CASES} // 40;
my $seed = $ENV{RLS_TENANT_SEED} // int(rand(2**31));
srand($seed);
diag("RLS_TENANT_SEED=$seed RLS_TENANT_CASES=$cases");

sub pick { return $_[rand @_] }

# Conditions that are true, false, NULL or raise, by the tenant, by other columns and by sub-selects.
my @atoms = (
  'tenant_id = rls_tenant.current_tenant_bigint()', 'tenant_id = (SELECT rls_tenant.current_tenant_bigint())',
  'EXISTS (SELECT FROM ref r WHERE r.id = k AND r.tenant_id = rls_tenant.current_tenant_bigint())',
  'k IN (SELECT id FROM ref)', '(tenant_id = 2) IS NOT TRUE', 'k > 2', 'k IS NOT NULL', q{s = 'a'}, q{NOT (s = 'b')},
  'k / (k - 3) > 0', 'true', 'false', 'NULL');

sub expression {
  my ($depth) = @_;
  return pick(@atoms) if $depth == 0 || rand() < 0.35;
  return sprintf('(%s %s %s)', expression($depth - 1), pick('AND', 'OR'), expression($depth - 1));
}

sub policy {
  my ($number) = @_;
  my $command = pick(qw(ALL SELECT INSERT UPDATE DELETE));
  my $check = $command eq 'INSERT' || ($command =~ /ALL|UPDATE/ && rand() < 0.4);
  return sprintf('CREATE POLICY p%d ON t AS %s FOR %s TO %s%s%s', $number, pick('PERMISSIVE', 'PERMISSIVE', 'RESTRICTIVE'),
    $command, pick('PUBLIC', 'explained', 'stranger'), $command eq 'INSERT' ? '' : ' USING (' . expression(2) . ')',
    $check ? ' WITH CHECK (' . expression(2) . ')' : '');
}

my $server = Cluster->running;
$server->database('explaining');
$server->role($_) for qw(explained stranger);
my $db = $server->connect('explaining');
$db->do($_) for (
  q{CREATE EXTENSION rls_tenant}, q{SET rls_tenant.guard = off},
  q{CREATE TABLE ref (id int, tenant_id int)}, q{INSERT INTO ref VALUES (1, 1), (2, 2), (3, NULL)}, q{GRANT SELECT ON ref TO explained});

# Whether the command reaches the row: yes, no, or it raises. It is undone.
sub reaches {
  my ($command, $row) = @_;
  my ($id, @values) = ($row->{id}, map { $db->quote($_) } @$row{qw(id tenant_id k s)});
  my $statement = $command eq 'SELECT' ? "SELECT FROM t WHERE id = $id"
    : $command eq 'DELETE' ? "DELETE FROM t WHERE id = $id"
    : $command eq 'UPDATE' ? "UPDATE t SET s = s WHERE id = $id"
    : 'INSERT INTO t VALUES (' . join(', ', @values) . ')';
  $db->do('SAVEPOINT attempt');
  $db->do('SET LOCAL ROLE explained');
  my $count = eval { $db->do($statement) };
  my $result = defined $count ? ($count > 0 ? 'yes' : 'no') : $db->state eq '42501' ? 'no' : 'raises';
  $db->do('ROLLBACK TO attempt');
  return $result;
}

my (%judged, @different);
for my $case (1 .. $cases) {
  $db->do('DROP TABLE IF EXISTS t');
  $db->do('CREATE TABLE t (id int, tenant_id int, k int, s text)');
  $db->do(q{INSERT INTO t SELECT g, nullif(g % 4, 3), CASE WHEN g % 7 <> 0 THEN g % 5 END, ('{a,b,NULL}'::text[])[1 + g % 3] FROM generate_series(1, 12) g});
  $db->do('ALTER TABLE t ENABLE ROW LEVEL SECURITY');
  $db->do('GRANT ALL ON t TO explained');
  my @policies = map { policy($_) } 1 .. 1 + int(rand(5));
  # Every fourth set lies above the policies of a table with public rows.
  push @policies, map { s/;$//r } @{$db->selectcol_arrayref(q{SELECT * FROM rls_tenant.protect_sql('t', access => 'true', public_read => ?) s WHERE s LIKE 'CREATE POLICY%'},
    undef, pick('k > 2', q{s = 'a' OR k IS NULL}))} if $case % 4 == 0;
  $db->do($_) for @policies;
  my $rows = $db->selectall_hashref('SELECT ctid, * FROM t', 'ctid');
  $db->do('BEGIN');
  $db->do(q{SET LOCAL rls_tenant.tenant_id = '1'});
  for my $said (@{$db->selectall_arrayref(q{SELECT * FROM rls_tenant.explain_access('t', 'true', 'explained')}, { Slice => {} })}) {
    my ($ctid) = $said->{row_key} =~ /^ctid=(.*)$/;
    my $done = reaches($said->{command}, $rows->{$ctid});
    my $explained = $said->{reason} =~ /error:/ ? 'raises' : $said->{allowed} ? 'yes' : 'no';
    $judged{$done}++;
    # The planner may try another part first: one that raises, or one that spares that.
    next if $done eq $explained || $done eq 'raises' || $explained eq 'raises';
    push @different, join("\n", "$said->{row_key} $said->{command}: explained $explained, done $done: $said->{reason}", @policies);
  }
  $db->do('ROLLBACK');
}
is(join("\n\n", @different), '', 'each row and command is explained as PostgreSQL does it');
cmp_ok($judged{yes} // 0, '>', 0, 'some were allowed') or diag(explain(\%judged));
cmp_ok($judged{no} // 0, '>', 0, 'some were not');

$db->disconnect;
done_testing;
