#!/usr/bin/perl
# Random policies against the judgement of table_faults(): where it finds nothing, no role may ever see, change, delete or
# make a row of another tenant, but for seeing the rows that a table with public rows shows on purpose; where a policy set is
# confined in one of the plain forms, it must find nothing; and the guard refuses exactly what table_faults() names.
#
# RLS_TENANT_SEED repeats a run, RLS_TENANT_CASES says how many tables it makes (default 300).

use strict;
use warnings;
use DBI;
use Test::More;

my $cases = $ENV{RLS_TENANT_CASES} // 300;
my $seed = $ENV{RLS_TENANT_SEED} // int(rand(2**31));
srand($seed);
diag("RLS_TENANT_SEED=$seed RLS_TENANT_CASES=$cases");

my $database = "rls_tenant_random_$$";
my @roles = map { "rls_tenant_${_}_$$" } qw(owner one two);
my ($owner, $one, $two) = @roles;
my ($server, $db);

sub connect_to {
  my ($name) = @_;
  return DBI->connect("dbi:Pg:dbname=$name", '', '',
    { AutoCommit => 1, RaiseError => 1, PrintError => 0, PrintWarn => 0, pg_enable_utf8 => 0 });
}

# What the test made goes, also after a failure.
END {
  my $status = $?;
  $db->disconnect if $db;
  if ($server) {
    eval { $server->do("DROP DATABASE IF EXISTS $database") };
    for my $role (@roles) { eval { $server->do("DROP ROLE IF EXISTS $role") } }
    $server->disconnect;
  }
  $? = $status;
}

sub pick { return $_[rand @_] }
sub chance { return rand() < $_[0] }

# What a tenant column can be: its type, the getter's word, three tenants that are easily confused, and whether its
# equality tells all of them apart.
my @columns = (
  { type => 'uuid', word => 'uuid', tenants => [map { "$_-0000-4000-8000-000000000000" } qw(aaaaaaaa bbbbbbbb cccccccc)] },
  { type => 'trap.uuid_domain', word => 'uuid',
    tenants => [map { "aaaaaaaa-0000-4000-8000-00000000000$_" } 1 .. 3] },
  { type => 'bigint', word => 'bigint', tenants => [1, 2, -1] },
  { type => 'integer', word => 'bigint', tenants => [1, 2, 0] },
  { type => 'smallint', word => 'bigint', tenants => [1, 2, -1] },
  { type => 'text', word => 'text', tenants => ['a', 'a ', 'A'] },
  { type => 'varchar(20)', word => 'text', tenants => ['a', 'a ', 'b'] },
  { type => 'text COLLATE "C"', word => 'text', tenants => ['a', 'A', 'a '] },
);
my $blurred = { type => 'text COLLATE trap.blurred', word => 'text', tenants => ['a', 'A', 'b'], blurred => 1 };

# Objects that look like ours or lie about equality, made before there is a guard.
sub make_traps {
  $db->do($_) for (
    "CREATE SCHEMA trap",
    "GRANT USAGE ON SCHEMA trap TO PUBLIC",
    "CREATE DOMAIN trap.uuid_domain AS uuid",
    "CREATE TABLE trap.member (as_text text, as_uuid uuid, as_bigint bigint)",
    "GRANT SELECT ON trap.member TO PUBLIC",
    "CREATE FUNCTION trap.yes(anyelement) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
    map({ ("CREATE FUNCTION trap.same($_, $_) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
           "CREATE OPERATOR trap.= (LEFTARG = $_, RIGHTARG = $_, FUNCTION = trap.same)",
           "CREATE FUNCTION trap.current_tenant_$_() RETURNS $_ LANGUAGE sql STABLE AS "
             . "'SELECT current_setting(''rls_tenant.user_id'')::$_'") } qw(uuid bigint text)));
  eval {
    $db->do("CREATE COLLATION trap.blurred (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false)");
    push @columns, $blurred;
  } or diag('no ICU collation here: that column type is left out');
}

