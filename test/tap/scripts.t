# What our scripts do to the machine that they run on: the private copy of PostgreSQL, and how packages are installed.

use strict;
use warnings;
use Cluster;
use Test::More;

# Runs shell text that can use tools/cluster.sh; gives its exit status and all that it printed.
sub shell {
  my ($text, @arguments) = @_;
  open(my $output, '-|', 'bash', '-c', qq{exec 2>&1; set -eu; . "\$0/tools/cluster.sh"; $text}, $top, @arguments) or die "bash: $!";
  local $/;
  my $printed = <$output> // '';
  close($output);
  return ($? >> 8, $printed);
}

sub write_file {
  my ($path, $text) = @_;
  open(my $file, '>', $path) or die "$path: $!";
  print $file $text;
  close($file);
  chmod(0755, $path);
}

# 1. The private copy: a file of it must not be a file of the system, whatever writes to it.

my $links = qq{find "\$1" '(' -type l -o -type f -links +1 ')' -print};
is((shell($links, "$work/pg"))[1], '', 'the installation that the tests use shares no file with the one it was copied from');

# An installation that lies as other distributions have it, and contains a link.
my $vendor = "$work/vendor/pgsql-15";
system('mkdir', '-p', map { "$vendor/$_" } 'bin', 'lib', 'share/extension', 'include/server') == 0 or die;
write_file("$vendor/bin/pg_config", <<'END');
#!/bin/sh
prefix=${0%/bin/*}
case $1 in
  --bindir) echo "$prefix/bin" ;;
  --sharedir) echo "$prefix/share" ;;
  --pkglibdir | --libdir) echo "$prefix/lib" ;;
  --pkgincludedir | --includedir) echo "$prefix/include" ;;
  --version) echo 'PostgreSQL 15.0' ;;
esac
END
my %original = ('lib/citus.so' => "a library\n", 'share/extension/citus.control' => "a control file\n");
write_file("$vendor/$_", $original{$_}) for keys %original;
symlink("$vendor/share/extension/citus.control", "$vendor/share/extension/other.control") or die;
my ($status, $printed) = shell(q{
  work=$1 PG_CONFIG=$2/bin/pg_config
  make_prefix
  for file in "$("$PG_CONFIG" --sharedir)"/extension/*.control "$("$PG_CONFIG" --pkglibdir)"/*.so; do echo changed >"$file"; done
  find "$work/pg" -name '*.control' | wc -l
  find "$work/pg" -type l
}, "$work/vendor", $vendor);
is("$status $printed", "0 2\n", 'an installation of another layout is copied without links, too');
is(slurp("$vendor/$_"), $original{$_}, "and what is written to the copy of $_ leaves it alone") for sort keys %original;

# 2. Packages

# A user who may not install them; nothing is installed.
my $without_rights = 'id() { echo 1000; }; dpkg-query() { return 1; }; command() { [ "$2" != sudo ] && builtin command "$@"; };';
($status, $printed) = shell($without_rights . 'need_packages git $(test_packages pgtap tap/dump) valgrind');
isnt($status, 0, 'a user without rights cannot install packages');
like($printed, qr/^error: install these as root first: apt-get install git make g\+\+ postgresql-\S+ .*pgbouncer.* valgrind\n\z/,
  'and is told of all that are missing, at once');
for my $script ('.ci/run', 'bench/run', 'demo/run', 'test/core', 'test/run', 'tools/adoption_cost', 'tools/audit_screenshot') {
  is(scalar(() = slurp("$top/$script") =~ /^ *need_packages /mg), 1, "$script asks for its packages once");
}

# An apt-get that finds a lock taken twice, and then another error or none.
mkdir "$work/stubs" or die;
write_file("$work/stubs/apt-get", <<'END');
#!/bin/sh
echo "$@" >>"$calls"
if [ "$(wc -l <"$calls")" -le 2 ]; then
  echo "E: Could not get lock $lock. It is held by process 7 (apt-get)"
  exit 100
fi
[ -z "$failure" ] || { echo "$failure"; exit 100; }
END
my $apt = q{sleep() { :; }; as_root() { "$@"; }; export calls=$1 lock=$2 failure=$3 PATH="$4:$PATH"; : >"$calls";
  status=0; apt_get update || status=$?; wc -l <"$calls"; exit "$status"};
for my $lock ('/var/lib/apt/lists/lock', '/var/cache/apt/archives/lock') {
  ($status, $printed) = shell($apt, "$work/apt_calls", $lock, '', "$work/stubs");
  is("$status $printed", "0 waiting for another process that uses apt\n3\n", "$lock is waited for");
}
like(slurp("$work/apt_calls"), qr/^(-qq -o DPkg::Lock::Timeout=600 update\n){3}$/, 'for the lock of dpkg apt-get itself waits');
($status, $printed) = shell($apt, "$work/apt_calls", '/var/lib/apt/lists/lock', 'E: no such thing', "$work/stubs");
is("$status $printed", "100 waiting for another process that uses apt\nE: no such thing\n3\n", 'another error is reported, and ends it');

done_testing;
