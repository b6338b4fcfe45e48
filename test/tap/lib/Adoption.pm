# A database of 40 tables without row-level security, and clients that use it while adoption.t takes doc/adoption.md's steps.
# Each client owns some tenants, alone, so that it knows at any moment what each of their tables must hold.
package Adoption;

use strict;
use warnings;
use Cluster;
use Digest::MD5 qw(md5_hex);
use Exporter qw(import);
use Time::HiRes qw(sleep);

our @EXPORT = qw(make_database tenant_id key_of start_clients phase stop_clients $tenants %table);

our $tenants = 12;

# name, kind of key, tenant column (-: it belongs through its parent; *: it is the same for all), rows a tenant, and what it refers to
# (!: ON DELETE CASCADE, ?: ON DELETE SET NULL).
my @definitions = map { [split] } grep { /\S/ } split /\n/, <<'END';
  org              uuid   id        1
  app_user         serial org_id    20
  team             serial org_id    5
  team_user        serial org_id    20   team! app_user!
  customer         uuid   org_id    50
  contact          serial org_id    50   customer!
  address          serial org_id    50   customer
  product          serial tenant_id 40
  price            serial tenant_id 40   product
  warehouse        serial tenant_id 3
  stock            serial tenant_id 40   product warehouse
  orders           serial org_id    2000 customer
  order_item       serial org_id    4000 orders! product
  order_item_tax   serial -         500  order_item
  invoice          uuid   org_id    500  orders
  invoice_line     serial org_id    1000 invoice! order_item
  payment          serial org_id    400  invoice
  refund           serial org_id    40   payment
  shipment         uuid   org_id    200  orders
  shipment_item    serial org_id    400  shipment! order_item
  carrier_account  uuid   org_id    2
  ticket           serial org_id    100  customer
  ticket_message   serial org_id    200  ticket! app_user?
  ticket_tag       serial -         100  ticket!
  Tag              serial org_id    10
  document         uuid   org_id    100  app_user?
  document_version serial -         150  document!
  attachment       uuid   org_id    50   document!
  comment          serial org_id    200  document app_user
  project          serial org_id    10
  task             serial org_id    200  project! app_user?
  time_entry       serial org_id    300  task app_user
  webhook          uuid   org_id    2
  api_key          uuid   org_id    2    app_user
  audit_log        serial org_id    1500
  setting          serial org_id    5
  country          serial *         50
  currency         serial *         20
  tax_rate         serial *         50   country
  feature          serial *         10
END