# One attempt after the other, as a role that policies hold for; gives the first row that crosses, or NULL. Each attempt
# is undone by an error of its own. Only what is told by the superuser's eyes counts.
sub make_probe {
  $db->do(<<'SQL');
CREATE FUNCTION trap.probe(role name, tenant text, tenants text[], col name, public text) RETURNS text LANGUAGE plpgsql AS $probe$
DECLARE
  foreign_tenants text[] := array_remove(tenants, tenant);
  seen text[];
  template record;
  stranger text;
  touched bigint;
  crossing text;
BEGIN
  PERFORM set_config('rls_tenant.tenant_id', tenant, true), set_config('rls_tenant.account_id', foreign_tenants[1], true),
    set_config('rls_tenant.user_id', foreign_tenants[2], true);
  BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE format('SELECT array_agg(%I::text) FROM trap.t WHERE (%s) IS NOT TRUE', col, public) INTO seen;
    SELECT format('sees %L', s) INTO crossing FROM unnest(seen) s WHERE s COLLATE "C" <> tenant LIMIT 1;
    RAISE EXCEPTION 'undo';
  EXCEPTION WHEN OTHERS THEN
  END;
  IF crossing IS NOT NULL THEN RETURN crossing; END IF;
  BEGIN
    PERFORM set_config('role', role, true);
    DELETE FROM trap.t;
    PERFORM set_config('role', 'none', true);
    EXECUTE format('SELECT s FROM unnest($1) s WHERE s NOT IN (SELECT %I::text COLLATE "C" FROM trap.t) LIMIT 1', col)
      INTO stranger USING foreign_tenants;
    IF stranger IS NOT NULL THEN crossing := format('deletes %L', stranger); END IF;
    RAISE EXCEPTION 'undo';
  EXCEPTION WHEN OTHERS THEN
  END;
  IF crossing IS NOT NULL THEN RETURN crossing; END IF;
  FOR template IN EXECUTE format('SELECT id, %I::text AS whose, other::text, flag FROM trap.t', col) LOOP
    IF template.whose COLLATE "C" <> tenant THEN
      BEGIN
        DELETE FROM trap.t WHERE id <> template.id;
        PERFORM set_config('role', role, true);
        UPDATE trap.t SET touched = 1;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched > 0 THEN crossing := format('updates %L', template.whose); END IF;
        RAISE EXCEPTION 'undo';
      EXCEPTION WHEN OTHERS THEN
      END;
      BEGIN
        PERFORM set_config('role', role, true);
        EXECUTE format('INSERT INTO trap.t (id, %I, other, flag) VALUES (0, %L, %L, %L)', col, template.whose,
                       template.other, template.flag);
        crossing := format('inserts %L', template.whose);
        RAISE EXCEPTION 'undo';
      EXCEPTION WHEN OTHERS THEN
      END;
    ELSE
      FOREACH stranger IN ARRAY foreign_tenants LOOP
        BEGIN
          DELETE FROM trap.t WHERE id <> template.id;
          PERFORM set_config('role', role, true);
          EXECUTE format('UPDATE trap.t SET %I = %L', col, stranger);
          GET DIAGNOSTICS touched = ROW_COUNT;
          IF touched > 0 THEN crossing := format('gives a row to %L', stranger); END IF;
          RAISE EXCEPTION 'undo';
        EXCEPTION WHEN OTHERS THEN
        END;
      END LOOP;
    END IF;
    IF crossing IS NOT NULL THEN RETURN crossing; END IF;
  END LOOP;
  RETURN NULL;
END
$probe$
SQL
}

# Expressions: each is [SQL, whether it is confined in a form that must be understood].

