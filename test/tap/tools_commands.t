# PostgreSQL's own commands on and beside tenant tables, with the guard in mode refuse: what rewrites, copies or indexes a
# table leaves it protected, and what makes another table of it needs its own protection.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
$server->role('commands_app');
my $db = $server->connect($server->database('commands', 1));
$db->do($_) for
  q{SELECT rls_tenant.exempt('public', 'country', 'the same for all')},
  'CREATE TABLE country (code text PRIMARY KEY, name text)',
  q{INSERT INTO country SELECT i, 'name ' || i FROM generate_series(1, 100) i},
  'BEGIN',
  'CREATE TABLE bill (id int PRIMARY KEY, tenant_id bigint, note text, n int)',
  q{SELECT rls_tenant.protect('bill', access => 'note <> ''x''')},
  'CREATE TABLE parted (id int, tenant_id bigint) PARTITION BY RANGE (id)',
  q{SELECT rls_tenant.protect('parted')},
  'CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000)',
  'COMMIT',
  q{INSERT INTO bill SELECT i, i % 3, 'note', i FROM generate_series(1, 99) i},
  'INSERT INTO parted SELECT i, i % 3 FROM generate_series(1, 99) i',
  'GRANT SELECT ON bill, parted, country TO commands_app';

# How the tenant tables are protected, and what a tenant sees.
sub picture {
  my $app = $server->connect('commands', user => 'commands_app');
  $app->do('BEGIN');
  $app->do('SELECT rls_tenant.set_context(1)');
  my $seen = rows($app, 'SELECT count(*), count(DISTINCT tenant_id) FROM bill UNION ALL SELECT count(*), count(DISTINCT tenant_id) FROM parted');
  $app->disconnect;
  return join("\n", $seen, rows($db, q{SELECT oid::regclass, relrowsecurity, relforcerowsecurity FROM pg_class
    WHERE relname IN ('bill', 'parted', 'parted_1') ORDER BY 1}),
    rows($db, q{SELECT polrelid::regclass, polname, polpermissive, pg_get_expr(polqual, polrelid) FROM pg_policy ORDER BY 1, 2}));
}
my $before = picture();
like($before, qr/\A33\|1\n33\|1\nbill\|1\|1\nparted\|1\|1\nparted_1\|1\|1\n/, 'two tenant tables');

# 1. What stays the same table

for my $table ('bill', 'parted', 'parted_1', 'country') {
  my $is_parted = $table eq 'parted';
  my $column = $table eq 'country' ? 'code' : 'id';
  my @commands = (
    ($is_parted ? () : ("CREATE INDEX CONCURRENTLY more ON $table ($column)", 'REINDEX INDEX CONCURRENTLY more', 'DROP INDEX CONCURRENTLY more')),
    "CREATE INDEX more ON $table ($column)", "REINDEX TABLE $table", "REINDEX TABLE CONCURRENTLY $table",
    "VACUUM $table", "VACUUM (FREEZE, ANALYZE) $table", "VACUUM FULL $table", "ANALYZE $table",
    ($is_parted && $ENV{PG_MAJOR} < 16 ? () : "CLUSTER $table USING more"), 'DROP INDEX more',
    "ALTER TABLE $table ALTER COLUMN $column SET STATISTICS 10",
    ($table eq 'bill' ? ('ALTER TABLE bill ALTER COLUMN n TYPE bigint', 'ALTER TABLE bill SET UNLOGGED', 'ALTER TABLE bill SET LOGGED') : ()),
    ($table eq 'parted_1' ? () : ("ALTER TABLE $table ADD COLUMN extra uuid DEFAULT gen_random_uuid()", "ALTER TABLE $table DROP COLUMN extra")),
    # A new name would bring an exempt table out of its exemption.
    ($table eq 'country' ? () : ("ALTER TABLE $table RENAME TO renamed", "ALTER TABLE renamed RENAME TO $table")),
    "COMMENT ON TABLE $table IS 'nothing'", "CREATE STATISTICS more_statistics ON $column, ctid FROM $table",
  );
  $commands[-1] = $table eq 'country' ? 'CREATE STATISTICS more_statistics ON code, name FROM country'
    : "CREATE STATISTICS more_statistics ON id, tenant_id FROM $table";
  push @commands, 'DROP STATISTICS more_statistics';
  my @wrong;
  for my $command (@commands) {
    next if eval { $db->do($command); 1 };
    push @wrong, "$command: " . $db->errstr;
  }
  is(join("\n", @wrong), '', "$table: " . @commands . ' commands that index and rewrite it pass');
  is(picture(), $before, "$table: and nothing has changed");
}
refused($db, 'ALTER TABLE bill ALTER COLUMN tenant_id TYPE text', '0A000', qr/used in a policy/, 'PostgreSQL holds the tenant column\'s type');
is(picture(), $before, 'so that it stays');

