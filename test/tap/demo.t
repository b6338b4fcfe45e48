# The demo's SQL that makes tables: the guard lets it pass, and no remedy is due. (demo/run itself takes more than a minute.)

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
$server->role($_) for qw(registry app);
$server->database('registry');
my $dba = $server->connect('registry');
$dba->do($_) for 'CREATE EXTENSION rls_tenant', 'GRANT CREATE ON SCHEMA public TO registry', 'GRANT EXECUTE ON FUNCTION rls_tenant.exempt TO registry';
$dba->disconnect;
for (['schema', 'registry'], ['speed', 'postgres']) {
  my ($name, $user) = @$_;
  my $printed = qx('$ENV{PG_BIN}/psql' -X -q -v ON_ERROR_STOP=1 -U $user -d registry -f '$top/demo/$name.sql' 2>&1);
  is($?, 0, "demo/$name.sql runs") or diag($printed);
}
$dba = $server->connect('registry');
is(rows($dba, q{SELECT rule, object FROM rls_tenant.audit() WHERE severity IN ('leak', 'risk') AND rule <> 'server_outdated'}), '', 'and the audit finds nothing');
$dba->disconnect;
done_testing;