sub leaf {
  my ($c) = @_;
  my ($col, $word) = ($c->{name}, $c->{word});
  my $get = "rls_tenant.current_tenant_$word()";
  my $stranger = "'$c->{tenants}[1]'";
  my $typed = "$stranger\::$word";
  my $plain = !$c->{blurred};
  if (chance(0.4)) {
    return [pick("$col = $get", "$get = $col", "$col = (SELECT $get)", "$col = (SELECT (SELECT $get) AS x)",
        "$col = rls_tenant.fast_tenant_$word()", "$col IN ($get)",
        "$col = rls_tenant.current_tenant_$word(rls_tenant.tenant_setting())", "($col, 1) = ($get, 1)", "$col IN (SELECT $get)",
        "EXISTS (SELECT FROM trap.member m WHERE m.as_$word = $col AND $get = m.as_$word)",
        "EXISTS (SELECT FROM trap.member m WHERE $col = $get)",
        "$col IN (SELECT as_$word FROM trap.member WHERE as_$word = $get)"), $plain];
  }
  return [pick('false', 'NULL::boolean'), 1] if chance(0.08);
  my @open = (
    'true', 'flag', 'NOT flag', 'flag IS NULL', 'id > 4', "$col IS NOT NULL", "$col <> $get", "$col >= $get",
    "$col IS NOT DISTINCT FROM $get", "NOT ($col <> $get)", "$col = other", "other = $get",
    "$col = rls_tenant.current_account_$word()", "$col = rls_tenant.current_user_$word()",
    "$col = rls_tenant.current_tenant_$word($stranger)",
    "$col = rls_tenant.current_tenant_$word(rls_tenant.user_setting())",
    "$col = rls_tenant.current_user_$word(rls_tenant.tenant_setting())",
    "$col = trap.current_tenant_$word()", "$col OPERATOR(trap.=) $get", "trap.yes($col)", "$col = $typed",
    "$col = ANY (ARRAY[$get, $typed])", "$col IN ($get, $typed)", "$col IN (SELECT as_$word FROM trap.member)",
    "EXISTS (SELECT FROM trap.member WHERE as_$word = $get)",
    "EXISTS (SELECT FROM trap.member m WHERE m.as_$word = $col AND as_$word <> $get)",
    "EXISTS (SELECT FROM trap.member m, trap.member n WHERE m.as_$word = $col AND n.as_$word = $get)",
    "EXISTS (SELECT FROM trap.member m WHERE m.as_$word = $col OR m.as_$word = $get)",
    "EXISTS (SELECT count(*) FROM trap.member m WHERE m.as_$word = $col AND m.as_$word = $get)",
    "$col = ALL (SELECT as_$word FROM trap.member WHERE as_$word = $get AND flag)",
    "$col IN (SELECT as_$word FROM trap.member m WHERE EXISTS (SELECT FROM trap.member WHERE m.as_$word = $get))", "$col = (SELECT $get UNION ALL SELECT $typed OFFSET 1)",
    "$col = (SELECT CASE WHEN flag THEN $get ELSE $typed END)", "$col = (SELECT $get WHERE flag)",
    "$col = (SELECT max(as_$word\::text)\::$word FROM trap.member)", "$col = coalesce($get, $typed)",
    "coalesce($col = $get, true)", "($col = $get) IS NOT FALSE", "($col = $get) IS TRUE", "($col = $get) IS DISTINCT FROM true",
    "CASE WHEN flag THEN $col = $get ELSE true END", "($col = $get) = flag", "nullif($col, $get) IS NULL",
    "greatest($col, $get) = $get", "$col\::text = $get\::text", "$col\::text || '' = $get\::text",
    "lower($col\::text) = lower($get\::text)", "$get IS NOT NULL", "$get = $get", "$col = $col",
  );
  # In a floor for everybody this would say that "other" is the tenant column.
  @open = grep { $_ ne "other = $get" } @open if $c->{whole_floor};
  push @open, "$col\::bpchar = $get\::bpchar", "$col = $get\::bpchar", "$col\::char(1) = $get", "rtrim($col) = $get",
    "$col\::name = $get"
    if $word eq 'text';
  push @open, "$col COLLATE trap.blurred = $get", "$col = $get COLLATE trap.blurred"
    if $word eq 'text' && grep { $_ == $blurred } @columns;
  push @open, "$col\::smallint = $get", "$col\::numeric = $get", "$col + 0 = $get", "abs($col) = $get" if $word eq 'bigint';
  return [pick(@open), 0];
}

