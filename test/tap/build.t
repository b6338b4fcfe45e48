# How the tree is built and kept: compilers' warnings, what the shared object needs and exports, one version, a comment
# on every SQL object, shell scripts.

use strict;
use warnings;
use Cluster;
use File::Find qw(find);
use JSON::PP qw(decode_json);
use Test::More;

my $tree = "$work/src";  # the tree as test/run copied it, without what is not part of it

# What a command prints; the exit status is then in $?.
sub output { my ($command) = @_; return scalar qx{($command) 2>&1 </dev/null}; }

# The files of the tree whose path matches.
sub tree_files {
  my ($pattern) = @_;
  my @files;
  find({no_chdir => 1, wanted => sub { push @files, substr($_, length("$tree/")) if -f $_ }}, $tree);
  return sort grep { $_ =~ $pattern } @files;
}

# 1. Compilers

my @compilations;
for my $compiler ('g++', 'clang++') {
  my $copy = "$work/build_$compiler";
  my $make = "make -j2 -C '$copy' PG_CONFIG='$ENV{PG_CONFIG}' CXX=$compiler with_llvm=no";
  output("cp -r '$tree' '$copy'") eq '' or die;
  output("$make clean");
  is(join(' ', glob("$copy/*.so $copy/src/*.o $copy/src/*/*.o")), '', 'make clean leaves no object');
  my $log = output("$make all");
  is($?, 0, "$compiler builds it") or diag($log);
  @compilations = grep { /^\Q$compiler\E .* -c / } split /\n/, $log;
  is(scalar @compilations, scalar(() = glob("$copy/src/*.cpp $copy/src/*/*.cpp")), "$compiler compiles every source file");
  is(scalar(grep { !/ -Wall .*-Wextra .*-Werror/ } @compilations), 0, 'with -Wall -Wextra -Werror');
  unlike($log, qr/warning:/i, 'without a warning');
}

# 2. The shared object

my $control = slurp("$tree/rls_tenant.control");
my ($version) = $control =~ /^default_version = '(.+)'$/m;
my $script = join('', map { slurp($_) } glob "$tree/sql/*/*.sql");
my %named = map { $_ => 1 } $script =~ /'MODULE_PATHNAME',\s*'(\w+)'/g;
cmp_ok(scalar keys %named, '>', 30, 'the install scripts name functions of the shared object');
for my $library ("$work/build_g++/rls_tenant.so", "$work/build_clang++/rls_tenant.so") {
  my ($label) = $library =~ /build_(.*)\//;
  unlike(output("readelf -d '$library'"), qr/NEEDED.*(stdc\+\+|libc\+\+|libgcc_s)/, "$label: no C++ runtime is needed");
  my %exported = map { (split)[-1] => 1 } split /\n/, output("nm -D --defined-only '$library'");
  delete $exported{$_} for '_init', '_fini';  # some linkers'
  my %expected = map { $_ => 1 } 'Pg_magic_func', '_PG_init', map { ($_, "pg_finfo_$_") } keys %named;
  is(join(' ', grep { !$expected{$_} } sort keys %exported), '',
    "$label: nothing is exported that PostgreSQL does not call");
  is(join(' ', grep { !$exported{$_} } sort keys %expected), '', "$label: and all that it calls");
}

# 3. One version

my $server = Cluster->running;
my $db = $server->connect($server->database('build', 1));
my $meta = decode_json(slurp("$tree/META.json"));
my %provided = %{$meta->{provides}{rls_tenant}};
is(join(' ', $meta->{version}, $provided{version}), "$version $version",
  'META.json has the version of rls_tenant.control');
ok(-e "$tree/$provided{file}", 'and names a file of its');
my ($tap_version) = slurp("$tree/rls_tenant_tap.control") =~ /^default_version = '(.+)'$/m;
my %tap = %{$meta->{provides}{rls_tenant_tap}};
is(join(' ', $tap_version, $tap{version}), "$version $version", 'rls_tenant_tap is of the same version');
ok(-e "$tree/$tap{file}", 'and META.json names a file of its');
ok(-e "$tree/$_->{docfile}", "$_->{docfile} is there") for values %{$meta->{provides}};
my $extensions = output("'$ENV{PG_CONFIG}' --sharedir");
chomp $extensions;
$extensions .= '/extension';
ok(-e "$extensions/$_", "make install installs $_")
  for 'rls_tenant.control', 'rls_tenant_tap.control', "rls_tenant--$version.sql", "rls_tenant_tap--$version.sql";
