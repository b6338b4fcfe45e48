# What is left when something fails or changes halfway: a look into the catalogs that is cancelled, an object that another
# session drops meanwhile, a check that is made again and again.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
my $log_begin = length $server->log;
$server->role('app');
$server->database('interrupted', 1);
my $db = $server->connect('interrupted');
my $other = $server->connect('interrupted');
$db->do($_) for
  'BEGIN',
  'CREATE TABLE doc (id bigint, tenant_id bigint)',
  q{SELECT rls_tenant.protect('doc')},
  'GRANT SELECT ON doc TO app',
  'COMMIT',
  'INSERT INTO doc VALUES (1, 1), (2, 2)';

# 1. A look-up of the extension's own functions that fails

my $app = $server->connect('interrupted', user => 'app');
my $hold = 'DECLARE held CURSOR WITH HOLD FOR SELECT id, tenant_id FROM doc';

# Fails in the middle of looking up what is ours, since pg_proc is locked; then lets everything go on.
sub interrupt_look_up {
  $app->do($_) for 'BEGIN', 'SELECT rls_tenant.set_context(1)', 'SELECT id FROM doc';
  $other->do($_) for 'BEGIN', 'LOCK TABLE pg_class IN ROW SHARE MODE';
  $db->do('GRANT EXECUTE ON FUNCTION rls_tenant.tenant_setting() TO postgres');
  $db->do('REVOKE EXECUTE ON FUNCTION rls_tenant.tenant_setting() FROM postgres');
  $db->do('GRANT EXECUTE ON FUNCTION rls_tenant.tenant_setting() TO PUBLIC');
  $other->do('LOCK TABLE pg_proc IN ACCESS EXCLUSIVE MODE');
  refused($app, 'SELECT id FROM doc', '57014', qr/statement timeout/, 'a look-up of functions can be cancelled');
  $other->do('ROLLBACK');
  $app->do('ROLLBACK');
}

$app->do(q{SET statement_timeout = '1s'});
interrupt_look_up();
$app->do('RESET statement_timeout');
$app->do($_) for 'BEGIN', 'SELECT rls_tenant.set_context(1)';
refused($app, $hold, '42P11', qr/cannot outlive its transaction/, 'after that a cursor over rows of a tenant is still refused');
$app->do('ROLLBACK');
$app->do($_) for 'BEGIN', 'SELECT rls_tenant.set_context(1)', 'DECLARE rows CURSOR FOR SELECT id FROM doc';
is(value($app, q{SELECT string_agg(id::text, ' ') FROM doc}), '1', 'and a tenant reads its rows');
$app->do('ROLLBACK');

# 2. Caches that are thrown away all the time (only a PostgreSQL that was built for it can be told to)

SKIP: {
  skip 'debug_discard_caches cannot be set here', 2 if !eval { $db->do('SET debug_discard_caches = 1'); 1 };
  $db->do($_) for q{SET statement_timeout = '100s'}, 'BEGIN', 'SELECT rls_tenant.set_context(2)';
  is(value($db, 'SELECT rls_tenant.current_tenant_bigint()'), '2', 'debug_discard_caches: the context is read');
  $db->do($_) for 'GRANT SELECT ON doc TO app', 'SET LOCAL ROLE app';
  is(rows($db, 'SELECT * FROM doc'), '2|2', 'and a tenant reads its rows');
  $db->do($_) for 'ROLLBACK', 'RESET debug_discard_caches', 'RESET statement_timeout';
}

unlike(substr($server->log, $log_begin), qr/was terminated by signal|TRAP:|PANIC/, 'nothing has crashed');
done_testing();