sub expression {
  my ($c, $depth) = @_;
  return leaf($c) if $depth == 0 || chance(0.35);
  if (chance(0.15)) {
    my $inner = expression($c, $depth - 1);
    return ["NOT ($inner->[0])", 0];
  }
  my @parts = map { expression($c, $depth - 1) } 1 .. 2 + (chance(0.3) ? 1 : 0);
  my $and = chance(0.5);
  my $confined = grep { $_->[1] } @parts;
  return [join($and ? ' AND ' : ' OR ', map { "($_->[0])" } @parts), $and ? ($confined > 0 ? 1 : 0) : $confined == @parts];
}

# Policies: what one allows or holds back, by command, in the words of the documentation.

my @commands = qw(SELECT INSERT UPDATE DELETE);

sub policy {
  my ($table, $number) = @_;
  my %p = (permissive => chance(0.6), command => chance(0.5) ? 'ALL' : pick(@commands));
  $p{to} = chance(0.65) ? 'PUBLIC' : pick($one, $two, $owner, "$one, $two");
  my $c = { %$table, whole_floor => !$table->{part} && !$p{permissive} && $p{command} eq 'ALL' && $p{to} eq 'PUBLIC' };
  $p{using} = expression($c, 2) if $p{command} ne 'INSERT' && !($p{command} =~ /ALL|UPDATE/ && chance(0.08));
  $p{check} = expression($c, 2)
    if $p{command} eq 'INSERT' || ($p{command} =~ /ALL|UPDATE/ && (!$p{using} || chance(0.35)));
  $p{sql} = sprintf('CREATE POLICY p%d ON trap.t AS %s FOR %s TO %s', $number, $p{permissive} ? 'PERMISSIVE' : 'RESTRICTIVE',
    $p{command}, $p{to}) . ($p{using} ? " USING ($p{using}[0])" : '') . ($p{check} ? " WITH CHECK ($p{check}[0])" : '');
  my $old = $p{using} ? $p{using}[1] : $p{permissive};
  my $check = $p{check} // $p{using};
  my $new = $check ? $check->[1] : $p{permissive};
  my %held = (SELECT => $old, DELETE => $old, INSERT => $new, UPDATE => $old && $new);
  $p{for} = { map { $_ => $held{$_} } $p{command} eq 'ALL' ? @commands : $p{command} };
  return \%p;
}

# The policies of a table with public rows: as protect() makes them, or with some of their parts changed. Gives what is public
# by its floor, whether that is exactly the form, and the policies.
sub public_policies {
  my ($c) = @_;
  my $get = "rls_tenant.current_tenant_$c->{word}()";
  my ($mine, $context) = ("$c->{name} = $get", "$get IS NOT NULL");
  my $public = pick('flag', 'id > 4', 'flag OR id = 2', "other = '$c->{tenants}[1]' AND flag");
  my $wrong = sub { chance(0.06) };
  my $exact = 1;
  # A part, or at times another one.
  my $part = sub {
    my ($right, @others) = @_;
    return $right unless $wrong->();
    $exact = 0;
    return pick(@others);
  };
  my $floor = sub {
    my ($command, $clause, $condition) = @_;
    return sprintf('CREATE POLICY tenant_isolation_%s ON trap.t AS %s FOR %s TO %s %s (%s)', lc $command, $part->('RESTRICTIVE', 'PERMISSIVE'),
      $command, $part->('PUBLIC', $one, $owner), $clause, $condition);
  };
  my $any = sub { leaf($c)->[0] };
  my $rows = $part->($public, 'true', "($public) OR true", "($public) OR $get = $get", '1 = 1', "EXISTS (SELECT FROM trap.member WHERE as_$c->{word} = $get)");
  my $read = $part->("(($rows) AND $context) OR $mine", "($rows) OR $mine", "(($rows) AND $context) OR $mine OR flag IS NULL",
    "(($rows) AND $context) OR " . $any->(), "(($rows) OR $context) OR $mine", "(($rows) AND " . $any->() . ") OR $mine", $any->());
  my @sql = $floor->($part->('SELECT', 'UPDATE', 'DELETE'), 'USING', $read) =~ s/tenant_isolation_\w+/tenant_isolation_select/r;
  push @sql, $floor->('INSERT', 'WITH CHECK', $part->($mine, "(($public) AND $context) OR $mine", $any->()));
  push @sql, $floor->($_, 'USING', $part->($mine, "(($public) AND $context) OR $mine", $any->())) for qw(UPDATE DELETE);
  $exact = 0 if (my @left = grep { !$wrong->() } @sql) < @sql;
  push @left, 'CREATE POLICY tenant_access ON trap.t USING (' . (chance(0.5) ? $mine : 'true') . ')';
  my $for = chance(0.1) ? pick('ALL', 'UPDATE', 'DELETE') : 'SELECT';
  $exact = 0 if $for ne 'SELECT';
  push @left, "CREATE POLICY tenant_public ON trap.t FOR $for USING (" . (chance(0.2) ? 'true' : "($public) AND $context") . ')';
  return ($public, $exact, map { { sql => $_ } } @left);
}

