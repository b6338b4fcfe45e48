# Work over all tenants: what an owner's backfill does, a migrator that bypasses policies, and for_each_tenant(), which may be
# stopped, killed and called again without doing a tenant twice.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->start('all_tenants');
my $db = $server->connect($server->database('all_tenants', 1));
my $tenants = 60;
$db->do($_) for (
  'CREATE ROLE owner',
  'CREATE ROLE deployer LOGIN IN ROLE owner',
  'CREATE ROLE worker',
  'CREATE ROLE other LOGIN',
  'GRANT CREATE, USAGE ON SCHEMA public TO owner',
  q{SELECT rls_tenant.exempt('public', 'tenant', 'the list of tenants')},
  'BEGIN', 'SET ROLE owner',
  'CREATE TABLE tenant (id bigint PRIMARY KEY)',
  'CREATE TABLE invoice (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id bigint, net int NOT NULL, done int NOT NULL DEFAULT 0, UNIQUE (tenant_id, id))',
  'CREATE TABLE line (invoice_id bigint, tenant_id bigint, FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoice (tenant_id, id) DEFERRABLE INITIALLY DEFERRED)',
  q{SELECT rls_tenant.protect('invoice'), rls_tenant.protect('line')},
  'GRANT SELECT, INSERT, UPDATE, DELETE ON invoice, line TO worker', 'GRANT SELECT ON tenant TO worker, other',
  'COMMIT', 'RESET ROLE',
  "INSERT INTO tenant SELECT generate_series(1, $tenants)",
  "INSERT INTO invoice (tenant_id, net) SELECT t, i FROM generate_series(1, $tenants) t, generate_series(1, 5) i",
);
my $counts = 'SELECT tenant_id, count(*) FROM invoice GROUP BY 1 ORDER BY 1';
my $before = rows($db, $counts);
my $each = 'UPDATE invoice SET done = done + 1';

# Runs a CALL in a session of its own; gives its notices and warnings, and the error, if there was one.
my @messages;
local $SIG{__WARN__} = sub { push @messages, @_ };
sub call {
  my ($user, $arguments) = @_;
  my $session = $server->connect('all_tenants', user => $user, PrintWarn => 1);
  @messages = ();
  my $done = eval { $session->do("CALL rls_tenant.for_each_tenant($arguments)"); 1 };
  return (join('', map { /^((?:NOTICE|WARNING).*)/m ? "$1\n" : $_ } @messages), $done ? undef : $session->state . ' ' . $session->errstr);
}

# How often each tenant's rows were worked on: count of tenants by number.
sub worked { return rows($db, 'SELECT done, count(DISTINCT tenant_id) FROM invoice GROUP BY 1 ORDER BY 1') }

# 1. What does not do

my $owner = $server->connect('all_tenants', user => 'deployer');
refused($owner, $each, '55000', qr/no tenant/i, 'an owner\'s backfill without a context is an error, not an UPDATE of nothing');

# 2. A migrator that bypasses policies

$db->do('CREATE ROLE migrator BYPASSRLS IN ROLE owner');
$db->do('GRANT migrator TO deployer');
$owner->do('SET ROLE migrator');
is($owner->do('UPDATE invoice SET net = net'), 5 * $tenants, 'a migrator with BYPASSRLS reaches every row at once');
my $findings = q{SELECT rule, object FROM rls_tenant.audit() WHERE object_type = 'role'};
is(rows($db, $findings), 'bypass_login|deployer', 'and the audit tells which login can become it');
$db->do(q{SELECT rls_tenant.exempt('*', 'deployer', 'for migrations alone', '{bypass_login}')});
is(rows($db, $findings), '', 'which is accepted with a reason');
my (undef, $error) = call('postgres', q{'SELECT id FROM tenant', 'UPDATE invoice SET done = done + 1'});
like($error, qr/^55000 .*row-level security does not apply to role "postgres".*as_role => 'tenant_worker'/s,
  'for_each_tenant() does not run where each statement would reach all rows');

# 3. Each tenant once

