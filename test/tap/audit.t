# audit() on the small schemas of test/audit: each file makes one in a database of its own and says what must be found.
#
#   -- expect: SEVERITY RULE OBJECT_TYPE OBJECT      a finding, to the letter (\n is a line's end); these and no others
#   -- remedy: by hand                               of the one above: only a person can decide, the remedy is a comment
#   -- options: -c NAME=VALUE                        the session that audits is started so
#   -- audit: QUERY                                  instead of SELECT * FROM rls_tenant.audit()
#   -- from: MAJOR                                   needs this PostgreSQL or a later one
#
# The schema is made with the guard off, as the role "owner", who cannot log in; "app" is the application's login. Then
# every remedy that is a statement is run as it stands, in one transaction with the guard on, until none is left: each
# must take its finding away and bring no other. RLS_TENANT_AUDIT names the cases to run (a pattern).

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->start('audit', q{session_preload_libraries = 'rls_tenant'}, 'wal_level = logical', 'autovacuum = off');
$server->database('template', 1);
my $control = $server->connect('postgres', pg_enable_utf8 => 0);
my $version = value($control, q{SELECT current_setting('server_version_num')::int});
my $template = $server->connect('template');
my @rules = map { $_->[0] } @{$template->selectall_arrayref('SELECT rule FROM rls_tenant.audit_rules()')};
# On a server that is out of date each audit says so; what that depends on is tested below.
my $outdated = value($template, q{SELECT count(*) FROM rls_tenant.audit() WHERE rule = 'server_outdated'});
$template->disconnect;

my %fired;

# Those of the names that are no rule's.
sub unknown {
  my %known = map { $_ => 1 } @rules;
  return sort grep { !$known{$_} } @_;
}

sub clean_up {
  my ($database) = @_;
  $control->do(qq{DROP DATABASE IF EXISTS "$database" WITH (FORCE)});
  for my $role (map { $_->[0] } @{$control->selectall_arrayref('SELECT quote_ident(rolname) FROM pg_roles WHERE oid >= 16384')}) {
    $control->do("DROP OWNED BY $role");
    $control->do("DROP ROLE $role");
  }
  $control->do(qq{ALTER ROLE $_ RESET ALL}) for qw(postgres ALL);
}

