# The pages: that links lead somewhere, SQL runs as it stands, code is that of the files it is shown from, the reference has what the
# database has, and the map of the source what the source has.
#
# A line directly above a block of code says what is to be known of it:
#   <!-- fails: SQLSTATE -->    its last statement must fail so
#   <!-- prints -->             the SQL before it prints that, among other lines
#   <!-- PATH -->               the block is that file

use strict;
use warnings;
use utf8;
use Cluster;
use File::Find qw(find);
use Test::More;

binmode($_, ':encoding(UTF-8)') for map { Test::More->builder->$_ } qw(output failure_output);

my @pages;
find({no_chdir => 1, preprocess => sub { grep { !/^(\.git|node_modules)$/ } @_ },
  wanted => sub { push @pages, substr($_, length("$top/")) if /\.md$/ && -f }}, $top);
@pages = sort @pages;
my %text = map { $_ => slurp("$top/$_") } @pages;
cmp_ok(scalar @pages, '>=', 20, 'there are pages: ' . @pages);

# The blocks of code of a page: language, text, and the remark above.
sub blocks {
  my ($page) = @_;
  my @blocks;
  push @blocks, {remark => $1 // '', language => $2, text => $3} while $text{$page} =~ /^(?:<!-- ([^\n]*) -->\n)?```(\w*)\n(.*?)^```$/msg;
  return @blocks;
}

# A page without its blocks of code.
sub prose { my ($page) = @_; return $text{$page} =~ s/^ *```.*?^ *```$//msgr; }

# --- Links

# The anchors of a page, as GitHub makes them of its headings.
sub anchors {
  my ($page) = @_;
  my (%anchors, %seen);
  for my $heading (prose($page) =~ /^#+ (.*)$/mg) {
    my $anchor = lc($heading) =~ s/\[([^\]]*)\]\([^)]*\)/$1/gr =~ s/[^\w\- ]//gr =~ tr/ /-/r;
    $anchors{$seen{$anchor}++ ? "$anchor-" . ($seen{$anchor} - 1) : $anchor} = 1;
  }
  return %anchors;
}

