# The configuration tables: everybody has INSERT on them, for restores, and nobody gets a row in by that or learns what
# rows there are, in sessions that have the library and in such that have not loaded it yet.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->start('configuration');
$server->database('conf', 1);
$server->role($_) for 'mallory', 'owner', 'restorer', 'dba';
$server->role('creator', 'LOGIN CREATEROLE CREATEDB');
my $db = $server->connect('conf');
$db->do($_) for
  'CREATE SCHEMA shop AUTHORIZATION owner',
  'CREATE SCHEMA mine AUTHORIZATION mallory',
  'GRANT restorer TO mallory',
  q{SELECT rls_tenant.exempt('shop', 'secret', 'there')},
  q{SELECT rls_tenant.exempt('mine', '%', 'for the tables of this test')},
  'CREATE TABLE mine.member (user_id int, tenant_id int)',
  'ALTER TABLE mine.member OWNER TO mallory',
  q{CREATE FUNCTION mine.forge() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM set_config('rls_tenant.guard', 'off', true);
      INSERT INTO rls_tenant.exemption (schema_name, relation_pattern, reason) VALUES ('mine', 'new', 'x');
    END $$},
  q{SELECT rls_tenant.add_membership('taken', 'mine.member', 'user_id', 'tenant_id')};

# What there is in the tables; nothing of what follows may change it.
sub content {
  return rows($db, 'SELECT * FROM rls_tenant.exemption ORDER BY 1, 2') . "\n"
    . rows($db, 'SELECT * FROM rls_tenant.membership_source ORDER BY 1');
}
my $content = content();
$db->do('ANALYZE rls_tenant.exemption');
isnt(rows($db, q{SELECT histogram_bounds FROM pg_stats WHERE schemaname = 'rls_tenant'}), '', 'there are statistics');

# A session of a role; ready: the library is loaded in it.
sub session {
  my ($role, $ready, %options) = @_;
  my $session = $server->connect('conf', user => $role, %options);
  $session->do('SELECT rls_tenant.current_context()') if $ready;
  return $session;
}

my $exemption = q{INSERT INTO rls_tenant.exemption (schema_name, relation_pattern, reason) VALUES ('mine', 'new', 'x')};
my $source = q{INSERT INTO rls_tenant.membership_source VALUES ('new', 'mine.member', 'user_id', 'tenant_id')};
my $no = qr/role "mallory" may not add rows to rls_tenant\.(exemption|membership_source)/;

# 1. What an ordinary role tries