# The findings as [line, remedy].
sub findings {
  my ($case) = @_;
  my $db = $server->connect($case->{name}, pg_enable_utf8 => 0, $case->{options} ? (options => $case->{options}) : ());
  my $rows = $db->selectall_arrayref($case->{audit} // 'SELECT * FROM rls_tenant.audit()');
  $db->disconnect;
  my @found;
  for (@$rows) {
    my ($severity, $rule, $type, $object, $finding, $remedy) = @$_;
    next if $rule eq 'server_outdated' && $outdated;
    $object =~ s/\n/\\n/g;
    push @found, {line => "$severity $rule $type $object", rule => $rule, finding => $finding, remedy => $remedy};
  }
  return @found;
}

sub read_case {
  my ($file) = @_;
  my $text = slurp($file);
  utf8::encode($text);
  my ($name) = $file =~ m{([^/]+)\.sql$};
  my $case = {name => $name, file => $file, expect => [], by_hand => {}};
  ($case->{title}) = $text =~ /\A-- ([^\n]*)/;
  my $last;
  for (split /\n/, $text) {
    if (/^-- expect: (.*)$/) { push @{$case->{expect}}, $last = $1 }
    elsif (/^-- remedy: by hand$/) { $case->{by_hand}{$last} = 1 }
    elsif (/^-- (options|audit|from): (.*)$/) { $case->{$1} = $2 }
    elsif (/^-- \w+: /) { die "$file: $_\n" }
    elsif (!/^--/) { last }
  }
  return $case;
}

sub is_statement { return $_[0] !~ m{\A\s*/\*.*\*/\s*\z}s }

# Runs the remedies; true if all did what they must.
sub run_remedies {
  my ($case, @found) = @_;
  for my $turn (1 .. 30) {
    my ($next) = grep { is_statement($_->{remedy}) } @found;
    last if !$next;
    my $what = "$case->{name}: the remedy of $next->{line}";
    if ($case->{by_hand}{$next->{line}}) { fail("$what is no comment"); diag($next->{remedy}); return }
    my ($status, $output) = $server->run('psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', $case->{name}, '-c', $next->{remedy});
    my @after = findings($case);
    my (%before, %same);
    $before{$_->{line}}++ for @found;
    $same{"$_->{line}: $_->{finding}"}++ for @after;
    my $still = $same{"$next->{line}: $next->{finding}"};
    my @new = grep { $before{$_->{line}}-- <= 0 } map { {%$_} } @after;
    my $good = ok($status == 0 && !$still && !@new && @after < @found, "$what: gone");
    if (!$good) {
      diag("remedy: $next->{remedy}\noutput: $output" . join('', map { "new: $_->{line}: $_->{finding}\n" } @new));
      diag('it still stands') if $still;
      return;
    }
    @found = @after;
  }
  my @left = map { $_->{line} } @found;
  is_deeply([sort @left], [sort grep { $case->{by_hand}{$_} } @{$case->{expect}}], "$case->{name}: what is left is by hand") if @left || %{$case->{by_hand}};
}

sub run_case {
  my ($case) = @_;
  return if $case->{from} && $version < 10000 * $case->{from};
  $control->do('CREATE ROLE owner NOLOGIN');
  $control->do('CREATE ROLE app LOGIN');
  $control->do(qq{CREATE DATABASE "$case->{name}" TEMPLATE template});
  my ($status, $output) = $server->run('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $case->{name},
    '-c', qq{GRANT CREATE ON DATABASE "$case->{name}" TO owner}, '-c', 'SET rls_tenant.guard = off', '-c', 'SET client_min_messages = warning', '-c', 'GRANT CREATE, USAGE ON SCHEMA public TO owner',
    '-c', 'SET ROLE owner', '-f', $case->{file});
  is($status, 0, "$case->{name}: the schema is made") or diag($output);
  my @found = findings($case);
  my $got = join("\n", sort map { $_->{line} } @found);
  is($got, join("\n", sort @{$case->{expect}}), "$case->{name}: $case->{title}")
    or diag(map { "$_->{line}\n    $_->{finding}\n    $_->{remedy}\n" } @found);
  $fired{$_->{rule}}++ for @found;
  run_remedies($case, @found) if $got eq join("\n", sort @{$case->{expect}}) && !$case->{audit};
  clean_up($case->{name});
}

my $pattern = $ENV{RLS_TENANT_AUDIT} // '.';
my @cases = map { read_case($_) } sort glob("$top/test/audit/*.sql");
cmp_ok(scalar @cases, '>=', 100, 'there are enough cases') if !$ENV{RLS_TENANT_AUDIT};
run_case($_) for grep { $_->{name} =~ /$pattern/ } @cases;

if (!$ENV{RLS_TENANT_AUDIT}) {
  for my $rule (grep { $_ ne 'server_outdated' } @rules) {
    ok($fired{$rule}, "some case has a finding of $rule");
  }
  is_deeply([unknown(keys %fired)], [], 'no finding is of a rule that the list has not');
  # Those in the text of the SQL functions, found or not; in C++ RT_RULE() takes no other.
  my $sql = join('', map { slurp($_) } glob("$top/sql/*/*.sql"));
  my @named = ($sql =~ /^  (?:  )?SELECT (?:DISTINCT )?'(\w+)', (?:NULL|CASE)/mg, $sql =~ /(?:THEN|ELSE) '(\w+_grant)'/g,
    map { split /,/ } map { s/'\s+'//r } $sql =~ /'\{(rls_off,.*?)\}'/sg);
  cmp_ok(scalar @named, '>=', 50, 'rules are named in SQL');
  is_deeply([unknown(@named)], [], 'and are all in the list');
}

if ($pattern =~ /^(?:\.|sessions)$/) {
  the_server();
  who_may_and_when();
  the_check();
  while_others_work();
}

# Which minor releases lack fixes.
sub the_server {
  my $db = $server->connect('template');
  my @outdated = grep { defined value($db, 'SELECT minor FROM rls_tenant.is_outdated(?)', $_) }
    150000, 150019, 150020, 150021, 160015, 160016, 170000, 170011, 170012, 180000, 180006, 180007, 190000;
  is("@outdated", '150000 150019 160015 170000 170011 180000 180006', 'releases without the fixes');
  is($outdated, defined value($db, 'SELECT minor FROM rls_tenant.is_outdated(?)', $version) ? 1 : 0, 'this server is judged so');
  $db->disconnect;
}

# A role that may do nothing else, the first statement of a session without the library, a transaction that reads only.
sub who_may_and_when {
  $control->do(qq{CREATE DATABASE sessions TEMPLATE template});
  $control->do('CREATE ROLE app LOGIN');
  $control->do('CREATE ROLE auditor LOGIN');
  my $db = $server->connect('sessions');
  $db->do($_) for 'SET rls_tenant.guard = off', 'CREATE TABLE orders (id bigint PRIMARY KEY, tenant_id uuid)', 'GRANT ALL ON orders TO app', 'RESET rls_tenant.guard';
  my $query = q{SELECT * FROM rls_tenant.audit() WHERE rule <> 'not_preloaded'};
  my $all = rows($db, $query);
  like($all, qr/rls_off/, 'there are findings');

  my $auditor = $server->connect('sessions', user => 'auditor');
  refused($auditor, 'SELECT * FROM rls_tenant.audit()', '42501', qr/permission denied for function audit/, 'nobody may, unless granted');
  refused($auditor, 'SELECT rls_tenant.audit_check()', '42501', qr/permission denied for function audit_check/, 'nor ask for the check');
  is(value($auditor, 'SELECT count(*) > 50 FROM rls_tenant.audit_rules()'), 1, 'the rules are no secret');
  $auditor->disconnect;
  $db->do('GRANT EXECUTE ON FUNCTION rls_tenant.audit(text, boolean), rls_tenant.audit_check(text, text) TO auditor');
  $control->do(q{ALTER DATABASE sessions SET session_preload_libraries = 'plpgsql'});
  $auditor = $server->connect('sessions', user => 'auditor');
  is(rows($auditor, $query), $all, 'the first statement of a session, as a role with nothing but EXECUTE, finds the same');
  like(rows($auditor, 'SELECT rule FROM rls_tenant.audit(NULL)'), qr/^not_preloaded$/m, 'and that the library was not there');
  refused($auditor, 'SELECT rls_tenant.audit_check()', '55000', qr/the audit has \d+ finding\(s\) of severity risk or worse/, 'so does the check');
  $auditor->do('BEGIN READ ONLY');
  is(rows($auditor, $query), $all, 'a transaction that reads only');
  $auditor->do('COMMIT');
  $auditor->disconnect;

  my $other = $server->connect('sessions');
  $other->do('CREATE TEMP TABLE theirs (id int, tenant_id uuid)');
  is(rows($db, $query), $all, 'temporary tables of other sessions are passed over');
  $other->disconnect;

  # What one statement has changed the audit in it sees.
  $db->do(q{SET rls_tenant.guard = off});
  $db->do(q{DO $$
    DECLARE found int[];
    BEGIN
      found := found || (SELECT count(*)::int FROM rls_tenant.audit() WHERE rule IN ('truncate_grant', 'rls_off'));
      REVOKE TRUNCATE ON orders FROM app;
      found := found || (SELECT count(*)::int FROM rls_tenant.audit() WHERE rule IN ('truncate_grant', 'rls_off'));
      PERFORM rls_tenant.protect('orders');
      found := found || (SELECT count(*)::int FROM rls_tenant.audit() WHERE rule IN ('truncate_grant', 'rls_off'));
      CREATE TABLE items (id bigint PRIMARY KEY, tenant_id uuid);
      found := found || (SELECT count(*)::int FROM rls_tenant.audit() WHERE rule IN ('truncate_grant', 'rls_off'));
      DROP TABLE items;
      IF found <> '{2,1,0,1}' THEN RAISE EXCEPTION 'found %', found; END IF;
    END $$});
  pass('an audit sees what its own statement has changed before');
  $db->disconnect;
  clean_up('sessions');
}

# What a step of CI calls.
sub the_check {
  $control->do('CREATE DATABASE checked TEMPLATE template');
  my $db = $server->connect('checked');
  $db->do(q{SELECT rls_tenant.exempt('*', 'server_version', 'tested above', '{server_outdated}')});
  my @check = ('psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', 'checked', '-c');
  my ($status, $output) = $server->run(@check, 'SELECT rls_tenant.audit_check()');
  is($status, 0, 'nothing stands: exit status 0') or diag($output);
  $db->do($_) for 'SET rls_tenant.guard = off', 'CREATE TABLE country (code text PRIMARY KEY)', 'ALTER ROLE postgres SET rls_tenant.tenant_id = 1', 'RESET rls_tenant.guard';
  ($status, $output) = $server->run(@check, 'SELECT rls_tenant.audit_check()');
  is($status, 1, 'a risk stands: exit status 1');
  like($output, qr/^ERROR:  the audit has 1 finding\(s\) of severity risk or worse$/m, 'which tells how many');
  like($output, qr{^DETAIL:  risk: no_tenant_column: table public\.country: there is no column tenant_id\n +/\*.*\*/$}m, 'what, and its remedy');
  like($output, qr/^HINT:  SELECT \* FROM rls_tenant\.audit\(\);.*exempt\(/m, 'and where to look');
  ($status) = $server->run(@check, q{SELECT rls_tenant.audit_check('leak')});
  is($status, 0, 'no leak stands');
  refused($db, q{SELECT rls_tenant.audit_check('note')}, '55000', qr/2 finding\(s\) of severity note or worse/, 'of notes there is one more');
  is(eval { $db->do(q{SELECT rls_tenant.audit_check('risk', 'other%')}) }, 1, 'another schema');
  refused($db, "SELECT rls_tenant.audit_check($_)", '22023', qr/severity ".*" does not exist/, "no such severity: $_") for q{'Leak'}, q{''}, 'NULL', q{'accepted'};
  $db->do($_) for 'SET rls_tenant.guard = off', q{DO $$ BEGIN FOR i IN 1 .. 120 LOOP EXECUTE format('CREATE TABLE t%s (n int)', i); END LOOP; END $$},
    'RESET rls_tenant.guard';
  my $error = eval { $db->do('SELECT rls_tenant.audit_check()'); '' } // $@;
  ok($error =~ /121 finding\(s\)/, 'many findings are counted');
  is(scalar(() = $error =~ /^(?:DETAIL: +)?risk: /mg), 100, 'and a hundred of them listed');
  ok($error =~ /^(?:\x{2026}|\xe2\x80\xa6)$/m, 'which it says');
  is(eval { $db->do(q{SELECT rls_tenant.exempt('public', '%', 'nothing here belongs to tenants')}) }, 1, 'what is accepted');
  is(eval { $db->do(q{SELECT rls_tenant.audit_check()}) }, 1, 'does not raise');
  $db->disconnect;
  clean_up('checked');
}

# DDL of another session while the audit looks.
sub while_others_work {
  $control->do('CREATE DATABASE busy TEMPLATE template');
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    my $busy = $server->connect('busy');
    $busy->do('SET rls_tenant.guard = off');
    for my $turn (1 .. 60) {
      $busy->do($_) for "CREATE TABLE t$turn (id bigint PRIMARY KEY, tenant_id uuid, parent bigint REFERENCES t$turn)", "SELECT rls_tenant.protect('t$turn')",
        "CREATE FUNCTION f$turn() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM t$turn'",
        "CREATE POLICY p ON t$turn USING (id IN (SELECT id FROM t$turn) AND f$turn() > 0)", "CREATE VIEW v$turn AS SELECT * FROM t$turn",
        "CREATE MATERIALIZED VIEW m$turn AS SELECT tenant_id FROM t$turn WITH NO DATA", "DROP VIEW v$turn", "DROP TABLE t$turn CASCADE", "DROP FUNCTION f$turn()";
    }
    $busy->disconnect;
    require POSIX;
    POSIX::_exit(0);
  }
  my $db = $server->connect('busy');
  my ($audits, $problem) = (0);
  my $ended = 0;
  until ($ended) {
    $ended = waitpid($pid, 1) == $pid;
    eval { $db->selectall_arrayref('SELECT * FROM rls_tenant.audit()'); $audits++; 1 } or $problem //= $@;
  }
  is($?, 0, 'the other session did its work');
  is($problem, undef, "$audits audits went through while tables came and went");
  is(value($db, q{SELECT count(*) FROM rls_tenant.audit('public')}), $outdated, 'and at the end nothing is left to find');
  $db->disconnect;
  clean_up('busy');
}

$control->disconnect;
done_testing;
