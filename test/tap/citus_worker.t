# What Citus has its workers do for a distributed table, statement by statement, as citus.log_remote_commands shows it
# (Citus 13.2): without Citus, so that its functions are left out and the shard's name is written as they would.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
$server->role('citus_app');
my $db = $server->connect($server->database('citus_worker', 1));

# The statements that make shard and shell of a table: the policies have lost AS RESTRICTIVE.
sub shard {
  my ($table, @policies) = @_;
  my $columns = 'tenant_id bigint DEFAULT rls_tenant.current_tenant_bigint() NOT NULL, id integer NOT NULL, note text';
  return ("CREATE TABLE public.$table ($columns) USING heap",
    "ALTER TABLE public.$table OWNER TO postgres", "ALTER TABLE public.$table ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE public.$table FORCE ROW LEVEL SECURITY",
    map({ "CREATE POLICY $_->[0] ON public.$table FOR ALL TO PUBLIC USING ($_->[1])" } @policies),
    "ALTER TABLE public.$table ADD CONSTRAINT ${table}_pkey PRIMARY KEY (tenant_id, id)");
}

my $tenant = '(tenant_id = rls_tenant.current_tenant_bigint())';
my $begin = 'BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED';
my @both = (['tenant_isolation', $tenant], ['tenant_access', "($tenant AND (note <> 'x'::text))"]);
$db->do($_) for $begin, shard('bill_102008', @both), shard('bill_102009', @both), shard('bill', @both), q{PREPARE TRANSACTION 'citus_0_16222_5_2'};
is(value($db, q{SELECT gid FROM pg_prepared_xacts}), 'citus_0_16222_5_2', 'two shards and a shell table are prepared');
$db->do(q{COMMIT PREPARED 'citus_0_16222_5_2'});
is(rows($db, q{SELECT c.relname, f.rule FROM pg_class c, rls_tenant.table_faults(c.oid) f WHERE relnamespace = 'public'::regnamespace}), '',
  'and committed, without a fault');

# A query of the coordinator: BEGIN and SET LOCAL in one message, as Citus sends them.
$db->do($_) for 'GRANT ALL ON bill_102008 TO citus_app', q{INSERT INTO bill_102008 VALUES (1, 1, 'n'), (1, 2, 'x'), (2, 1, 'n')};
my $app = $server->connect('citus_worker', user => 'citus_app');
$app->do("$begin;SET LOCAL rls_tenant.tenant_id = '1';");
is(rows($app, 'SELECT tenant_id, id FROM public.bill_102008 bill WHERE true ORDER BY 1, 2'), "1|1\n1|2",
  'a shard shows a tenant its rows, also those that the access leaves out: permissive policies are joined by OR');
refused($app, q{INSERT INTO public.bill_102008 (tenant_id, id) VALUES (2, 7)}, '42501', qr/row-level security/, 'and takes none of another');
$app->do('ROLLBACK');
refused($app, 'SELECT * FROM public.bill_102008', '55000', qr/no tenant is set/, 'what was not forwarded is an error');
$app->disconnect;

# Without tenant_isolation the access holds.
$db->do($_) for $begin, shard('letter_102010', $both[1]), q{PREPARE TRANSACTION 'citus_0_16222_6_2'}, q{COMMIT PREPARED 'citus_0_16222_6_2'},
  'GRANT ALL ON letter_102010 TO citus_app', q{INSERT INTO letter_102010 VALUES (1, 1, 'n'), (1, 2, 'x'), (2, 1, 'n')};
$app = $server->connect('citus_worker', user => 'citus_app');
$app->do("$begin;SET LOCAL rls_tenant.tenant_id = '1';");
is(rows($app, 'SELECT tenant_id, id FROM public.letter_102010 letter'), '1|1', 'with tenant_access alone the access holds');
$app->do('COMMIT');
$app->disconnect;

# Shards that are not protected, and what a worker cannot know.
$db->do($_) for $begin, 'CREATE TABLE public.loose_102011 (tenant_id bigint NOT NULL) USING heap';
refused($db, q{PREPARE TRANSACTION 'citus_0_16222_7_2'}, '42P16', qr/loose_102011: rls_off/, 'a shard without protection is not prepared');
$db->do('ROLLBACK');
$db->do($_) for $begin, shard('half_102012', ['tenant_isolation', $tenant], ['open', 'true']);
refused($db, q{PREPARE TRANSACTION 'citus_0_16222_8_2'}, '42P16', qr/half_102012: always_true: policy "open"/,
  'nor one that a RESTRICTIVE policy alone confined');
$db->do('ROLLBACK');
$db->do(q{SELECT rls_tenant.exempt('public', 'country', 'the same for all')});
$db->do($_) for $begin, 'CREATE TABLE public.country_102013 (code text) USING heap';
refused($db, q{PREPARE TRANSACTION 'citus_0_16222_9_2'}, '42P16', qr/country\\_102013/, 'an exemption must take in the names of shards');
$db->do('ROLLBACK');
$db->do(q{SELECT rls_tenant.exempt('public', 'country\_%', 'its shards')});
$db->do($_) for $begin, 'CREATE TABLE public.country_102013 (code text) USING heap', q{PREPARE TRANSACTION 'citus_0_16222_9_2'},
  q{COMMIT PREPARED 'citus_0_16222_9_2'};
pass('then it passes');
$db->disconnect;
done_testing;