my ($notices) = call('deployer', q{'SELECT id FROM tenant ORDER BY id;', 'UPDATE invoice SET done = done + 1'});
like($notices, qr/^NOTICE: +$tenants of $tenants tenants done, 0 failed, ${\(5 * $tenants)} rows, [0-9.]+ a second$/, 'it says what it has done');
is(worked(), "1|$tenants", 'each tenant once');
is(rows($db, $counts), $before, 'no row has gone to another tenant');
is(value($db, 'SELECT count(*) FROM rls_tenant.tenant_run'), 0, 'a run without a name leaves nothing');
call('deployer', q{'SELECT id FROM tenant', 'UPDATE invoice SET done = done + 1'});
is(worked(), "2|$tenants", 'and starts again when it is called again');
($notices) = call('postgres', q{'SELECT id FROM tenant UNION ALL SELECT 1', 'UPDATE invoice SET done = done + 1', as_role => 'worker'});
is(worked(), "3|$tenants", 'a superuser has another role do it; a tenant that is named twice is done once');
call('deployer', q{'SELECT 1 WHERE false', 'UPDATE invoice SET done = done + 1'});
is(worked(), "3|$tenants", 'no tenants, nothing done');
# The table of steps is known to be empty when its statements are planned, and grows by a row a tenant.
$db->do('VACUUM ANALYZE rls_tenant.tenant_run_step');
my $steps = q{SELECT n_tup_ins AS made, seq_tup_read AS read FROM pg_stat_user_tables WHERE relname = 'tenant_run_step'};
my ($made, $read) = $db->selectrow_array($steps);
call('deployer', q{'SELECT generate_series(1, 500)', 'SELECT 1', run => 'many'});
ok(wait_until(sub { value($db, "SELECT made >= $made + 500 FROM ($steps) s") }), 'a run of 500 tenants');
cmp_ok(value($db, "SELECT read FROM ($steps) s"), '<', $read + 5000, 'each step finds its own row, however many there are');
$db->do(q{DELETE FROM rls_tenant.tenant_run WHERE run = 'many'});

# Code of others in the caller's search_path: an operator whose types fit better than PostgreSQL's own, and all there is before pg_catalog.
$db->do($_) for (
  'CREATE SCHEMA foreign_code',
  q{SELECT rls_tenant.exempt('public', 'was\_run', 'of the test')}, q{CREATE TABLE public.was_run (who text)}, 'GRANT INSERT ON public.was_run TO PUBLIC',
  q{CREATE FUNCTION foreign_code.quotient(bigint, numeric) RETURNS numeric LANGUAGE sql AS 'INSERT INTO public.was_run VALUES (current_user); SELECT 1.0'},
  q{CREATE FUNCTION foreign_code.same(text, text) RETURNS boolean LANGUAGE sql AS 'INSERT INTO public.was_run VALUES (current_user); SELECT $1 OPERATOR(pg_catalog.=) $2'},
  'CREATE OPERATOR foreign_code./ (LEFTARG = bigint, RIGHTARG = numeric, FUNCTION = foreign_code.quotient)',
  'CREATE OPERATOR foreign_code.= (LEFTARG = text, RIGHTARG = text, FUNCTION = foreign_code.same)',
  'CREATE DOMAIN foreign_code.text AS pg_catalog.text CHECK (false)',
  'CREATE DOMAIN foreign_code.name AS pg_catalog.name CHECK (false)',
  q{ALTER DATABASE all_tenants SET search_path = foreign_code, pg_catalog, public},
);
(undef, $error) = call('postgres', q{'SELECT id FROM tenant', $$INSERT INTO was_run SELECT current_setting('search_path') WHERE rls_tenant.current_tenant_bigint() = 1$$, as_role => 'worker'});
is($error, undef, 'it runs whatever the search_path says');
is(rows($db, 'SELECT * FROM public.was_run'), 'foreign_code, pg_catalog, public', 'no code but its own, and the statement has its caller\'s search_path');
$db->do($_) for ('ALTER DATABASE all_tenants RESET search_path', 'DROP SCHEMA foreign_code CASCADE', 'DROP TABLE public.was_run',
  q{DELETE FROM rls_tenant.exemption WHERE reason = 'of the test'});

# 4. Under a name: once for ever

for (1, 2) {
  ($notices) = call('deployer', q{'SELECT id FROM tenant', 'UPDATE invoice SET done = done + 1', run => 'add one'});
  is(worked(), "4|$tenants", 'a run with a name does each tenant once');
}
like($notices, qr/^NOTICE: +$tenants of $tenants tenants were done before$/m, 'and says so');
$db->do('INSERT INTO tenant VALUES (1000)');
$db->do('INSERT INTO invoice (tenant_id, net) VALUES (1000, 1)');
call('deployer', q{'SELECT id FROM tenant', 'UPDATE invoice SET done = done + 1', run => 'add one'});
is(worked(), "1|1\n4|$tenants", 'a tenant who came later is done when it is called again');
is(rows($owner, 'SELECT run_by, run, tenants, done, failed, row_count, last_at IS NOT NULL, tenants_per_second > 0 FROM rls_tenant.tenant_runs()'),
  "deployer|add one|61|61|0|301|1|1", 'tenant_runs tells of it') or $owner->do('RESET ROLE');