# Whether the policies are confined in forms that must be understood.
sub plainly_confined {
  my @policies = @_;
  my %floor;
  for my $p (grep { !$_->{permissive} && $_->{to} eq 'PUBLIC' } @policies) {
    $floor{$_} ||= $p->{for}{$_} for keys %{ $p->{for} };
  }
  my @permissive = grep { $_->{permissive} } @policies;
  for my $p (@permissive) {
    for (keys %{ $p->{for} }) { return 0 unless $p->{for}{$_} || $floor{$_} }
  }
  return @permissive > 0;
}

# A table under a new set of policies; gives what it takes to repeat it.
sub make_table {
  my ($c, $enabled, $forced, @policies) = @_;
  my @sql = ("CREATE TABLE trap.t (id int, $c->{name} $c->{type} NOT NULL, other $c->{type}, flag boolean, touched int)");
  if ($c->{part}) {
    s/trap\.t /trap.parent / for @sql;
    push @sql, "SELECT rls_tenant.protect('trap.parent', '$c->{name}')", "CREATE TABLE trap.t () INHERITS (trap.parent)";
  }
  push @sql, map({ $_->{sql} } @policies);
  push @sql, 'ALTER TABLE trap.t ENABLE ROW LEVEL SECURITY' if $enabled;
  push @sql, 'ALTER TABLE trap.t FORCE ROW LEVEL SECURITY' if $forced;
  $db->do("SET LOCAL ROLE $owner");
  $db->do($_) for @sql;
  $db->do('RESET ROLE');
  return @sql;
}

sub fill_table {
  my ($c) = @_;
  my $id = 0;
  for my $tenant (@{ $c->{tenants} }) {
    for my $flag (1, 0, undef) {
      $db->do("INSERT INTO trap.t (id, $c->{name}, other, flag) VALUES (?, ?, ?, ?)", undef, ++$id, $tenant,
        $c->{tenants}[$id % 3], $flag);
    }
  }
  $db->do("GRANT ALL ON trap.t TO $one, $two");
}