for my $ready (0, 1) {
  my $how = $ready ? 'with the library' : 'before the library is loaded';
  my $try = sub {
    my ($name, $statement, @before) = @_;
    my $session = session('mallory', $ready);
    for my $first (@before) { eval { $session->do($first) } }
    refused($session, $statement, '42501', $no, "$how: $name");
    $session->disconnect;
  };
  $try->('an exemption', $exemption);
  $try->('a source', $source);
  $try->('forged', $_, 'SET rls_tenant.guard = off') for $exemption, $source;
  if ($ready) {
    my $session = session('mallory', 1);
    refused($session, $_, '42501', qr/permission denied to set parameter/, "$how: $_") for 'SET rls_tenant.guard = off', 'SELECT mine.forge()';
  } else {
    $try->('forged for a transaction', $exemption, 'BEGIN', 'SET LOCAL rls_tenant.guard = off');
    $try->('forged below a savepoint', $exemption, 'BEGIN', 'SAVEPOINT s', q{SELECT set_config('rls_tenant.guard', 'off', false)});
    $try->('forged by a function', 'SELECT mine.forge()');
  }
  $try->('as a role whose guard is off elsewhere', $exemption =~ s/mine/shop/r, 'SET rls_tenant.guard = off');
  $try->('without triggers of replicas', $exemption, 'SET session_replication_role = replica');
  $try->('with the trigger disabled', $exemption, 'ALTER TABLE rls_tenant.exemption DISABLE TRIGGER ALL');
  $try->('in a PREPARE', 'EXECUTE p', "PREPARE p AS $exemption");
  $try->('from a query', $exemption =~ s/VALUES.*/SELECT 'mine', 'n' || i, 'x' FROM generate_series(1, 3) i/r);
  $try->('in a WITH', "WITH x AS ($exemption) SELECT");
  # Rows that are there, and such that are not, are refused alike: the error comes before unique indexes and checks.
  $try->('a row that is there', $exemption =~ s/'mine', 'new'/'mine', '%'/r);
  $try->('a row that is there, in a schema of another', $exemption =~ s/'mine', 'new'/'shop', 'secret'/r);
  $try->('ON CONFLICT DO NOTHING', ($exemption =~ s/'mine', 'new'/'mine', '%'/r) . ' ON CONFLICT DO NOTHING');
  $try->('a source that is there', $source =~ s/'new'/'taken'/r);
  $try->('a source that is there, ON CONFLICT DO NOTHING', ($source =~ s/'new'/'taken'/r) . ' ON CONFLICT DO NOTHING');
  $try->('a row that breaks a CHECK', $exemption =~ s/'x'/''/r);
  $try->('a row of NULLs', 'INSERT INTO rls_tenant.exemption DEFAULT VALUES');
  $try->('a source of NULLs', 'INSERT INTO rls_tenant.membership_source DEFAULT VALUES');

  # What INSERT does not bring: to read, to change, to hang triggers and keys on the tables.
  my $mallory = session('mallory', $ready);
  refused($mallory, $_, '42501', qr/permission denied|must be owner/, "$how: $_") for
    'SELECT FROM rls_tenant.exemption',
    'UPDATE rls_tenant.exemption SET reason = reason',
    'DELETE FROM rls_tenant.exemption',
    'TRUNCATE rls_tenant.membership_source',
    "$exemption RETURNING *",
    "$exemption ON CONFLICT (schema_name, relation_pattern) DO NOTHING",
    "$exemption ON CONFLICT ON CONSTRAINT exemption_pkey DO UPDATE SET reason = 'x'",
    'COPY rls_tenant.exemption TO STDOUT',
    'CREATE TABLE mine.refers (a text REFERENCES rls_tenant.membership_source (name))',
    'CREATE TRIGGER t BEFORE INSERT ON rls_tenant.exemption FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'CREATE TRIGGER t BEFORE INSERT ON mine.member FOR EACH ROW EXECUTE FUNCTION rls_tenant.check_configuration_row()',
    'SELECT rls_tenant.check_configuration_row()',
    'ALTER TABLE rls_tenant.exemption DISABLE TRIGGER rls_tenant_check',
    'CREATE RULE r AS ON INSERT TO rls_tenant.exemption DO INSTEAD NOTHING',
    'DO $$BEGIN LOCK rls_tenant.exemption IN SHARE MODE; END$$';
  is(rows($mallory, q{SELECT attname FROM pg_stats WHERE schemaname = 'rls_tenant'}), '', "$how: no statistics");
  $mallory->do('COPY rls_tenant.exemption (schema_name, relation_pattern, reason) FROM STDIN');
  $mallory->pg_putcopydata("mine\t%\tx\n");
  ok(!eval { $mallory->pg_putcopyend; 1 }, "$how: COPY is refused");
  like($mallory->errstr, $no, "$how: with the same words");
  is(content(), $content, "$how: nothing has changed");
}

# 2. Who may not switch the guard off

my $mallory = session('mallory', 0);
refused($mallory, 'ALTER ROLE mallory SET rls_tenant.guard = off', '42501', qr/permission denied/, 'not a role for itself');
refused(session('creator', 0), 'ALTER ROLE mallory SET rls_tenant.guard = off', '42501', qr/permission denied/, 'nor CREATEROLE');
$db->do('ALTER DATABASE conf OWNER TO owner');
refused(session('owner', 0), 'ALTER DATABASE conf SET rls_tenant.guard = off', '42501', qr/permission denied/, 'nor the owner of the database');
refused(session('mallory', 0, options => '-c rls_tenant.guard=off'), $exemption, '42501', qr/rls_tenant\.guard cannot be set by a connection option/, 'nor a client that connects');