(undef, $error) = call('deployer', q{'SELECT id FROM tenant', 'UPDATE invoice SET done = 0', run => 'add one'});
like($error, qr/^55000 .*run "add one" was started with another statement.*It was: UPDATE invoice SET done = done \+ 1.*DELETE FROM rls_tenant.tenant_run WHERE run = 'add one';/s,
  'a name stands for one statement');
my $stranger = $server->connect('all_tenants', user => 'other');
is(value($stranger, 'SELECT count(*) FROM rls_tenant.tenant_runs()') . value($stranger, 'SELECT count(*) FROM rls_tenant.tenant_run_step'), '00', 'nobody sees another role\'s runs');
is($stranger->do('DELETE FROM rls_tenant.tenant_run'), '0E0', 'or ends them');
refused($stranger, q{INSERT INTO rls_tenant.tenant_run (run_by, run, statement, tenants) VALUES ('deployer', 'x', '', 0)}, '42501', qr/row-level security/, 'or begins one for it');
refused($stranger, q{INSERT INTO rls_tenant.tenant_run_step (run_by, run, tenant) VALUES ('deployer', 'add one', '2000')}, '42501', qr/row-level security/, 'or says that a tenant is done');
# A statement that becomes another role, for itself or for the session, leaves the caller who it was.
for my $set ('SET LOCAL ROLE', 'SET ROLE') {
  my $session = $server->connect('all_tenants', user => 'deployer', PrintWarn => 0);
  $session->do(qq{CALL rls_tenant.for_each_tenant('SELECT 1 UNION SELECT 2', '$set owner; UPDATE invoice SET net = net', run => '$set')});
  is(value($session, q{SELECT current_user || ' ' || done || ' ' || row_count FROM rls_tenant.tenant_runs() WHERE run = ?}, $set), 'deployer 2 10', "$set in the statement is over with it");
}
# A run that somebody ends meanwhile does not go on unseen.
(undef, $error) = call('deployer', q{'SELECT 1 UNION SELECT 2', $$DELETE FROM rls_tenant.tenant_run WHERE run = 'ended'$$, run => 'ended'});
like($error, qr/^55000 .*run "ended" is over.*Another session has come to its end, or has deleted it.*done again/s, 'a run that is deleted while it runs stops');
$db->do('DELETE FROM tenant WHERE id = 1000');
$db->do('DELETE FROM invoice WHERE tenant_id = 1000');

# 5. Errors

my $fails_for_7 = q{$$UPDATE invoice SET done = done + 1 WHERE 1 / (tenant_id - 7) IS NOT NULL$$};
(undef, $error) = call('deployer', qq{'SELECT id FROM tenant ORDER BY id', $fails_for_7, run => 'seven'});
like($error, qr/^22012 .*the statement failed for tenant "7": division by zero.*6 of $tenants tenants are done, and stay so/s, 'an error stops it');
is(worked(), "4|54\n5|6", 'what is done stays done');
(my $warnings, $error) = call('deployer', qq{'SELECT id FROM tenant ORDER BY id', $fails_for_7, run => 'seven', on_error => 'continue'});
like($warnings, qr/^NOTICE: +6 of $tenants tenants were done before\nWARNING: +the statement failed for tenant "7": division by zero\nNOTICE: +59 of $tenants tenants done, 1 failed/,
  'or it goes on');
like($error, qr/^P0001 .*the statement failed for 1 of $tenants tenants.*The others are done.*WHERE run = 'seven' AND sqlstate IS NOT NULL/s, 'and is an error at its end');
is(worked(), "4|1\n5|59", 'with all others done once');
is(rows($db, q{SELECT tenant, sqlstate, error FROM rls_tenant.tenant_run_step WHERE run = 'seven' AND sqlstate IS NOT NULL}), '7|22012|division by zero',
  'the error can be looked at');
$db->do('UPDATE invoice SET done = 5 WHERE tenant_id = 7');
$db->do(q{UPDATE rls_tenant.tenant_run SET statement = 'UPDATE invoice SET net = net' WHERE run = 'seven'});
($notices) = call('deployer', q{'SELECT id FROM tenant ORDER BY id', 'UPDATE invoice SET net = net', run => 'seven'});
like($notices, qr/59 of $tenants tenants were done before\nNOTICE: +$tenants of $tenants tenants done, 0 failed, 5 rows/, 'called again it tries only those that failed');
(undef, $error) = call('deployer', q{'SELECT id FROM tenant ORDER BY id', 'INSERT INTO line (invoice_id) VALUES (0)'});
like($error, qr/^23503 .*failed for tenant "1": insert or update on table "line" violates foreign key/s, 'an error that was deferred to the COMMIT is told, too');
is(value($db, 'SELECT count(*) FROM line'), 0, 'and undone');
(undef, $error) = call('deployer', q{'SELECT id FROM tenant', 'COMMIT'});
like($error, qr/failed for tenant/, 'a statement cannot end the transaction');

