# Where Citus is installed, which drops RESTRICTIVE policies, tenant_access repeats is_member(). A stand-in of its name is
# enough to see that.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
chomp(my $share = `"$ENV{PG_CONFIG}" --sharedir`);
for (['citus.control', "default_version = '1.0'\n"], ['citus--1.0.sql', "-- nothing\n"]) {
  my ($name, $text) = @$_;
  open(my $file, '>', "$share/extension/$name") or die "cannot write $share/extension/$name: $!";
  print $file $text;
  close($file);
}

my $db = $server->connect($server->database('citus', 1));
$db->do($_) for
  q{SELECT rls_tenant.exempt('public', 'member', 'a source')},
  'CREATE TABLE member (user_id int, tenant_id int)',
  q{SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id')},
  'BEGIN',
  'CREATE TABLE doc (tenant_id int, note text)',
  q{SELECT rls_tenant.protect('doc', access => 'note IS NOT NULL', membership => 'tenant')},
  'COMMIT';

sub access {
  return value($db, q{SELECT pg_get_expr(polqual, polrelid) FROM pg_policy
    WHERE polrelid = 'doc'::regclass AND polname = 'tenant_access'});
}
is(access(), '(rls_tenant.with_tenant_isolation() AND (note IS NOT NULL))', 'without Citus tenant_access carries the access alone');
is(rows($db, 'SELECT cached FROM rls_tenant.membership_sources()'), '1', 'and answers are cached');
$db->do('CREATE EXTENSION citus');
$db = $server->connect('citus');
is(rows($db, 'SELECT cached, detail FROM rls_tenant.membership_sources()'), '0|Citus may change its tables where no trigger fires',
  'with it none is kept: a revoked membership would not end');
$db->do(q{SELECT rls_tenant.protect('doc')});
is(access(), '(rls_tenant.is_member(tenant_id) AND (rls_tenant.with_tenant_isolation() AND (note IS NOT NULL)))',
  'with it protect() adds the check, and keeps the access');
is(rows($db, q{SELECT * FROM rls_tenant.protect_sql('doc')}), '', 'and then there is nothing more to do');
$db->do('DROP POLICY tenant_isolation ON doc');
is(rows($db, q{SELECT * FROM rls_tenant.table_faults('doc')}), '', 'so that tenant_access isolates by itself');
$db->do('BEGIN');
$db->do('CREATE TABLE other (tenant_id int)');
$db->do(q{SELECT rls_tenant.protect('other', membership => 'tenant')});
is(value($db, q{SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'other'::regclass AND polpermissive}),
  'rls_tenant.is_member(tenant_id)', 'a new table has it from the start');
$db->do('ROLLBACK');

$db->disconnect;
done_testing;