is(join(' ', grep { !defined $meta->{$_} } qw(name abstract maintainer license meta-spec)), '',
  'and has what PGXN asks for');
is(scalar(grep { !/-DRLS_TENANT_VERSION='"\Q$version\E"'/ } @compilations), 0, 'the compiler is told the same version');
my ($newest) = slurp("$tree/CHANGELOG.md") =~ /^## \[?(\d\S*?)\]?( |$)/m;
is($newest, $version, 'the newest part of CHANGELOG.md is about it');
is(value($db, q{SELECT extversion FROM pg_extension WHERE extname = 'rls_tenant'}), $version,
  'the extension that was created is of it');
if ($ENV{PG_MAJOR} >= 18) {
  $db->do('SELECT rls_tenant.current_context()');
  is(value($db, q{SELECT version FROM pg_get_loaded_modules() WHERE module_name = 'rls_tenant'}), $version,
    'so is the loaded module');
}
my $readme = -e "$tree/README.md" ? slurp("$tree/README.md") : '';
is(join(' ', grep { $_ ne $version } $readme =~ /\brls_tenant(?:--|[ -]v?)(\d+\.\d+\.\d+)/g), '',
  'README.md names no other');
is(join(' ', grep { slurp("$tree/$_") =~ /\b\Q$version\E\b/ } 'Makefile', tree_files(qr{^src/.*\.[ch]pp$})), '',
  'the sources do not repeat it');

# 4. Comments

# Not on the row type of a table, nor on an array type: later versions count them among an extension's objects.
is(rows($db, q{
  SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'rls_tenant')
    AND NOT EXISTS (SELECT FROM pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid
                      AND (t.typrelid <> 0 OR t.typcategory = 'A'))
    AND coalesce(obj_description(d.objid, d.classid::regclass::name), '') !~ '\S'
  UNION ALL
  SELECT pg_describe_object(d.classid, d.objid, a.attnum) FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.objid
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
    AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'rls_tenant') AND a.attnum > 0 AND NOT a.attisdropped
    AND coalesce(col_description(a.attrelid, a.attnum), '') !~ '\S'
  ORDER BY 1}), '', 'every SQL object has a comment');

# 5. Files

my @texts = grep { -T "$tree/$_" } tree_files(qr{^(?!.*\.(o|so|bc|gz|out)$)});
my @scripts = grep { /\.sh$/ || slurp("$tree/$_") =~ /\A#!.*\b(ba)?sh\b/ } @texts;
cmp_ok(scalar @scripts, '>=', 4, 'there are shell scripts: ' . join(' ', @scripts));
for my $name (@scripts) {
  my $complaints = output("cd '$tree' && shellcheck -x '$name'");
  is($complaints, '', "shellcheck has nothing to say about $name");
}

# 6. SQL

my @sql = tree_files(qr{^sql/.*\.sql$});
is(join(' ', grep { slurp("$tree/$_") =~ /^.{121}/m } @sql), '', 'no line of SQL has more than 120 characters');
is(join(' ', grep { (() = slurp("$tree/$_") =~ /\n/g) > 600 } @sql), '', 'and no file more than 600 lines');
my %defined;
$defined{$_}++ for $script =~ /^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) (\S+?\([^()]*)/mg;
cmp_ok(scalar keys %defined, '>', 100, 'functions are defined');
is(join(' ', grep { $defined{$_} > 1 } sort keys %defined), '', 'each once');
my ($source, $installed) = ("$work/build_g++", "rls_tenant--$version.sql");
output("make -C '$source' PG_CONFIG='$ENV{PG_CONFIG}' clean");
ok(!-e "$source/$installed", 'make clean removes what is put together');
mkdir "$work/elsewhere" or die;
output("make -C '$work/elsewhere' -f '$source/Makefile' VPATH='$source' PG_CONFIG='$ENV{PG_CONFIG}' $installed");
is($?, 0, 'with VPATH make builds elsewhere');
is(slurp("$work/elsewhere/$installed"), slurp("$tree/$installed"), 'the same');

done_testing();
