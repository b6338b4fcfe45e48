# Logical replication of tenant tables between databases that both have the extension: the first copy and what follows come
# through row-level security and guard, in tables with parts, too; and an error says when the subscription's role is held.

use strict;
use warnings;
use Cluster;
use Shop;
use Test::More;

my $publisher = Cluster->start('applied_from', 'wal_level = logical');
my $subscriber = Cluster->start('applied_to', 'wal_retrieve_retry_interval = 100ms', 'max_logical_replication_workers = 8');
for my $server ($publisher, $subscriber) { $server->role($_) for 'dump_app', 'dump_owner' }

my @tables = qw(shop.orders shop.lines shop.events shop.paper shop.member);
my @queries = map { "SELECT * FROM $_ ORDER BY 1, 2" } @tables;
$queries[2] =~ s/\*/tableoid::regclass, */;

sub content { my ($db) = @_; return join("\n\n", map { rows($db, $_) } @queries) }

# From 16 on changes are applied as the owner of each table unless this is said, and forced row-level security holds owners.
my $as_subscriber = $ENV{PG_MAJOR} >= 16 ? 'run_as_owner = true, ' : '';

# Subscribes in a database of its own, which has the same tables, without rows. Gives a connection to it.
sub subscribe {
  my ($name, $options, $setting) = @_;
  my $target = $subscriber->connect($subscriber->database($name, 1));
  make_shop($target);
  $target->do($_) for 'TRUNCATE ' . join(', ', @tables), $setting // ();
  $target->do("CREATE SUBSCRIPTION $name CONNECTION 'host=$publisher->{host} port=5432 user=postgres dbname=$name'
    PUBLICATION pub WITH ($options disable_on_error = true)");
  return $target;
}

# Publishes the tables of a database of its own; parts under their own names or under their table's.
sub publish {
  my ($name, $by_root) = @_;
  my $source = $publisher->connect($publisher->database($name, 1));
  make_shop($source);
  $source->do($_) for
    (map { "ALTER TABLE shop.$_ REPLICA IDENTITY FULL" } 'events', 'events_2025', 'events_rest', 'events_rest_0'),
    'CREATE PUBLICATION pub FOR TABLE ' . join(', ', @tables) . " WITH (publish_via_partition_root = $by_root)";
  return $source;
}

# Waits until what has been written so far has been applied.
sub wait_for {
  my ($source, $name) = @_;
  my $here = value($source, 'SELECT pg_current_wal_insert_lsn()');
  $source->do(q{SELECT pg_logical_emit_message(false, 'test', '')});    # something that comes after it
  wait_until(sub { value($source, 'SELECT replay_lsn >= ?::pg_lsn FROM pg_stat_replication WHERE application_name = ?', $here, $name) }, 60)
    or die "$name does not catch up: " . substr($subscriber->log, -2000);
}

# 1. A subscription of a superuser's

for my $way (['leaves', 'false'], ['roots', 'true', q{ALTER DATABASE roots SET session_preload_libraries = 'rls_tenant'}]) {
  my ($name, $by_root, $setting) = @$way;
  my $source = publish($name, $by_root);
  my $target = subscribe($name, $as_subscriber, $setting);
  wait_until(sub { value($target, q{SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel}) }, 60)
    or die 'no first copy: ' . substr($subscriber->log, -2000);
  is(content($target), content($source), "$name: the first copy brings every row");
  like(content($target), qr/shop\.events_rest_0\|/, "$name: into the parts, too");
  test_shop($subscriber, $name, $name);

  # The application changes rows of a tenant; a superuser those of all.
  my $app = $publisher->connect($name, user => 'dump_app');
  $app->do($_) for
    'BEGIN', "SELECT rls_tenant.set_context('$tenant_a'::uuid)",
    q{INSERT INTO shop.orders (id, note) VALUES (20, 'new')},
    'DELETE FROM shop.events WHERE id = 2',
    'UPDATE shop.events SET id = 40 WHERE id = 4',
    'COMMIT';
  is(value($source, "SELECT count(*) FROM shop.orders WHERE id = 20 AND tenant_id = '$tenant_a'"), 1, "$name: the application writes");
  $source->do($_) for
    q{UPDATE shop.orders SET note = 'all'},
    q{UPDATE shop.events SET at = '2027-01-01' WHERE at < '2026-01-01'},
    "INSERT INTO shop.lines VALUES (20, '$tenant_a', 20)",
    'DELETE FROM shop.paper WHERE id = 2',
    q{INSERT INTO shop.paper VALUES (3, 7)};
  wait_for($source, $name);
  is(content($target), content($source), "$name: INSERT, UPDATE, DELETE and moves between parts arrive");
  my $reader = $subscriber->connect($name, user => 'dump_app');
  $reader->do($_) for 'BEGIN', "SELECT rls_tenant.set_context('$tenant_a'::uuid)";
  is(rows($reader, 'SELECT id FROM shop.orders ORDER BY 1'), join("\n", 2, 4, 6, 8, 10, 20),
    "$name: a tenant reads its rows there");
  is(value($reader, 'SELECT count(*) FROM shop.events'), 4, "$name: in parts, too");
  $reader->do('COMMIT');
  $reader->do($_) for 'BEGIN', q{SET LOCAL rls_tenant.user_id = '1'};
  is(rows($reader, 'SELECT id FROM shop.paper ORDER BY 1'), "1\n3", "$name: and a user those of its tenants");
  $reader->do('COMMIT');
  $source->do('TRUNCATE shop.events');
  wait_for($source, $name);
  is(value($target, 'SELECT count(*) FROM shop.events'), 0, "$name: TRUNCATE arrives");
  $target->do("DROP SUBSCRIPTION $name");
}

# 2. A role that row-level security holds

my $source = publish('held', 'true');
my $target;
if ($ENV{PG_MAJOR} >= 16) {
  $target = subscribe('held', '');
} else {
  $target = subscribe('held', 'enabled = false, ');
  $subscriber->role('held', 'LOGIN SUPERUSER');
  $target->do($_) for
    'ALTER SUBSCRIPTION held OWNER TO held', 'ALTER ROLE held NOSUPERUSER', 'GRANT USAGE ON SCHEMA shop TO held',
    'GRANT ALL ON ALL TABLES IN SCHEMA shop TO held', 'ALTER SUBSCRIPTION held ENABLE';
}
ok(wait_until(sub { !value($target, 'SELECT subenabled FROM pg_subscription') && $subscriber->log =~ /cannot replicate into relation/ }, 60),
  'a subscription whose role is held by row-level security stops');
my $held = $ENV{PG_MAJOR} >= 16 ? 'dump_owner' : 'held';
like(($subscriber->log =~ /ERROR: +(.*cannot replicate.*)/)[0], qr/^user "$held" cannot replicate into relation with row-level security enabled: "\w+"$/,
  'with an error that names the role and the table');
is(value($target, 'SELECT count(*) FROM shop.orders'), 0, 'and nothing was applied');
done_testing();