# The first row that crosses tenants, over all roles and tenants; undef if none does.
sub crossing {
  my ($c) = @_;
  for my $role ($one, $two, $owner) {
    for my $tenant (@{ $c->{tenants} }) {
      my ($found) = $db->selectrow_array('SELECT trap.probe(?, ?, ?, ?, ?)', undef, $role, $tenant, $c->{tenants}, $c->{name},
        $c->{public} // 'false');
      return "$role as '$tenant' $found" if defined $found;
    }
  }
  return undef;
}

$server = connect_to('postgres');
$server->do("CREATE ROLE $_") for @roles;
$server->do("CREATE DATABASE $database TEMPLATE template0");
$db = connect_to($database);
make_traps();
$db->do('CREATE EXTENSION rls_tenant');
make_probe();
$db->do("GRANT CREATE ON SCHEMA trap TO $owner");
for my $c (@columns) {
  $db->do("INSERT INTO trap.member (as_$c->{word}) VALUES (?)", undef, $_) for @{ $c->{tenants} };
}
$db->do('SET rls_tenant.one_tenant_per_transaction = off');

# The probe sees each way to cross, and none where there is none.
my $example = { %{ $columns[0] }, name => 'tenant_id' };
my $mine = 'tenant_id = rls_tenant.current_tenant_uuid()';
for my $way ([sees => 'SELECT USING (true)'], [deletes => 'DELETE USING (true)'], [updates => "UPDATE USING (tenant_id = '$example->{tenants}[1]')"],
  [inserts => 'INSERT WITH CHECK (true)'], [gives => "UPDATE USING ($mine) WITH CHECK (true)"], ['' => "ALL USING ($mine)"]) {
  my ($verb, $for) = @$way;
  $db->begin_work;
  make_table($example, 1, 1, { sql => "CREATE POLICY p ON trap.t FOR $for" });
  fill_table($example);
  like(crossing($example) // '', $verb ? qr/' $verb / : qr/^$/, "a policy FOR $for");
  $db->rollback;
}

my %count = ('public and silent' => 0, silent => 0, 'silent but crossed' => 0, named => 0, 'named and crossed' => 0, 'plain but named' => 0,
  'guard disagrees' => 0);
my @examples;
for my $number (1 .. $cases) {
  my $c = { %{ pick(@columns) }, name => chance(0.85) ? 'tenant_id' : 'org' };
  my $part = $c->{part} = !$c->{blurred} && chance(0.1);
  my @policies = map { policy($c, $_) } 1 .. 1 + int(rand(4));
  my $exact = 0;
  if ($number % 4 == 0 && !$c->{blurred}) {
    ($c->{public}, $exact, my @public) = public_policies($c);
    # What else is permissive changes nothing; a second RESTRICTIVE policy could hold the public rows back.
    @policies = (@public, grep { $_->{permissive} && chance(0.5) } @policies);
  }
  my ($enabled, $forced) = (!chance(0.07), !chance(0.07));
  $db->begin_work;
  my @sql = make_table($c, $enabled, $forced, @policies);
  fill_table($c);
  my @faults = @{ $db->selectcol_arrayref("SELECT rule FROM rls_tenant.table_faults('trap.t')") };
  my $crossing = crossing($c);
  # Only a RESTRICTIVE policy says that a column of another name is the tenant's.
  my $named = $c->{name} eq 'tenant_id' || $part;
  my $plain = $enabled && $forced && ($c->{public} ? $exact : $named && !$c->{blurred} && plainly_confined(@policies));
  $count{'public and silent'}++ if $c->{public} && !@faults;
  my $committed = eval { $db->commit; 1 };
  my $text = join(";\n", @sql) . ";\n-- faults: @faults; crossing: " . ($crossing // 'none');
  if (@faults) {
    $count{named}++;
    $count{'named and crossed'}++ if defined $crossing;
  } else {
    $count{silent}++;
  }
  if (!@faults && defined $crossing) {
    $count{'silent but crossed'}++;
    push @examples, "case $number: silent, yet $crossing\n$text";
  }
  if ($plain && @faults) {
    $count{'plain but named'}++;
    push @examples, "case $number: plainly confined, yet a fault is named\n$text";
  }
  # The guard itself enables row-level security on a part of a tenant table.
  my @unmended = grep { $_ ne 'child_unprotected' } @faults;
  if ($committed ? @unmended : !@unmended) {
    $count{'guard disagrees'}++;
    push @examples, "case $number: the guard " . ($committed ? 'lets it pass' : "refuses it: $DBI::errstr") . "\n$text";
  }
  $db->do('DROP TABLE IF EXISTS trap.t, trap.parent CASCADE') if $committed;
  $db->rollback unless $db->{AutoCommit};
}

diag(join("\n", @examples[0 .. ($#examples < 9 ? $#examples : 9)])) if @examples;
diag(join ', ', map { "$_: $count{$_}" } sort keys %count);
cmp_ok($count{silent}, '>', $cases / 20, 'enough policy sets pass to say something');
cmp_ok($count{'named and crossed'}, '>', $cases / 20, 'enough rows cross to say something');
cmp_ok($count{'public and silent'}, '>', $cases / 50, 'some of them have public rows');
is($count{'silent but crossed'}, 0, 'where table_faults() is silent, no row crosses');
is($count{'plain but named'}, 0, 'what is confined in a plain form has no fault');
is($count{'guard disagrees'}, 0, 'the guard refuses exactly what table_faults() names');
done_testing();
