# What a session does over and over must not let it grow: refused settings, memberships queried again after each change,
# users who come and go, cursors.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
my $db = $server->connect($server->database('memory', 1));
$db->do($_) for
  q{SELECT rls_tenant.exempt('public', '%', 'a test')},
  'CREATE TABLE member (user_id int, tenant_id int, role text)',
  q{INSERT INTO member SELECT u, g, 'r' FROM generate_series(1, 300) u, generate_series(1, 20) g},
  q{SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id', 'role')},
  'CREATE TABLE doc (id int PRIMARY KEY, tenant_id int)',
  'INSERT INTO doc SELECT g, g % 20 FROM generate_series(1, 100) g',
  q{CREATE FUNCTION asks(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT rls_tenant.is_member($1)); END'};
my $pid = value($db, 'SELECT pg_backend_pid()');

# The kB that the session's process holds for itself, without shared buffers.
sub resident {
  my ($kilobytes) = Cluster::slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
  return $kilobytes;
}

my @work = (
  ['settings that are refused', q{
    DO $$ BEGIN FOR i IN 1..8000 LOOP
      BEGIN PERFORM set_config('rls_tenant.tenant_id', E'\x01' || i, true); EXCEPTION WHEN OTHERS THEN NULL; END;
    END LOOP; END $$}],
  ['a tenant that cannot change any more', q{
    DO $$ BEGIN
      PERFORM rls_tenant.set_context(1); PERFORM rls_tenant.current_tenant_bigint();
      FOR i IN 1..8000 LOOP
        BEGIN PERFORM rls_tenant.set_context(2); EXCEPTION WHEN OTHERS THEN NULL; END;
      END LOOP; END $$}],
  ['memberships that change before each check', q{
    DO $$ BEGIN FOR i IN 1..1000 LOOP
      UPDATE member SET role = 'r' WHERE user_id = 5 AND tenant_id = 5; COMMIT;
      PERFORM rls_tenant.set_context(1, NULL, i % 300); PERFORM rls_tenant.is_member(5); COMMIT;
    END LOOP; END $$}],
  ['own changes within a transaction', q{
    DO $$ BEGIN PERFORM rls_tenant.set_context(1, NULL, 7);
      FOR i IN 1..1000 LOOP
        UPDATE member SET role = 'r' WHERE user_id = 5 AND tenant_id = 5; PERFORM rls_tenant.is_member(5);
      END LOOP; END $$}],
  ['users who come and go in a small cache', q{

    DO $$ BEGIN FOR i IN 1..8000 LOOP
      PERFORM rls_tenant.set_context(1, NULL, i % 300); PERFORM rls_tenant.is_member(5); COMMIT;
    END LOOP; END $$}],
  ['queries whose functions ask', q{
    DO $$ DECLARE r record; BEGIN PERFORM rls_tenant.set_context(1, NULL, 7);
      FOR i IN 1..100 LOOP
        FOR r IN SELECT id FROM doc WHERE asks(tenant_id) LOOP NULL; END LOOP;
      END LOOP; END $$}],
  ['checks that fail', q{
    DO $$ BEGIN PERFORM rls_tenant.set_context(1, NULL, 7);
      FOR i IN 1..2000 LOOP
        BEGIN PERFORM rls_tenant.is_member(5, 'none'); EXCEPTION WHEN OTHERS THEN NULL; END;
      END LOOP; END $$}],
);
$db->do('SET rls_tenant.membership_cache_size = 64');
for my $work (@work) {
  my ($title, $statement) = @$work;
  $db->do($statement);  # what grows once, and memory that the allocator keeps
  my $before = resident();
  $db->do($statement) for 1 .. 2;
  my $grown = resident() - $before;
  cmp_ok($grown, '<', 700, "$title: $grown kB more after twice as much");
}

# Within one statement: an argument of CALL may point to a value that was read until the procedure returns, so that
# those of all its transactions are kept, but each only once.
$db->do(q{
  DO $$ BEGIN FOR i IN 1..5000 LOOP
    PERFORM rls_tenant.set_context((i % 20)::text); PERFORM rls_tenant.current_tenant_text(); COMMIT;
    IF i % 1000 = 0 THEN
      PERFORM set_config('test.bytes_' || i, sum(total_bytes)::text, false)
      FROM pg_backend_memory_contexts WHERE name LIKE 'rls_tenant context%';
    END IF;
  END LOOP; END $$});
my ($early, $late) = map { value($db, "SELECT current_setting('test.bytes_$_')") } 1000, 5000;
cmp_ok($early, '>', 0, "the context's memory is known: $early bytes after 1,000 transactions of a procedure");
is($late, $early, 'and no more after 5,000 for the same tenants');

$db->disconnect;
done_testing;