our %table;
for my $definition (@definitions) {
  my ($name, $key, $column, $count, @references) = @$definition;
  my %reference = map { my ($to, $action) = /^(\w+)([!?]?)$/; ($to => $action) } @references;
  $table{$name} = {key => $key, column => $column, rows => $count, references => \%reference, first => $references[0] ? $references[0] =~ s/\W//r : undef};
}

# The id of a table's row number $row of a tenant, in Perl and in SQL.
sub key_of {
  my ($name, $tenant, $row) = @_;
  return ($row - 1) * $tenants + $tenant if $table{$name}{key} eq 'serial';
  return md5_hex("$name $tenant $row") =~ s/^(.{8})(.{4})(.{4})(.{4})(.{12})$/$1-$2-$3-$4-$5/r;
}

sub key_sql {
  my ($name, $tenant, $row) = @_;
  return "(($row - 1) * $tenants + $tenant)" if $table{$name}{key} eq 'serial';
  return "md5('$name ' || $tenant || ' ' || $row)::uuid";
}

sub tenant_id { return key_of('org', $_[0], 1); }

# The statements that make a table and fill it.
sub statements_of {
  my ($name) = @_;
  my ($key, $column, $references) = @{$table{$name}}{qw(key column references)};
  my $owned = $column =~ /_id$/;
  my $parted = $name eq 'audit_log';
  my @columns = ('id ' . ($key eq 'uuid' ? 'uuid' : 'serial') . ($parted ? '' : ' PRIMARY KEY'));
  my $strict = $name =~ /^(app_user|team|customer|orders)$/ ? ' NOT NULL' : '';
  push @columns, "$column uuid$strict" . ($parted ? '' : ' REFERENCES org (id)') if $owned;
  for my $to (sort keys %$references) {
    my $action = {'' => '', '!' => ' ON DELETE CASCADE', '?' => ' ON DELETE SET NULL'}->{$references->{$to}};
    push @columns, "${to}_id " . ($table{$to}{key} eq 'uuid' ? 'uuid' : 'int') . " REFERENCES $to (id)$action";
  }
  push @columns, 'amount int NOT NULL', 'note text', $parted ? q{at date NOT NULL DEFAULT '2026-01-01'} : ();
  my $tenant_count = $column eq '*' ? 1 : $tenants;
  my $values = join(', ', key_sql($name, 't', 'k'), ($owned ? key_sql('org', 't', '1') : ()),
    (map { key_sql($_, 't', "(1 + (k - 1) % $table{$_}{rows})") } sort keys %$references), 'k', "repeat('x', 40)", $parted ? q{'2024-06-01'::date + k} : ());
  return (
    qq{CREATE TABLE "$name" (} . join(', ', @columns) . ')' . ($parted ? ' PARTITION BY RANGE (at)' : ''),
    ($parted ? map { "CREATE TABLE audit_log_$_ PARTITION OF audit_log FOR VALUES FROM ('$_-01-01') TO ('" . ($_ + 1) . "-01-01')" } 2024 .. 2028 : ()),
    qq{INSERT INTO "$name" SELECT $values FROM generate_series(1, $tenant_count) t, generate_series(1, $table{$name}{rows}) k},
    ($key eq 'serial' ? qq{SELECT setval(pg_get_serial_sequence('"$name"', 'id'), max(id)) FROM "$name"} : ()),
    ($name =~ /^(customer|orders|order_item)$/ ? "CREATE INDEX ON $name (org_id)" : ()),
    (map { "CREATE INDEX ON $name (${_}_id)" } sort keys %$references));
}

# Makes it all, in a database without the extension. Some rows are wrong, as rows of a real database are.
sub make_database {
  my ($db) = @_;
  $db->do($_) for 'SET client_min_messages = warning', 'CREATE ROLE owner', 'CREATE ROLE web LOGIN', 'GRANT CREATE, USAGE ON SCHEMA public TO owner', 'SET ROLE owner',
    (map { statements_of($_->[0]) } @definitions),
    'UPDATE comment SET org_id = NULL WHERE id % 50 = 0',
    'UPDATE payment SET org_id = ' . key_sql('org', 1, 1) . ' WHERE id = ' . key_of('payment', 2, 7),
    'CREATE VIEW open_order AS SELECT o.*, c.note AS customer_note FROM orders o JOIN customer c ON c.id = o.customer_id WHERE o.amount > 0',
    q{CREATE FUNCTION order_total(org uuid) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
      AS 'SELECT sum(amount) FROM orders WHERE org_id = $1'},
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO web', 'GRANT TRUNCATE ON "Tag" TO web',
    'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO web',
    'RESET ROLE';
  $db->do('ANALYZE');
}

# What clients look at: all but the tables of which the steps repair rows.
my @looked_at = grep { !/^(comment|payment|refund)$/ && $table{$_}{column} ne '*' } sort keys %table;
my @written = grep { $table{$_}{column} =~ /_id$/ && $_ ne 'orders' } @looked_at;

# The clients' directory; the phase that they are in lies in a file: a number, who sets the context how, and whether they write WHERE.
my ($directory, @pids, $number);

sub write_file {
  my ($path, $text) = @_;
  open(my $file, '>:encoding(UTF-8)', "$path.new") or die "$path: $!\n";
  print $file $text;
  close($file);
  rename("$path.new", $path) or die "$path: $!\n";
}

# What a client must see of its tenants: count and sum of amounts of each table.
sub expected_of {
  my (@own) = @_;
  my %expected;
  for my $tenant (@own) {
    for my $name (@looked_at) {
      my $count = $table{$name}{rows};
      $expected{$tenant}{$name} = [$count, $count * ($count + 1) / 2];
    }
  }
  return \%expected;
}

# A query of one table, as the application writes it: with its condition by hand, or without.
sub query_of {
  my ($name, $bare) = @_;
  my ($column, $parent) = @{$table{$name}}{qw(column first)};
  return qq{SELECT count(*), coalesce(sum(amount), 0) FROM "$name"} if $bare;
  return qq{SELECT count(*), coalesce(sum(amount), 0) FROM "$name" WHERE $column = ?} if $column ne '-';
  return "SELECT count(*), coalesce(sum(c.amount), 0) FROM $name c JOIN $parent p ON p.id = c.${parent}_id WHERE p.$table{$parent}{column} = ?";
}

# One transaction of a tenant: looks at some tables and changes one. Gives what it has changed: [table, count, sum].
sub transaction_of {
  my ($db, $style, $bare, $tenant, $expected, $wrong) = @_;
  my $id = tenant_id($tenant);
  $db->begin_work;
  $db->do($style eq 'old' ? q{SELECT set_config('app.current_org_id', ?, true)} : 'SELECT rls_tenant.set_context(?::uuid)', undef, $id);
  for (1 .. 3) {
    my $name = $looked_at[rand @looked_at];
    my $query = query_of($name, $bare);
    my ($count, $sum) = $db->selectrow_array($query, undef, $bare ? () : $id);
    my ($must, $sum_must) = @{$expected->{$name}};
    push @$wrong, "$name: $count rows, $sum, of $must, $sum_must ($style, " . ($bare ? 'without WHERE)' : 'with WHERE)') if "$count $sum" ne "$must $sum_must";
  }
  if (rand() < 0.2) {
    my ($count) = $db->selectrow_array('SELECT count(*) FROM open_order' . ($bare ? '' : ' WHERE org_id = ?'), undef, $bare ? () : $id);
    push @$wrong, "the view: $count" if $count != $expected->{orders}[0];
    my ($total) = $db->selectrow_array('SELECT order_total(?::uuid)', undef, $id);
    push @$wrong, "the function: $total" if $total != $expected->{orders}[1];
  }
  my @change = change_of($db, $bare, $tenant, $id, $wrong);
  $db->commit;
  return @change;
}

# A change of a row of the tenant; now and then, where policies must stop it, an attempt at another tenant's.
sub change_of {
  my ($db, $bare, $tenant, $id, $wrong) = @_;
  my $name = $written[rand @written];
  my ($column, $references) = @{$table{$name}}{qw(column references)};
  my $kind = int rand 3;
  my $first = key_of($name, $tenant, 1);
  if ($kind == 0 || $name eq 'org') {
    my $done = $db->do(qq{UPDATE "$name" SET amount = amount + 1 WHERE id = ?} . ($bare ? '' : " AND $column = ?"), undef, $first, $bare ? () : $id);
    push @$wrong, "$name: an UPDATE of $done rows" if $done != 1;
    if ($bare) {
      $done = $db->do(qq{UPDATE "$name" SET amount = amount + 1 WHERE id = ?}, undef, key_of($name, 1 + $tenant % $tenants, 1));
      push @$wrong, "$name: another tenant's row was changed" if $done != 0;
    }
    return ($name, 0, 1);
  }
  my @references = sort keys %$references;
  my $key = $table{$name}{key} eq 'uuid' ? 'gen_random_uuid()' : qq{nextval(pg_get_serial_sequence('"$name"', 'id'))};
  my $insert = qq{INSERT INTO "$name" (} . join(', ', 'id', $column, 'amount', map { "${_}_id" } @references) . ") VALUES ($key, ?, 7" . ', ?' x @references . ') RETURNING id';
  my ($new) = $db->selectrow_array($insert, undef, $id, map { key_of($_, $tenant, 1) } @references);
  if ($bare && rand() < 0.2) {
    $db->pg_savepoint('attempt');
    my $other = 1 + $tenant % $tenants;
    my $done = eval { $db->do($insert, undef, tenant_id($other), map { key_of($_, $other, 1) } @references); 1 };
    push @$wrong, "$name: a row for another tenant" . ($done ? '' : ': ' . $db->errstr) if $done || $db->state ne '42501';
    $db->pg_rollback_to('attempt');
  }
  return ($name, 1, 7) if $kind == 1;
  my $done = $db->do(qq{DELETE FROM "$name" WHERE id = ?}, undef, $new);
  push @$wrong, "$name: a DELETE of $done rows" if $done != 1;
  return ($name, 0, 0);
}

# A client: works until the phase says stop, and reports in a file: the phase, the transactions done in it, and what was wrong.
sub client {
  my ($server, $database, $index, $clients) = @_;
  srand($index);
  my @own = grep { $_ % $clients == $index } 1 .. $tenants;
  my $expected = expected_of(@own);
  my $db = $server->connect($database, user => 'web');
  my (@wrong, $seen, $done);
  $seen = $done = 0;
  while (1) {
    my ($phase, $style, $where) = split ' ', slurp("$directory/phase");
    last if $style eq 'stop';
    ($seen, $done) = ($phase, 0) if $phase != $seen;
    $style = $index % 2 ? 'new' : 'old' if $style eq 'both';
    my $tenant = $own[rand @own];
    my @change = eval { transaction_of($db, $style, $where eq 'bare', $tenant, $expected->{$tenant}, \@wrong) };
    if ($@) {
      push @wrong, "phase $phase, $style: " . $db->state . " $@";
      eval { $db->rollback };
    } else {
      $expected->{$tenant}{$change[0]}[0] += $change[1];
      $expected->{$tenant}{$change[0]}[1] += $change[2];
      $done++;
    }
    write_file("$directory/client$index", join("\n", $seen, $done, @wrong[0 .. ($#wrong < 19 ? $#wrong : 19)]));
    sleep 0.005;
  }
}

# Starts so many clients.
sub start_clients {
  my ($server, $database, $clients) = @_;
  $directory = "$work/clients";
  mkdir $directory or die "$directory: $!\n";
  $number = 1;
  write_file("$directory/phase", '1 old where');
  for my $index (0 .. $clients - 1) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
      $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
      my $done = eval { client($server, $database, $index, $clients); 1 };
      write_file("$directory/client$index", "0\n0\n$@") if !$done;
      require POSIX;
      POSIX::_exit($done ? 0 : 1);
    }
    push @pids, $pid;
  }
}

# What the clients have reported: a list of [phase, transactions, what was wrong].
sub reports {
  return map { [split /\n/, -e "$directory/client$_" ? slurp("$directory/client$_") : "0\n0"] } 0 .. $#pids;
}

# Puts the clients into a phase, and waits until each has worked in it; gives what they have found wrong so far.
sub phase {
  my ($style, $where) = @_;
  $number++;
  write_file("$directory/phase", "$number $style $where");
  my $wrong = sub { join("\n", map { @$_[2 .. $#$_] } reports()) };
  wait_until(sub { $wrong->() ne '' || !grep { $_->[0] != $number || $_->[1] < 5 } reports() }, 60) or return 'the clients do not get on';
  return $wrong->();
}

# Ends them; gives what they have found wrong.
sub stop_clients {
  write_file("$directory/phase", ++$number . ' stop -');
  waitpid($_, 0) for @pids;
  my $wrong = join("\n", map { @$_[2 .. $#$_] } reports());
  @pids = ();
  return $wrong;
}

END { my $status = $?; kill 'TERM', @pids if @pids; $? = $status; }

1;