my %anchors = map { $_ => {anchors($_)} } @pages;
for my $page (@pages) {
  my ($directory) = $page =~ m{^(.*/)};
  my @broken;
  for my $link (prose($page) =~ /\]\(([^)\s]+)\)/g) {
    next if $link =~ m{^https?://};
    my ($file, $anchor) = $link =~ /^([^#]*)#?(.*)$/;
    my $target = $file eq '' ? $page : ($directory // '') . $file;
    1 while $target =~ s{[^/]+/\.\./}{};
    push @broken, $link if !-e "$top/$target" || $anchor ne '' && !$anchors{$target}{$anchor};
  }
  is(join(' ', @broken), '', "links of $page");
  is(join(' ', grep { !(() = glob "$top/$_") } prose($page) =~ m{`((?:bench|demo|doc|examples|expected|sql|src|test|tools)/[\w./*-]+)`}g), '',
    "files named by $page");
  next if $page =~ m{^bench/results/};
  is(join("\n", grep { length > 160 && !/^(\||!\[)/ } split /\n/, prose($page)), '', "$page has no long lines");
}

# --- SQL

# The pages whose SQL is run here, in order, by one session in a database of its own; what there must be before; who runs it, where
# that is not a superuser; and the roles that it makes.
my %prepared = (
  'README.md' => {roles => ['web'], before => q{
    CREATE TABLE customer (id bigint PRIMARY KEY, org_id uuid, name text);
    CREATE TABLE country (code text PRIMARY KEY);
    INSERT INTO customer VALUES (1, '6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e', 'ours'), (2, '00000000-0000-0000-0000-000000000000', 'theirs');
    GRANT SELECT ON customer TO web;}},
  'doc/all-tenants.md' => {roles => ['deployer'], made => [qw(migrator tenant_owner tenant_user tenant_worker platform_admin)], before => q{
    CREATE EXTENSION rls_tenant;
    SELECT rls_tenant.setup_roles();
    SET ROLE tenant_owner;
    BEGIN;
    CREATE TABLE invoice (tenant_id bigint, id bigint, net numeric, tax numeric, total numeric);
    SELECT rls_tenant.protect('invoice');
    COMMIT;
    RESET ROLE;
    SELECT rls_tenant.exempt('public', 'tenant', 'the list of tenants', '{no_tenant_column}');
    CREATE TABLE tenant (id bigint PRIMARY KEY);
    INSERT INTO tenant VALUES (1), (2);
    INSERT INTO invoice VALUES (1, 1, 100, 19), (2, 2, 200, 38);
    SELECT rls_tenant.exempt('*', '%', 'the machine of a test may be behind', '{server_outdated,not_preloaded}');
    SELECT rls_tenant.exempt('*', 'deployer', 'deploys', '{bypass_login,owner_login}');}},
  'doc/audit.md' => {roles => ['auditor'], before => q{CREATE EXTENSION rls_tenant;}},
  'doc/membership.md' => {roles => ['migrator'], before => q{
    CREATE EXTENSION rls_tenant;
    SELECT rls_tenant.exempt('public', t, 'tells of memberships') FROM unnest('{member,team\_member,person,partner,employee,project\_member}'::text[]) t;
    CREATE TABLE member (user_id bigint, tenant_id bigint, role text, status text);
    CREATE TABLE project_member (user_id bigint, project_id bigint, suspended boolean, expires_at timestamptz);
    SET rls_tenant.guard = off;
    CREATE TABLE invoice (tenant_id bigint, id bigint);
    CREATE TABLE ticket (tenant_id bigint, id bigint, team_id bigint);
    CREATE TABLE report (tenant_id bigint, id bigint);
    CREATE TABLE review (tenant_id bigint, id bigint, employee_id bigint);}},
  'doc/partitioning.md' => {roles => ['owner'], user => 'owner', before => q{
    CREATE EXTENSION rls_tenant;
    GRANT ALL ON SCHEMA public TO owner;
    ALTER ROLE owner SET enable_bitmapscan = off;
    ALTER ROLE owner SET enable_indexscan = off;
    SET rls_tenant.guard = off;
    SET ROLE owner;
    CREATE TABLE shared (tenant_id bigint, id bigint);}},
  'doc/tools.md' => {before => q{CREATE EXTENSION rls_tenant;}});

# Those whose SQL another test runs, or has.
my %elsewhere = (
  'doc/adoption.md' => 'test/tap/adoption.t',
  'doc/citus.md' => 'test/citus',
  'doc/patterns.md' => 'test/pgtap/patterns.sql',
  'doc/testing-your-schema.md' => 'test/pgtap/tap_example.sql',
  'examples/fanout/README.md' => 'test/tap/fanout.t');
ok(-e "$top/$elsewhere{$_}", "$elsewhere{$_} has the SQL of $_") for sort keys %elsewhere;
is(join(' ', grep { !$prepared{$_} && !$elsewhere{$_} && grep { $_->{language} eq 'sql' } blocks($_) } @pages), '', 'no page has other SQL');

my $server = Cluster->running;

# Runs SQL by psql; gives what it printed, and the errors. Both are parted where the SQL says \echo and \warn.
sub psql {
  my ($database, $user, $sql) = @_;
  open(my $file, '>:encoding(UTF-8)', "$work/page.sql") or die $!;
  print $file $sql;
  close($file);
  system("'$ENV{PG_BIN}/psql' -X -q -v ON_ERROR_STOP=1 -U '$user' -d '$database' -f - <'$work/page.sql' >'$work/page.out' 2>'$work/page.err'");
  return (slurp("$work/page.out") // '', (slurp("$work/page.err") // '') =~ s/^psql:<stdin>:\d+: //mgr);
}

# Runs the SQL of a page, and compares what its blocks say of themselves.
sub run_page {
  my ($page) = @_;
  my $how = $prepared{$page};
  my $database = $page eq 'README.md' ? 'app' : 'page_' . $page =~ s/\W/_/gr;
  $server->database($database);
  $server->role($_) for @{$how->{roles} // []};
  push @{$server->{roles}}, @{$how->{made} // []};
  my (undef, $problem) = psql($database, 'postgres', "SET client_min_messages = warning;\n$how->{before}");
  is($problem, '', "$page: prepared");

  my $between = '~~~~';
  my $sql = '';
  my @blocks = grep { $_->{language} eq 'sql' || $_->{remark} eq 'prints' } blocks($page);
  for my $block (grep { $_->{language} eq 'sql' } @blocks) {
    my $stop = $block->{remark} =~ /^fails/ ? 0 : 1;
    $sql .= "\\set ON_ERROR_STOP $stop\n$block->{text}\\echo $between\n\\warn $between\n\\set state :LAST_ERROR_SQLSTATE\n\\echo :state $between\n";
  }
  my ($printed, $errors) = map { [split /\Q$between\E\n/] } psql($database, $how->{user} // 'postgres', $sql);
  my $number = -1;
  for my $block (@blocks) {
    my ($title) = $block->{text} =~ /\A([^\n]{1,60})/;
    if ($block->{remark} eq 'prints') {
      my $got = ($printed->[2 * $number] // '') . ($errors->[$number] // '');
      ok(index($got =~ s/ +$//mgr, $block->{text}) >= 0, "$page prints: $title") or diag($got);
      next;
    }
    $number++;
    my ($state) = $block->{remark} =~ /^fails: (\w+)/;
    my $there = defined $printed->[2 * $number + 1];
    if (defined $state) {
      is($there ? $printed->[2 * $number + 1] =~ s/\s//gr : '', $state, "$page fails: $title");
    } else {
      ok($there, "$page runs: $title") or diag($errors->[$number] // '');
    }
  }
}
for my $page (sort { ($a eq 'README.md') <=> ($b eq 'README.md') || $a cmp $b } keys %prepared) {
  run_page($page);
  next if $page eq 'README.md';  # of which more is asked below
  $server->_drop;
  @$server{qw(databases roles)} = ([], []);
}

# What the README has made of the existing database.
my $dba = $server->connect('app');
my $web = $server->connect('app', user => 'web');
$web->do(q{BEGIN});
$web->do(q{SELECT rls_tenant.set_context('6f1e5c52-0d6e-4f1c-9d0e-2f3a4b5c6d7e'::uuid)});
is(rows($web, q{SELECT name FROM customer}), 'ours', 'afterwards the application sees its tenant');
$web->do(q{COMMIT});
refused($web, q{SELECT name FROM customer}, '55000', qr/no tenant is set/, 'and without context an error');
$web->do(q{BEGIN});
refused($web, q{SET LOCAL rls_tenant.tenant_id = '42'}, '22023', qr/invalid value/, 'the declared type holds');
$web->do(q{ROLLBACK});

# --- The reference

my $reference = $text{'doc/reference.md'};
my $signatures = join("\n", map { $_->{text} =~ s/\n +/ /gr } grep { $_->{language} eq 'text' } blocks('doc/reference.md')) . "\n";

# How a function is called and what it gives, as the reference has it: once for all functions of a name, without the types in which
# they differ.
my %functions;
for my $row (@{$dba->selectall_arrayref(q{
  SELECT proname, prokind = 'p', has_function_privilege('web', p.oid, 'EXECUTE')::int, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), proretset
  FROM pg_proc p WHERE pronamespace = 'rls_tenant'::regnamespace ORDER BY p.oid})}) {
  push @{$functions{$row->[0]}}, $row;
}

sub signature {
  my ($name) = @_;
  my @calls = map { [grep { !/^OUT / } split /, (?![^(]*\))/, $_->[3] =~ s/::(?:text|name|regclass|boolean|bigint|uuid)(?:\[\])?//gr =~ s/\bIN //gr] } @{$functions{$name}};
  my @arguments = @{$calls[0]};
  for my $i (0 .. $#arguments) {
    my %types = map { ($_->[$i] // '') =~ /^\w+ ([\w\[\]]+)/ ? ($1 => 1) : () } @calls;
    $arguments[$i] =~ s/^(\w+) [\w\[\]]+/$1/ if keys %types > 1;
  }
  my (undef, $is_procedure, undef, $all, $result, $set) = @{$functions{$name}[0]};
  my $call = "$name(" . join(', ', @arguments) . ')';
  return "CALL $call" if $is_procedure;
  my @out = map { s/^OUT //r } grep { /^OUT / } split /, /, $all;
  $result = '(' . join(', ', @out) . ')' if @out;
  $result = "SETOF $result" if $set && $result !~ /^SETOF/;
  return "$call → $result";
}

# Parts of the audit stand for no one to call, and each has a comment that says so.
my @parts = map { $_->[0] } @{$dba->selectall_arrayref(q{
  SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'rls_tenant'::regnamespace AND obj_description(oid, 'pg_proc') LIKE 'part of %'})};
my ($internal) = $reference =~ /^(## Internal functions\n.*)/ms;
for my $name (sort keys %functions) {
  next if grep { $_ eq $name } @parts;
  if ($internal =~ /`\Q$name\E\(\)`/) {
    pass("the reference has the internal $name()");
    next;
  }
  my $signature = signature($name);
  ok($signatures =~ /^\Q$signature\E$/m, "the reference has $signature");
  my ($section) = grep { /^(?:CALL )?\Q$name\E\(/m } split /^(?=##)/m, $reference;
  is(($section // '') =~ /Granted\s+to\s+nobody/ ? 0 : 1, $functions{$name}[0][2], '… and who may call it');
}
is(join(' ', grep { !$functions{$_} } $signatures =~ /^(?:CALL )?(\w+)\(/mg), '', 'and no other');

my @settings = map { $_->[0] } @{$dba->selectall_arrayref(q{SELECT name FROM pg_settings WHERE name LIKE 'rls\_tenant.%'})};
my ($settings) = $reference =~ /^(## Settings\n.*?)^## /ms;
for my $row (@{$dba->selectall_arrayref(q{SELECT name, CASE WHEN unit IS NULL THEN boot_val ELSE '4MB' END, context FROM pg_settings WHERE name LIKE 'rls\_tenant.%'})}) {
  my ($name, $default, $context) = @$row;
  my ($line) = $settings =~ /^(\| .*`\Q$name\E`.*)$/m;
  my (undef, undef, $says_default, $who) = split / *\| */, $line // '';
  is(($says_default // '') =~ tr/`//dr, $default eq '' ? 'empty' : $default, "the reference has $name, its default");
  like($who // '', $context eq 'superuser' ? qr/^superuser/ : qr/^anyone/, '… and who can set it');
}
like($reference, qr/`\Q$_->[0]\E`/, "the reference has the rule $_->[0]") for @{$dba->selectall_arrayref('SELECT unnest(rls_tenant.table_rules())')};
for my $row (@{$dba->selectall_arrayref(q{
  SELECT relname, string_agg(attname, ' ' ORDER BY attnum) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
  WHERE relnamespace = 'rls_tenant'::regnamespace AND relkind = 'r' GROUP BY relname ORDER BY relname})}) {
  my ($line) = $reference =~ /^\| `\Q$row->[0]\E` \| (.*)$/m;
  is(join(' ', ($line // '') =~ /`(\w+)`/g) =~ s/ baseline\K.*//r, $row->[1], "the reference has the columns of $row->[0]");
}

# The lines for CI in doc/audit.md, around a migration that opens a table and one that does not.
my ($in_ci) = map { $_->{text} } grep { $_->{language} eq 'sh' && $_->{text} =~ /audit_changes/ } blocks('doc/audit.md');
for my $migration (['CREATE TABLE opened (org_id uuid)', 256, 'leak|rls_off|public.opened|row-level security is not enabled'], ['ANALYZE country', 0, '']) {
  my ($sql, $status, $told) = @$migration;
  mkdir "$work/ci";
  my %files = (steps => $in_ci, migrate => qq{#!/bin/sh\nPGOPTIONS='-c rls_tenant.guard=off' exec psql -Xq -d "\$1" -c '$sql'\n});
  for my $name (keys %files) {
    open(my $file, '>', "$work/ci/$name") or die $!;
    print $file $files{$name};
    close($file);
    chmod 0755, "$work/ci/$name";
  }
  is(system("cd '$work/ci' && PATH='$ENV{PG_BIN}':\"\$PATH\" PGUSER=postgres bash steps >steps.out 2>&1"), $status, "doc/audit.md, in CI: $sql");
  my $output = slurp("$work/ci/steps.out");
  $told eq '' ? is($output, '', '… prints nothing') : like($output, qr/^\Q$told\E$/m, '… prints what is new') or diag($output);
  like(slurp("$work/ci/audit.sarif"), qr{"uri": "db/migrate/042_invoice.sql"}, '… and leaves the findings');
}

# What pages call by its name is there.
my %known = map { $_ => 1 } keys %functions, (map { s/^rls_tenant\.//r } @settings, 'rls_tenant.handed_down'),
  map { $_->[0] } @{$dba->selectall_arrayref(q{SELECT relname FROM pg_class WHERE relnamespace = 'rls_tenant'::regnamespace})};
for my $page (grep { $_ ne 'CHANGELOG.md' } @pages) {
  my %unknown = map { $_ => 1 } grep { !$known{$_} } $text{$page} =~ /\brls_tenant\.(?!cpp|control|so\b)(\w++)(?!…)/g;
  is(join(' ', sort keys %unknown), '', "$page names nothing that is not there");
}

# So for the table of rules in doc/audit.md.
my @documented = map { [split / \| /] } $text{'doc/audit.md'} =~ /^\| (`\w+` \| (?:leak|risk|speed|note) \| .*) \|$/mg;
my @rules = @{$dba->selectall_arrayref(q{SELECT format('`%s`', rule), severity, meaning FROM rls_tenant.audit_rules()})};
utf8::decode($_->[2]) for @rules;
is_deeply([map { [@$_[0 .. 2]] } @documented], \@rules, 'doc/audit.md has all rules of the audit, as they are');

# The suite of doc/testing-your-schema.md is the one that is tested, and its table has every function.
my $testing = $text{'doc/testing-your-schema.md'};
my ($suite) = map { $_->{text} } grep { $_->{language} eq 'sql' } blocks('doc/testing-your-schema.md');
is($suite, slurp("$top/test/pgtap/tap_example.sql"), 'doc/testing-your-schema.md has the suite of test/pgtap/tap_example.sql');
$dba->do($_) for 'CREATE SCHEMA kit', 'CREATE EXTENSION pgtap', 'CREATE EXTENSION rls_tenant_tap SCHEMA kit';
for my $row (@{$dba->selectall_arrayref(q{
  SELECT DISTINCT proname, CASE WHEN proname <> 'as_tenant' THEN pg_get_function_arguments(oid) END FROM pg_proc
  WHERE pronamespace = 'kit'::regnamespace AND proname NOT LIKE '\_%'})}) {
  my $call = $row->[0] . '(' . ($row->[1] // '') =~ s/::(?:text|name|regclass\[\]|boolean)//gr;
  like($testing, qr/^\| `\Q$call\E/m, "doc/testing-your-schema.md has $call");
}

# --- The map of the source

my $map = $text{'src/README.md'} // '';
my @sources;
find({no_chdir => 1, wanted => sub { push @sources, substr($_, length("$top/src/")) if /\.[ch]pp$/ }}, "$top/src");
my %part = map { s/\.[ch]pp$//r => 1 } @sources;
my %named = map { $_ => 1 } $map =~ m{`([\w/]+/\w+(?:\.sql)?)`}g;
is(join(' ', grep { !$named{$_} && m{/} } sort keys %part), '', 'src/README.md has every file of src/');
is(join(' ', grep { !$named{$_} } map { substr($_, length("$top/")) } glob "$top/sql/*/*.sql"), '', 'and of sql/');
is(join(' ', grep { !$part{$_} && !-e "$top/$_" } sort keys %named), '', 'and no other');
my $code = join('', map { slurp("$top/src/$_") } @sources) . join('', map { slurp($_) } glob "$top/sql/*/*.sql");
my %called = map { $_ => 1 } $map =~ /`(\w+)\(\)`/g;
is(join(' ', grep { $code !~ /\b$_\b/ } sort keys %called), '', 'its functions are there');

# --- Code that is shown from files

my @shown = grep { grep { $_->{remark} =~ m{/} && -e "$top/$_->{remark}" } blocks($_) } @pages;
is(join(' ', @shown), 'doc/drivers.md', 'the pages that show files');
for my $page (@shown) {
  system('cp', "$top/$page", "$work/shown.md") == 0 or die;
  is(system("$top/tools/include_code", "$work/shown.md"), 0, 'tools/include_code runs');
  same_lines($text{$page}, slurp("$work/shown.md"), "$page shows the files as they are (if not: tools/include_code $page)");
}
is(scalar(grep { $_->{remark} eq '' } blocks('doc/drivers.md')), 0, 'all code in doc/drivers.md is of a file');
my @locks = glob("$top/examples/*/package-lock.json");
is(scalar(grep { slurp($_) =~ /"resolved"/ } @locks), 0, 'package-lock.json names no registry: ' . @locks);

$web->disconnect;
$dba->disconnect;
done_testing;
