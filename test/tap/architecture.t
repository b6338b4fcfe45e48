# How src/ is laid out: which of its folders, the wings, may know which, and how long files and functions may be.

use strict;
use warnings;
use Cluster;
use File::Find qw(find);
use File::Path qw(make_path);
use Test::More;

# What each wing may include beside its own files; '' is what lies in src/ itself.
my %below = (
  postgres => [],
  context => [qw(postgres)],
  membership => [qw(context postgres)],
  policy => [qw(context postgres)],
  query => [qw(membership context postgres)],
  guard => [qw(policy membership context postgres)],
  report => [qw(guard query policy membership context postgres)],
  '' => [qw(report guard query policy membership context postgres)],
);

# The sources below a directory, by their names from there.
sub sources {
  my ($src) = @_;
  my @names;
  find({no_chdir => 1, wanted => sub { push @names, substr($_, length("$src/")) if /\.[ch]pp$/ }}, $src);
  return sort @names;
}

sub wing_of { my ($name) = @_; return $name =~ m{^(.*)/} ? $1 : ''; }

# What includes something that its wing may not know, or not by its name from src/.
sub wrong_includes {
  my ($src) = @_;
  my @wrong;
  for my $name (sources($src)) {
    my $wing = wing_of($name);
    if (!$below{$wing}) {
      push @wrong, "$name is in no wing";
      next;
    }
    my %known = map { $_ => 1 } $wing, @{$below{$wing}};
    for my $included (slurp("$src/$name") =~ /^\s*#\s*include\s+"([^"]+)"/mg) {
      # PostgreSQL's headers are all included in one place.
      next if $name eq 'postgres/prelude.hpp' && $included ne 'postgres/compat.hpp';
      push @wrong, "$name: $included is not there" if !-e "$src/$included";
      push @wrong, "$name: $included" if !$known{wing_of($included)};
    }
  }
  return join "\n", @wrong;
}

# Functions of more lines than that: from the first line of a definition to the brace in the first column.
sub long_functions {
  my ($src, $most) = @_;
  my @long;
  for my $name (sources($src)) {
    my ($number, $start, $head) = (0);
    for my $line (split /\n/, slurp("$src/$name")) {
      $number++;
      if ($line eq '}') {
        push @long, "$name:$start" if $start && $head !~ /^extern "C"/ && $number - $start + 1 > $most;
        undef $start;
      } elsif ($line =~ m{^(\}|//|#|\s*$)} && (!$start || $line =~ /^\}/)) {
        undef $start;
      } elsif ($line =~ /^\w/ && !$start) {
        ($start, $head) = ($number, $line);
        undef $start if $line =~ /;\s*(\/\/.*)?$/ || $line =~ /^(namespace|using)\b/;
      }
    }
  }
  return join ' ', @long;
}

sub long_files {
  my ($src, $most) = @_;
  return join ' ', grep { (() = slurp("$src/$_") =~ /\n/g) > $most } sources($src);
}

# Files that ask for the version of PostgreSQL.
sub version_tests {
  my ($src) = @_;
  return join ' ', grep { slurp("$src/$_") =~ /PG_(VERSION_NUM|MAJORVERSION)/ } sources($src);
}

# Files that ask PostgreSQL for a name of its catalogs, which is NULL where another session has dropped what it is of.
# postgres/catalog.cpp has functions that never give NULL.
sub names_asked {
  my ($src) = @_;
  my $asks = qr/\b(GetUserNameFromId|get_(namespace|rel|att|func|am|op|database|tablespace|extension|language|constraint|collation)_?name(_or_temp)?)\s*\(/;
  return join ' ', grep { slurp("$src/$_") =~ $asks } sources($src);
}

# 1. The sources

my $src = "$work/src/src";
is(wrong_includes($src), '', 'no wing includes what lies above or beside it, and all is included by its name from src/');
is(join(' ', grep { my $wing = $_; !grep { wing_of($_) eq $wing } sources($src) } sort keys %below), '',
  'there are all wings');
is(long_files($src, 600), '', 'no source file has more than 600 lines');
is(long_functions($src, 60), '', 'no function has more than 60');
is(version_tests($src), 'postgres/compat.hpp', 'only compat.hpp asks for the version of PostgreSQL');
is(names_asked($src), 'postgres/catalog.cpp', 'only catalog.cpp asks for names, which can be NULL');

# 2. These tests themselves, on a tree that has each fault

my $made_up = "$work/made_up";
my %file = (
  'postgres/prelude.hpp' => qq[extern "C" {\n#include "postgres.h"\n}\n#include "postgres/compat.hpp"\n],
  'postgres/compat.hpp' => "#if PG_VERSION_NUM >= 160000\n#endif\n",
  'postgres/up.cpp' => qq[#include "context/context.hpp"\n],
  'context/context.hpp' => qq[#include "postgres/prelude.hpp"\n#include <optional>\n],
  'context/long.cpp' => qq[#include "context/context.hpp"\n] . "\n" x 9,
  'membership/across.cpp' => qq[#include "context/context.hpp"\n#include "policy/policy.hpp"\n],
  'policy/policy.hpp' => qq[#include "context/context.hpp"\n],
  'policy/beside.cpp' => qq[  # include "policy.hpp"\n],
  'guard/guard.cpp' => qq[#include "policy/policy.hpp"\n#include "query/query.hpp"\n],
  'query/query.hpp' => "bool short_one(int a) {\n  return a > 1;\n}\n\nstruct Long {\n" . "  int a;\n" x 9 . "};\n",
  'query/long.cpp' => "namespace {\n\n// It.\nstatic int long_one(int a,\n                    int b) {\n" .
    "\n  a++;\n" x 4 . "}\n\n}  // namespace\n#if PG_MAJORVERSION_NUM\n#endif\n",
  'report/report.cpp' => qq[#include "guard/guard.hpp"\n],
  'report/names.cpp' => "const char *name = get_attname(relid, 1, true), *other = attribute_name(relid, 1);\n",
  'report/names.hpp' => "const char *role_name(Oid role);  // as GetUserNameFromId\n",
  'other/other.cpp' => '',
  'main.cpp' => qq[#include "policy/policy.hpp"\n#include "query/query.hpp"\n],
);
for my $name (keys %file) {
  make_path("$made_up/" . wing_of($name));
  open my $out, '>', "$made_up/$name" or die "$name: $!";
  print $out $file{$name};
  close $out;
}
is(wrong_includes($made_up), join("\n", 'guard/guard.cpp: query/query.hpp', 'membership/across.cpp: policy/policy.hpp',
    'other/other.cpp is in no wing', 'policy/beside.cpp: policy.hpp is not there', 'policy/beside.cpp: policy.hpp',
    'postgres/up.cpp: context/context.hpp', 'report/report.cpp: guard/guard.hpp is not there'),
  'includes that go up, across or elsewhere are found');
is(long_files($made_up, 9), 'context/long.cpp query/long.cpp query/query.hpp', 'so are long files');
is(long_functions($made_up, 10), 'query/long.cpp:4', 'and long functions');
is(version_tests($made_up), 'postgres/compat.hpp query/long.cpp', 'and tests of the version');
is(names_asked($made_up), 'report/names.cpp', 'and calls for names');

done_testing();
