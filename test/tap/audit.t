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

sub clean_up {
  my ($database) = @_;
  $control->do(qq{DROP DATABASE IF EXISTS "$database" WITH (FORCE)});
  for my $role (map { $_->[0] } @{$control->selectall_arrayref('SELECT quote_ident(rolname) FROM pg_roles WHERE oid >= 16384')}) {
    $control->do("DROP OWNED BY $role");
    $control->do("DROP ROLE $role");
  }
  $control->do(qq{ALTER ROLE postgres RESET ALL});
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
}

$control->disconnect;
done_testing;