# 2. What makes another table

my %copies = (
  'LIKE INCLUDING ALL' => 'CREATE TABLE copy (LIKE bill INCLUDING ALL)',
  'CREATE TABLE AS' => 'CREATE TABLE copy AS SELECT * FROM bill',
  'CREATE TABLE AS WITH NO DATA' => 'CREATE TABLE copy AS SELECT * FROM bill WITH NO DATA',
  'CREATE TABLE AS TABLE' => 'CREATE TABLE copy AS TABLE bill',
  'SELECT INTO' => 'SELECT * INTO copy FROM bill',
  'CREATE TABLE AS EXECUTE' => 'CREATE TABLE copy AS EXECUTE all_bills',
  'CREATE UNLOGGED TABLE' => 'CREATE UNLOGGED TABLE copy AS SELECT * FROM bill',
  'EXPLAIN ANALYZE' => 'EXPLAIN (ANALYZE) CREATE TABLE copy AS SELECT * FROM bill',
  'DO' => 'DO $$ BEGIN CREATE TABLE copy AS SELECT * FROM bill; END $$',
  'CREATE SCHEMA' => 'CREATE SCHEMA other CREATE TABLE copy (id int, tenant_id bigint)',
);
$db->do('PREPARE all_bills AS SELECT * FROM bill');
for my $how (sort keys %copies) {
  my $copy = $how eq 'CREATE SCHEMA' ? 'other.copy' : 'copy';
  refused($db, $copies{$how}, '42P16', qr/copy: rls_off: row-level security is not enabled\n +SELECT rls_tenant\.protect\('(public|other)\.copy'\);/,
    "$how: the copy of a tenant table is refused");
  is(value($db, 'SELECT to_regclass(?)', $copy), undef, "$how: and not there");
  $db->do($_) for 'BEGIN', $copies{$how}, "SELECT rls_tenant.protect('$copy')", 'COMMIT';
  is(rows($db, "SELECT * FROM rls_tenant.table_faults('$copy')"), '', "$how: with protect() in the same transaction it passes");
  $db->do("DROP TABLE $copy");
  (my $temporary = $copies{$how}) =~ s/(TABLE|INTO) copy/$1 pg_temp.copy/;
  next if $how eq 'CREATE SCHEMA' || $how eq 'CREATE UNLOGGED TABLE';
  $db->do($_) for $temporary, 'DROP TABLE pg_temp.copy';
  pass("$how: a temporary one passes");
}
refused($db, 'CREATE TABLE summary AS SELECT code FROM country', '42P16', qr/summary: no_tenant_column/,
  'a copy of a table that belongs to no tenant is refused, too');
$db->do($_) for 'BEGIN', 'CREATE TABLE summary AS SELECT code FROM country', q{SELECT rls_tenant.exempt('public', 'summary', 'as country')}, 'COMMIT';
pass('if it is not exempted in the same transaction');
is(picture(), $before, 'and nothing has changed in the tables themselves');

$db->disconnect;
done_testing;
