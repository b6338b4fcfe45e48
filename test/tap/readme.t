# The README's SQL, block by block, as a reader would type it; its tables against what the database has; and the code that doc/drivers.md shows.

use strict;
use warnings;
use Cluster;
use Test::More;

my $readme = slurp("$top/README.md");
my @blocks = $readme =~ /^```sql\n(.*?)^```$/msg;
cmp_ok(scalar @blocks, '>=', 5, 'the README has SQL to type');

# The existing database of the five-minute start.
my $server = Cluster->running;
$server->database('app');
$server->role('web');
my $dba = $server->connect('app');
$dba->do(q{CREATE TABLE customer (id bigint PRIMARY KEY, tenant_id uuid, name text)});
$dba->do(q{CREATE TABLE country (code text PRIMARY KEY)});
$dba->do(q{INSERT INTO customer VALUES (1, '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e', 'ours'), (2, '00000000-0000-0000-0000-000000000000', 'theirs')});
$dba->do(q{GRANT SELECT ON customer TO web});

# The first block shows a table of its own: it comes after the extension is there.
my ($first, @rest) = @blocks;
for my $block (@rest, $first) {
  open(my $file, '>', "$work/readme.sql") or die $!;
  print $file $block;
  close($file);
  my ($status, $output) = $server->run('psql', '-X', '-q', '-d', 'app', '-v', 'ON_ERROR_STOP=1', '-f', "$work/readme.sql");
  my ($title) = $block =~ /\A([^\n]{1,60})/;
  is($status, 0, "runs: $title") or diag($output);
}
my ($status, $output) = $server->run('psql', '-X', '-d', 'app', '-c', q{SELECT rls_tenant.exempt('public', 'country', 'the same for all');});
is($status, 0, 'the exemption runs') or diag($output);

my $web = $server->connect('app', user => 'web');
$web->do(q{BEGIN});
$web->do(q{SELECT rls_tenant.set_context('6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e'::uuid)});
is(rows($web, q{SELECT name FROM customer}), 'ours', 'afterwards the application sees its tenant');
$web->do(q{COMMIT});
refused($web, q{SELECT name FROM customer}, '55000', qr/no tenant is set/, 'and without context an error');
$web->do(q{BEGIN});
refused($web, q{SET LOCAL rls_tenant.tenant_id = '42'}, '22023', qr/invalid value/, 'the declared type holds');
$web->do(q{ROLLBACK});

# Nothing that is there is left out of the reference.
my @names = map { $_->[0] } @{$dba->selectall_arrayref(q{
  SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'rls_tenant'::regnamespace AND obj_description(oid, 'pg_proc') NOT LIKE 'part of audit()%' AND proname !~ '^(fast|index_groups|context_support|guard_note_ddl|table_rules|membership_support|tenant_isolation_support|guard_note_drop|note_membership_change|forget_dropped_sources|check_configuration_row|audit_html_)'
  AND proname !~ '^current_.*_(bigint|text)$'})};
for my $name (sort @names) {
  like($readme, qr/\b\Q$name\E\(/, "the reference has $name()");
}
for my $row (@{$dba->selectall_arrayref(q{SELECT replace(name, 'rls_tenant', '') FROM pg_settings WHERE name LIKE 'rls\_tenant.%'})}) {
  like($readme, qr/`(?:rls_tenant)?\Q$row->[0]\E`/, "the reference has the setting $row->[0]");
}
like($readme, qr/`\Q$_->[0]\E`/, "the reference has the rule $_->[0]") for @{$dba->selectall_arrayref('SELECT unnest(rls_tenant.table_rules())')};

# So for the table of rules in doc/audit.md.
my $audit = slurp("$top/doc/audit.md");
my @documented = map { [split / \| /] } $audit =~ /^\| (`\w+` \| (?:leak|risk|speed|note) \| .*) \|$/mg;
my @rules = @{$dba->selectall_arrayref(q{SELECT format('`%s`', rule), severity, meaning FROM rls_tenant.audit_rules()})};
utf8::decode($_->[2]) for @rules;
is_deeply([map { [@$_[0 .. 2]] } @documented], \@rules, 'doc/audit.md has all rules of the audit, as they are');

# The suite of doc/testing-your-schema.md is the one that is tested, and its table has every function.
my $testing = slurp("$top/doc/testing-your-schema.md");
my ($suite) = $testing =~ /^```sql\n(.*?)^```$/ms;
is($suite, slurp("$top/test/pgtap/tap_example.sql"), 'doc/testing-your-schema.md has the suite of test/pgtap/tap_example.sql');
$dba->do($_) for 'CREATE SCHEMA kit', 'CREATE EXTENSION pgtap', 'CREATE EXTENSION rls_tenant_tap SCHEMA kit';
for my $row (@{$dba->selectall_arrayref(q{
  SELECT DISTINCT proname, CASE WHEN proname <> 'as_tenant' THEN pg_get_function_arguments(oid) END FROM pg_proc
  WHERE pronamespace = 'kit'::regnamespace AND proname NOT LIKE '\_%'})}) {
  my $call = $row->[0] . '(' . ($row->[1] // '') =~ s/::(?:text|name|regclass\[\]|boolean)//gr;
  like($testing, qr/^\| `\Q$call\E/m, "doc/testing-your-schema.md has $call");
}
# The code in doc/drivers.md is that of the examples.
my $drivers = slurp("$top/doc/drivers.md");
is(scalar(() = $drivers =~ /^```/mg), 2 * (() = $drivers =~ /^<!-- \S+ -->\n```/mg), 'all code in doc/drivers.md is of a file');
system('cp', "$top/doc/drivers.md", "$work/drivers.md") == 0 or die;
is(system("$top/tools/include_code", "$work/drivers.md"), 0, 'tools/include_code runs');
same_lines($drivers, slurp("$work/drivers.md"), 'and the code is as it is there (if not: tools/include_code doc/drivers.md)');
my @locks = glob("$top/examples/*/package-lock.json");
is(scalar(grep { slurp($_) =~ /"resolved"/ } @locks), 0, 'package-lock.json names no registry: ' . @locks);

$web->disconnect;
$dba->disconnect;
done_testing;