# 3. Roles whose guard a superuser has switched off: what they could do anyway

$db->do('ALTER ROLE restorer SET rls_tenant.guard = off');
$db->do('GRANT ALL ON SCHEMA mine TO restorer');
$mallory = session('mallory', 0);
$mallory->do('SET ROLE restorer');
refused($mallory, $exemption, '42501', qr/role "restorer" may not add rows/, 'SET ROLE to one does not switch it off');
my $restorer = session('restorer', 0);
$restorer->do($exemption);
is(rows($db, q{DELETE FROM rls_tenant.exemption WHERE relation_pattern = 'new' RETURNING schema_name, added_by}), 'mine|restorer',
  'such a role adds exemptions for a schema in which it may make tables');
refused($restorer, $exemption =~ s/'mine'/'shop'/r, '42501', qr/may not add rows to rls_tenant\.exemption/, 'for no other');
refused($restorer, $exemption =~ s/'mine'/'nowhere'/r, '42501', qr/may not add rows/, 'nor for one that is not there');
refused($restorer, $exemption =~ s/'mine', 'new'/'shop', 'secret'/r, '42501', qr/may not add rows/, 'be there a row or not');
$db->do('GRANT CREATE ON DATABASE conf TO restorer');
$restorer->do($exemption =~ s/'mine'/'nowhere'/r);
is($db->do(q{DELETE FROM rls_tenant.exemption WHERE schema_name = 'nowhere'}), 1, 'but for that where it may make schemas');
refused($restorer, $source, '42501', qr/may not add rows to rls_tenant\.membership_source/, 'and no source of what is not its own');
refused($restorer, $source =~ s/'mine.member'/'rls_tenant.exemption'/r, '42501', qr/may not add rows/, 'not of these tables either');
refused($restorer, $source =~ s/'mine.member'/'99999999'/r, '42501', qr/may not add rows/, 'nor of a relation that is not there');
refused($restorer, "SELECT FROM rls_tenant.exemption", '42501', qr/permission denied/, 'and reads nothing');
$db->do('GRANT mallory TO owner');
$db->do('ALTER ROLE owner SET rls_tenant.guard = off');
my $owner = session('owner', 0);
$owner->do($source);
is($db->do(q{DELETE FROM rls_tenant.membership_source WHERE name = 'new'}), 1, 'a member of the owner of the relation adds a source');
is(content(), $content, 'nothing else has changed');

# 4. Who may write it as ever

$db->do('GRANT EXECUTE ON FUNCTION rls_tenant.exempt(name, text, text, text[]), rls_tenant.baseline(text),
  rls_tenant.add_membership(text, regclass, name, name, name, text) TO mallory');
$mallory = session('mallory', 0);
$mallory->do(q{SELECT rls_tenant.exempt('shop', 'by\_function', 'x')});
$mallory->do('SELECT rls_tenant.baseline()');
$mallory->do(q{SELECT rls_tenant.add_membership('more', 'mine.member', 'user_id', 'tenant_id')});
is(value($db, q{SELECT added_by FROM rls_tenant.exemption WHERE relation_pattern = 'by\_function'}), 'mallory', 'whoever may call the functions');
is(value($db, q{SELECT count(*) FROM rls_tenant.membership_source}), 2, 'for sources, too');
$db->do('GRANT INSERT, UPDATE ON rls_tenant.exemption TO dba');
session('dba', 0)->do($exemption);
is(value($db, q{SELECT added_by FROM rls_tenant.exemption WHERE relation_pattern = 'new'}), 'dba', 'whoever was granted INSERT and UPDATE');
$db->do('CREATE VIEW mine.window AS SELECT schema_name, relation_pattern, reason FROM rls_tenant.exemption');
$db->do('GRANT INSERT ON mine.window TO mallory');
refused(session('mallory', 0), q{INSERT INTO mine.window VALUES ('mine', 'by view', 'x')}, '42501', $no,
  'but a view of a superuser lends nobody the right');

done_testing();
