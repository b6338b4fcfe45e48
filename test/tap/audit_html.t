# audit_html(): the page is well-formed, holds what audit() finds and nothing that anybody could have smuggled in, loads
# nothing, and can be read: every link leads somewhere, headings are in order, colours have contrast.

use strict;
use warnings;
use utf8;
use Cluster;
use Test::More;
use XML::LibXML;

binmode(Test::More->builder->$_, ':encoding(UTF-8)') for qw(output failure_output todo_output);
my $server = Cluster->running;

# The page of a database, as a user gets it: its text and its tree.
sub page {
  my ($database, $call) = @_;
  my ($status, $text) = $server->run('psql', '-XqAt', '-d', $database, '-c', 'SELECT rls_tenant.' . ($call // 'audit_html()'));
  is($status, 0, 'psql gives the page') or diag($text);
  my $tree = eval { XML::LibXML->load_xml(string => $text, no_network => 1, load_ext_dtd => 0, huge => 1) };
  ok($tree, 'the page is well-formed') or diag($@);
  (my $plain = $text) =~ s/ xmlns="[^"]*"//;    # else it would stand in every path below
  return ($text, $tree && XML::LibXML->load_xml(string => $plain, load_ext_dtd => 0, huge => 1));
}

# What holds of every page.
sub sound {
  my ($name, $text, $tree) = @_;
  unlike($text, qr/[^\n -~]/, "$name: ASCII, so that it is the same in every encoding");
  unlike($text, qr/\bhttps?:(?!\/\/www\.w3\.org\/1999\/xhtml")/i, "$name: no address of anything elsewhere");
  is(number($tree, '//script|//img|//iframe|//object|//embed|//link|//form|//base|//svg|//@style'), 0, "$name: nothing that runs or loads");
  is(join(' ', map { $_->nodeName } grep { $_->nodeName =~ /^on/i } $tree->findnodes('//@*')), '', "$name: no handlers");
  unlike(($tree->findvalue('//style')), qr/url\s*\(|\@import|expression\s*\(|[<&]/i, "$name: the style sheet loads nothing");
  is(join(' ', grep { !/^#/ } map { $_->value } $tree->findnodes('//@href|//@src')), '', "$name: links lead into the page alone");
  my %id;
  $id{$_->value}++ for $tree->findnodes('//@id');
  is(join(' ', grep { $id{$_} > 1 } sort keys %id), '', "$name: no id is there twice");
  is(join(' ', grep { !$id{$_} } map { substr($_->value, 1) } $tree->findnodes('//@href')), '', "$name: every link leads somewhere");
  is(join(' ', grep { !$id{$_} } map { $_->value } $tree->findnodes('//@aria-labelledby')), '', "$name: every label is there");
  my ($level, @jumps) = 0;
  for my $heading ($tree->findnodes('//h1|//h2|//h3|//h4|//h5|//h6')) {
    my ($now) = $heading->nodeName =~ /(\d)/;
    push @jumps, $heading->textContent if $now > $level + 1;
    $level = $now;
  }
  is("@jumps", '', "$name: no heading skips a level");
  is(number($tree, '//h1'), 1, "$name: one main heading");
  is($tree->findvalue('/html/@lang'), 'en', "$name: it says its language");
  ok($tree->findnodes('/html/head/title')->[0]->textContent =~ /\S/, "$name: it has a title");
  is($tree->findvalue('/html/body/a[1]/@href'), '#main', "$name: the first link skips to the findings");
  is(number($tree, '//th[not(@scope)]|//td[not(../th[@scope="row"]) and not(contains(@class, "name"))]'), 0, "$name: every cell of the map has its headers");
}

# How many nodes a path has.
sub number { my ($node, $path) = @_; return scalar @{[$node->findnodes($path)]}; }

sub squeezed { my ($text) = @_; $text =~ s/\s+/ /g; $text =~ s/^ | $//g; return $text; }

# Names that would be markup, end a statement or turn the direction of what follows.
my $database = $server->database('html<i>&amp', 1);
my $dba = $server->connect($database);
$dba->do($_) for
  q{SET rls_tenant.guard = off},
  q{SET client_min_messages = error},
  q{CREATE SCHEMA "<s>.""&"},
  qq{CREATE TABLE "<s>.""&"."</code></pre><script>alert('1')</script>" (tenant_id uuid, id bigint UNIQUE, code text UNIQUE)},
  qq{CREATE TABLE "new\nline \x{202E}evil \x{05D0}\x{05D1}" (tenant_id uuid NOT NULL)},
  qq{CREATE TABLE "quote'""<!-- ]]> &lt; &#60;" (tenant_id uuid NOT NULL)},
  qq{CREATE TABLE "control\x01\t\r" (tenant_id uuid NOT NULL)},
  qq{CREATE TABLE "größe \x{1F600}" (tenant_id uuid NOT NULL, id bigint)},
  qq{ALTER TABLE "größe \x{1F600}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY},
  qq{CREATE POLICY "p on ""<b>"".x" ON "größe \x{1F600}" USING (tenant_id = rls_tenant.current_tenant_uuid() OR id > 0)},
  q{CREATE TABLE clean (tenant_id uuid, id bigint, PRIMARY KEY (tenant_id, id))},
  q{SELECT rls_tenant.protect('clean')},
  q{CREATE TABLE "accepted<u>" (id bigint)},
  qq{SELECT rls_tenant.exempt('public', 'accepted<u>', 'a reason (leak, accepted: <script>) & "more" \x{200B}')},
  q{SELECT rls_tenant.exempt('public', 'not there <i>', 'for later', '{rls_off,no_policy}')};
my ($text, $tree) = page($database);
sound('names', $text, $tree);
my $all = squeezed($tree->findvalue('/html/body'));
like($all, qr/\Q<\/code><\/pre><script>alert('1')<\/script>\E/, 'a name that is markup is shown as text');
like($tree->findvalue('//title'), qr/^\Qhtml<i>&amp: \E\d+ leaks?, /, 'the title has the database and the counts');
is($tree->findvalue('//h1/bdi'), 'html<i>&amp', 'so has the heading');
is(number($tree, '//style|//title|//meta[@http-equiv="Content-Security-Policy"]'), 3, 'one title, one style, and a policy that forbids the rest');
like($all, qr/\Qnew\E\x{240A}line \[U\+202E\]evil \x{05D0}\x{05D1}/, 'line breaks and direction marks in names are seen');
like($all, qr/control\x{2401}\x{2409}\x{240D}/, 'so are control characters');
like($all, qr/größe \x{1F600}/, 'letters of any kind are themselves');
ok((grep { $_->textContent =~ /"new\nline \x{202E}evil/ } $tree->findnodes('//pre/code')), 'in a statement to copy they are what they are');
ok((grep { $_->textContent =~ /cannot be seen/ } $tree->findnodes('//li[contains(., "202E")]//p')), 'and the page says so');

# Each finding, its remedy, and the counts are audit()'s.
$dba->do('RESET rls_tenant.guard');
my $findings = $dba->selectall_arrayref(q{SELECT severity, rule, object, finding, remedy FROM rls_tenant.audit()}, {Slice => {}});
my @cards = $tree->findnodes('//li[starts-with(@id, "f")]');
is(scalar @cards, scalar @$findings, 'as many findings as audit() has');
my %count;
$count{$_->{severity}}++ for @$findings;
my %many = (leak => 'leaks', risk => 'risks', speed => 'speed issues', note => 'notes');
for my $severity (sort keys %many) {
  my $number = $count{$severity} // 0;
  my $words = "$number " . ($number == 1 ? $many{$severity} =~ s/s$//r : $many{$severity});
  is($tree->findvalue(qq{//ul[\@class="counts"]/li[\@class="$severity"]/strong}), $words, "counts: $words");
  is(number($tree, qq{//section[\@class="$severity"]//li[starts-with(\@id, "f")]}), $number, "$severity: so many are listed");
}
my ($listed, $told) = ('', '');
for my $number (1 .. @$findings) {
  my $finding = $findings->[$number - 1];
  my ($card) = $tree->findnodes(qq{//li[\@id="f$number"]});
  next if !$card || $finding->{remedy} =~ m{^/\*} || $finding->{remedy} =~ /[\x01-\x08]/;
  $told .= $finding->{remedy} . "\n";
  $listed .= $card->findvalue('.//pre/code') . "\n";
}
is($listed, $told, 'the remedies are to the letter');
my @accepted = $tree->findnodes('//div[@class="waived"]//li');
is(scalar @accepted, value($dba, q{SELECT count(*) FROM rls_tenant.audit('%', true) WHERE severity = 'accepted'}), 'as many accepted findings, too');
is(number($tree, '//section[@aria-labelledby="accepted"]/ul[@class="cards"]/li'), 2, 'each exemption is there, also one that accepts nothing');
like(squeezed($tree->findvalue('//section[@aria-labelledby="accepted"]')), qr/\Qpublic.accepted<u>\E a reason \Q(leak, accepted: <script>) & "more" [U+200B]\E By postgres, \d+ \w+ \d{4}/, 'with its reason, by whom, and when');
like(squeezed($tree->findvalue('//section[@aria-labelledby="accepted"]')), qr/Waives no_policy, rls_off\. Nothing would be found today/, 'and what it waives');
like($all, qr/1 tenant table has no finding/, 'tables without a finding are counted');

# The map.
my @rows = $tree->findnodes('//div[@class="map"]//tbody/tr');
my $relations = value($dba, q{SELECT count(DISTINCT regexp_replace(object, '^.* on ', '')) FROM rls_tenant.audit() WHERE object_type IN ('table', 'view', 'materialized view', 'foreign table', 'policy')});
is(scalar @rows, $relations, 'a row for each table with a finding');
my @columns = map { $_->textContent } $tree->findnodes('//div[@class="map"]//thead/tr[2]/th[position() > 1]');
my @wrong;
for my $row (@rows) {
  my @cells = $row->findnodes('td');
  push @wrong, 'a row of another length' if @cells != @columns;
  for my $place (0 .. $#cells) {
    my ($link) = $cells[$place]->findnodes('a') or next;
    my ($number) = $link->getAttribute('href') =~ /^#f(\d+)$/;
    my $finding = $findings->[$number - 1];
    push @wrong, $link->textContent if $finding->{rule} ne $columns[$place] || $finding->{severity} ne $link->getAttribute('class') || index($finding->{object}, $row->findvalue('th/bdi[2]') =~ s/[\x{2400}-\x{2421}].*//sr) < 0
      || $link->findvalue('span[@class="hidden"]') !~ /^\d+ $many{$finding->{severity}}?/ && $link->findvalue('span[@class="hidden"]') !~ /^1 /;
  }
}
is("@wrong", '', 'each cell leads to its finding, and says what it is without colour');
ok($tree->findnodes('//div[@class="map" and @role="region" and @aria-label and @tabindex="0"]/table/caption')->size, 'the map scrolls by itself, by keys, too, and has a caption');

# Contrast by the formula of WCAG 2, in both schemes.
my @schemes = $tree->findvalue('//style') =~ /:root \{(.*?)\}/gs;
is(scalar @schemes, 2, 'a light and a dark scheme');
sub luminance {
  my @parts = map { my $c = hex($_) / 255; $c <= 0.03928 ? $c / 12.92 : (($c + 0.055) / 1.055)**2.4 } $_[0] =~ /([0-9a-f]{2})/gi;
  return 0.2126 * $parts[0] + 0.7152 * $parts[1] + 0.0722 * $parts[2];
}
for my $scheme (0 .. $#schemes) {
  my %colour = $schemes[$scheme] =~ /--([\w-]+): (#[0-9a-f]{6})/g;
  my @pairs = ((map { ["on-$_", $_] } qw(leak risk speed note good)), (map { ["$_-ink", 'card'] } qw(leak risk speed note good)),
    (map { ['text', $_], ['soft', $_], ['link', $_] } qw(page card hover)), ['text', 'code']);
  my @weak = grep { my ($a, $b) = sort { $b <=> $a } map { luminance($colour{$_} // die "no colour $_") } @$_; ($a + 0.05) / ($b + 0.05) < 4.5 } @pairs;
  is(join(' ', map { "$_->[0]/$_->[1]" } @weak), '', 'contrast of at least 4.5 in the ' . ('light', 'dark')[$scheme] . ' scheme');
}

# A part of the schemas; none; nothing found; who may not.
($text, $tree) = page($database, q{audit_html('no such <schema>')});
sound('no such schema', $text, $tree);
like(squeezed($tree->findvalue('/html/body')), qr/like no such <schema>/, 'the pattern is told');
($text, $tree) = page($database, q{audit_html(NULL)});
sound('NULL', $text, $tree);
$server->role('html_reader');
my $reader = $server->connect($database, user => 'html_reader');
refused($reader, 'SELECT rls_tenant.audit_html()', '42501', qr/permission denied/, 'it is granted to nobody');
$reader->disconnect;
my $clean = $server->database('html_clean', 1);
my $quiet = $server->connect($clean);
$quiet->do($_) for
  q{CREATE TABLE item (tenant_id uuid, id bigint, PRIMARY KEY (tenant_id, id)); SELECT rls_tenant.protect('item')},
  q{SET client_min_messages = error},
  q{SELECT rls_tenant.exempt('*', '%', 'another test''s')};
($text, $tree) = page($clean);
sound('nothing found', $text, $tree);
is($tree->findvalue('//ul[@class="counts"]//strong'), 'Nothing found', 'where nothing is found it says so');
is(number($tree, '//table'), 0, 'without a map');
$quiet->disconnect;

# Other encodings.
my $control = $server->connect('postgres');
for my $encoding (qw(LATIN1 SQL_ASCII)) {
  my $name = lc "html_$encoding";
  $control->do(qq{CREATE DATABASE $name TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'});
  push @{$server->{databases}}, $name;
  my $there = $server->connect($name);
  $there->do($_) for 'CREATE EXTENSION rls_tenant', 'SET rls_tenant.guard = off', q{DO $$ BEGIN EXECUTE format('CREATE TABLE %I (tenant_id uuid)', 'gr' || convert_from('\xf6df', getdatabaseencoding()) || 'e'); END $$};
  $there->disconnect;
  ($text, $tree) = page($name);
  sound($encoding, $text, $tree);
  like($tree->findvalue('/html/body'), $encoding eq 'LATIN1' ? qr/größe/ : qr/gr\[U\+FFFD\]|gr\x{FFFD}/, "$encoding: letters are themselves, or known to be unknown");
}
$control->disconnect;

# A large database: the worst of it, and how much is left out.
my $large = $server->database('html_large', 1);
my $many = $server->connect($large);
$many->do(q{SET rls_tenant.guard = off});
$many->do(q{SET client_min_messages = error});
$many->do(q{DO $$ BEGIN FOR n IN 1..260 LOOP
  EXECUTE format('CREATE TABLE %I (tenant_id uuid NOT NULL, %s)', 'table_' || n, (SELECT string_agg(format('c%s bigint UNIQUE', c), ', ') FROM generate_series(1, 12) c));
  EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', 'table_' || n);
  EXECUTE format('CREATE POLICY p ON %I USING (tenant_id = rls_tenant.current_tenant_uuid())', 'table_' || n);
END LOOP; END $$});
$many->do(q{CREATE TABLE worst (tenant_id uuid)});
$many->do('RESET rls_tenant.guard');
my $total = value($many, 'SELECT count(*) FROM rls_tenant.audit()');
cmp_ok($total, '>', 3000, 'a large database has more findings than the page lists');
($text, $tree) = page($large);
sound('large', $text, $tree);
is(number($tree, '//li[starts-with(@id, "f")]'), 3000, 'the first 3,000 are listed');
my $grouped = scalar reverse(join(',', unpack('(A3)*', scalar reverse $total)));
like(squeezed($tree->findvalue('/html/body')), qr/The worst 3,000 of $grouped;/, 'and it says of how many');
is(number($tree, '//div[@class="map"]//tbody/tr'), 200, 'the map has 200 tables');
like(squeezed($tree->findvalue('/html/body')), qr/Of the 261 tables and views that have any, these are the 200 worst/, 'and says so');
is($tree->findvalue('(//div[@class="map"]//tbody/tr)[1]/th/bdi[2]'), 'worst', 'the worst comes first');
$many->disconnect;

$dba->disconnect;
done_testing;
