# What doc/performance.md says was measured: its figures are in bench/results/figures.md, in a table of the command that is
# named beside them, and the commands can be run.

use strict;
use warnings;
use Cluster;
use Test::More;

binmode(Test::More->builder->$_, ':encoding(UTF-8)') for qw(output failure_output);

my $page = slurp("$top/doc/performance.md");
my $figures = slurp("$top/bench/results/figures.md");
my $parts = join('', slurp("$top/bench/run") =~ /^parts\+?='(.*)'$/mg);
my %is_part = map { $_ => 1 } split ' ', $parts;
is(join(' ', map { m{/(\w+)\.sh$} } sort glob "$top/bench/parts/*.sh"), join(' ', sort keys %is_part), 'each part of bench/run has its file');

# The tables of each command.
my %tables;
for my $section (split /^### /m, $figures) {
  $tables{$1} .= $section if $section =~ /^`(bash bench\/run .*?)`/m;
}
is(join(' ', grep { /^bash bench\/run (?:--large )?(\w+)$/ && !$is_part{$1} } sort keys %tables), '', 'each table names the command that makes it');
is(join(' ', grep { !/ (?:--large )?PART$|^bash bench\/run$/ && !$tables{$_} } $page =~ /`(bash bench\/run[^`]*)`/g), '',
  'the commands of the page have made tables');

# Figures with at least two decimals; targets have them, too.
sub missing {
  my ($text, $where) = @_;
  return grep { my $figure = $_; $where !~ /(?<![\d.])\Q$figure\E(?!\d)/ } $text =~ /(?<![\d.])(\d+\.\d{2,})(?!\d)/g;
}
my @rows = grep { /^\|.*`bash bench\/run/ } split /\n/, $page;
cmp_ok(scalar @rows, '>=', 20, 'the page has a summary');
for my $row (@rows) {
  my ($what) = $row =~ /^\| (.*?) \|/;
  my ($command) = $row =~ /`(bash bench\/run[^`]*)` \|$/;
  is(join(' ', missing($row, $tables{$command} // '')), '', "measured by $command: $what");
}
is(join(' ', missing($page, $figures)), '', 'and all figures of the page have been measured');
cmp_ok(scalar(() = $page =~ /\n/g), '<=', 250, 'the page is short');
done_testing;