# 6. Refusals

for (
  [q{NULL, 'SELECT 1'}, qr/^22004 .*needs a query for the tenants and a statement/],
  [q{'SELECT 1', NULL}, qr/^22004 /],
  [q{'SELECT 1', 'SELECT 1', run => ''}, qr/^22004 /],
  [q{'SELECT 1', 'SELECT 1', on_error => 'ignore'}, qr/^22023 .*on_error cannot be "ignore".*'stop' or 'continue'/s],
  [q{'SELECT 1', 'SELECT 1', as_role => 'nobody'}, qr/^42704 .*role "nobody" does not exist/],
  [q{'SELECT 1', 'SELECT 1', as_role => 'migrator'}, qr/^55000 .*row-level security does not apply to role "migrator"/],
  [q{'SELECT NULL::bigint', 'SELECT 1'}, qr/^22004 .*the query for the tenants gave NULL/],
  [q{'SELECT tenant_id FROM invoice', 'SELECT 1'}, qr/^55000 .*no tenant/i],
  [q{'SELECT 1', 'SELECT 1', as_role => 'postgres'}, qr/^55000 /],
  [q{'SELECT 1', 'SELECT 1', as_role => 'worker'}, qr/^42501 .*failed for tenant "1": permission denied to set role "worker"/],
) {
  my ($arguments, $pattern) = @$_;
  (undef, $error) = call('deployer', $arguments);
  like($error, $pattern, "refused: $arguments");
}
my $block = $server->connect('all_tenants', user => 'deployer');
$block->begin_work;
refused($block, q{CALL rls_tenant.for_each_tenant('SELECT id FROM tenant', 'UPDATE invoice SET done = 0')}, '2D000', qr/invalid transaction termination/, 'not in a transaction block');
$block->rollback;

# 7. Killed again and again, it loses and doubles nothing

$db->do('UPDATE invoice SET done = 0');
$db->do('TRUNCATE rls_tenant.tenant_run CASCADE');
my $slow = q{'SELECT id FROM tenant', 'UPDATE invoice SET done = done + 1; SELECT pg_sleep(0.002)', run => 'killed'};
my $finished = "SELECT done FROM rls_tenant.tenant_runs() WHERE run = 'killed'";
for my $round (1 .. 3) {
  my $seen = value($db, $finished) // 0;
  my $session = $server->connect('all_tenants', user => 'deployer', PrintWarn => 0);
  my $pid = $session->{pg_pid};
  $session->do("CALL rls_tenant.for_each_tenant($slow)", {pg_async => DBD::Pg::PG_ASYNC()});
  ok(wait_until(sub { (value($db, $finished) // 0) > $seen + 3 }), "round $round: some tenants are done");
  kill('KILL', $pid) or die "kill $pid: $!";
  wait_until(sub { !kill(0, $pid) }) or die "process $pid does not die";
  ok(wait_until(sub { $db = $server->connect('all_tenants'); value($db, 'SELECT NOT pg_is_in_recovery()') }, 60), 'its server process is killed, the server comes back');
  is(value($db, 'SELECT count(DISTINCT tenant_id) FROM invoice WHERE done = 1'), value($db, $finished), 'what is noted is what is done');
  is(value($db, 'SELECT count(DISTINCT tenant_id) FROM invoice WHERE done > 1'), 0, 'nobody was done twice');
}
(undef, $error) = call('deployer', $slow);
is($error, undef, 'called once more it comes to its end');
is(worked(), "1|$tenants", 'each tenant was done once');

# 8. Two sessions share a run

$db->do('UPDATE invoice SET done = 0');
$db->do('TRUNCATE rls_tenant.tenant_run CASCADE');
my @pair = map { $server->connect('all_tenants', user => 'deployer', PrintWarn => 0) } 1, 2;
$_->do("CALL rls_tenant.for_each_tenant($slow)", {pg_async => DBD::Pg::PG_ASYNC()}) for @pair;
$_->pg_result for @pair;
is(worked(), "1|$tenants", 'each tenant was done once');
is(rows($db, $counts), $before, 'and the number of each tenant\'s rows is what it was');
is(rows($db, q{SELECT rule, object FROM rls_tenant.audit() WHERE severity IN ('leak', 'risk') AND rule !~ '^(bypass_login|server_outdated|guard_off)$'}), '', 'the audit finds nothing new');
done_testing();
