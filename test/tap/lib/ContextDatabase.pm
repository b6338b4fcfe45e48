# The database of random_context.t: tables of three tenants, and functions that read and set in all the ways that a
# session has.
package ContextDatabase;

use strict;
use warnings;
use DBI;
use Exporter qw(import);
use Test::More;

our @EXPORT = qw(set_up tear_down connect_as pick other show all_rows_of text_of @tenants $rows $database);

our $database = "rls_tenant_random_$$";
our @tenants  = qw(A B C);
our $rows     = 20;                        # of each tenant

sub pick { return $_[rand @_] }

sub other { my ($not) = @_; return pick(grep { $_ ne $not } @tenants) }

sub connect_as {
  my ($role, $name) = @_;
  my $source = "dbi:Pg:dbname=$name" . join '', map { ";$_->[0]=$_->[1]" }
    grep { defined $_->[1] } ['host', $ENV{PGHOST}], ['port', $ENV{PGPORT}];
  return DBI->connect($source, $role, '',
    {RaiseError => 0, PrintError => 0, PrintWarn => 0, AutoCommit => 1, pg_server_prepare => 0})
    // die "cannot connect: $DBI::errstr\n";
}

my $user = $ENV{PGUSER} // 'postgres';
my $admin;

sub admin_do {
  my ($handle, @statements) = @_;
  defined $handle->do($_) or die "$_: " . $handle->errstr for @statements;
  return;
}

# The statements that make it, for a superuser.
sub database_statements {
  return (
    'SET client_min_messages = error',
    'CREATE EXTENSION rls_tenant',
    'BEGIN',
    'CREATE TABLE t (id int, tenant_id text NOT NULL, k int, n int DEFAULT 0)',
    q{SELECT rls_tenant.protect('t')},
    'CREATE TABLE own (id int, tenant_id text NOT NULL, account_id text)',
    q{SELECT rls_tenant.protect('own', access => 'account_id = rls_tenant.current_account_text()')},
    'COMMIT',
    'CREATE INDEX ON t (k, tenant_id)',
    'CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM t',
    'SET row_security = off',
    "INSERT INTO t SELECT g, (ARRAY['A','B','C'])[g % 3 + 1], g FROM generate_series(1, 3 * $rows) g",
    q{INSERT INTO own SELECT g, t, a FROM generate_series(1, 2) g, unnest('{A,B,C}'::text[]) t, unnest('{x,y}'::text[]) a},
    'ANALYZE',
    # Static SQL, dynamic SQL, and a SQL function that the planner inlines.
    q{CREATE FUNCTION static_rows() RETURNS SETOF text LANGUAGE plpgsql STABLE AS
      $$ BEGIN RETURN QUERY SELECT tenant_id FROM t ORDER BY k; END $$},
    q{CREATE FUNCTION loop_rows() RETURNS SETOF text LANGUAGE plpgsql AS
      $$ DECLARE r record; BEGIN FOR r IN SELECT tenant_id FROM t ORDER BY k LOOP RETURN NEXT r.tenant_id; END LOOP; END $$},
    q{CREATE FUNCTION dynamic_rows() RETURNS SETOF text LANGUAGE plpgsql AS
      $$ BEGIN RETURN QUERY EXECUTE 'SELECT tenant_id FROM t ORDER BY k'; END $$},
    q{CREATE FUNCTION inlined_rows() RETURNS SETOF text LANGUAGE sql STABLE AS $$ SELECT tenant_id FROM t ORDER BY k $$},
    q{CREATE FUNCTION lazy_rows() RETURNS SETOF text LANGUAGE sql VOLATILE AS $$ SELECT tenant_id FROM t ORDER BY k $$},
    # What one statement finds, as one text: the tenants it saw.
    q{CREATE FUNCTION seen() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS
      $$ BEGIN RETURN (SELECT string_agg(tenant_id, '') FROM t); END $$},
    (
      map {
        qq{CREATE FUNCTION seen_as_$_() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE SET rls_tenant.tenant_id = '$_' AS
           \$\$ BEGIN RETURN (SELECT string_agg(tenant_id, '') FROM t); END \$\$}
      } @tenants
    ),
    q{CREATE FUNCTION switch(id text) RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN PERFORM set_config('rls_tenant.tenant_id', id, true); RETURN id; END $$},
    # Tries another tenant, with an error afterwards if asked, and says what it sees in the end.
    q{CREATE FUNCTION attempt(tenant text, fail boolean) RETURNS text LANGUAGE plpgsql AS $$
      BEGIN
        BEGIN
          PERFORM rls_tenant.set_context(tenant);
          PERFORM count(*) FROM t WHERE NOT fail OR 1 / (k - k) > 0;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        RETURN (SELECT string_agg(tenant_id, '') FROM t);
      END $$},
    q{CREATE FUNCTION opened(name refcursor) RETURNS refcursor LANGUAGE plpgsql AS
      $$ BEGIN OPEN name FOR SELECT tenant_id, id FROM t ORDER BY k; RETURN name; END $$},
    # Two transactions, and an argument that was evaluated in the first.
    q{CREATE PROCEDURE call_two(first text, second text, commits boolean, INOUT report text) LANGUAGE plpgsql AS $$
      DECLARE argument text; first_saw text; second_saw text;
      BEGIN
        PERFORM rls_tenant.set_context(first);
        CALL pass_on(rls_tenant.current_tenant_text(), second, commits, first_saw, second_saw, argument);
        report := concat_ws(' ', argument, first_saw, second_saw);
      END $$},
    q{CREATE PROCEDURE pass_on(argument text, second text, commits boolean, INOUT first_saw text, INOUT second_saw text,
        INOUT given text) LANGUAGE plpgsql AS $$
      BEGIN
        first_saw := seen();
        IF commits THEN COMMIT; ELSE ROLLBACK; END IF;
        PERFORM rls_tenant.set_context(second);
        second_saw := seen();
        given := argument;
      END $$},
    # A loop over a function's rows with COMMIT inside: each row beside the tenant of its transaction.
    q{CREATE PROCEDURE loop_and_commit(first text, second text, INOUT report text) LANGUAGE plpgsql AS $$
      DECLARE r text;
      BEGIN
        PERFORM rls_tenant.set_context(first);
        report := '';
        FOR r IN SELECT * FROM static_rows() LOOP
          report := report || r || coalesce(current_setting('rls_tenant.tenant_id'), '-') || ' ';
          COMMIT;
          PERFORM rls_tenant.set_context(second);
        END LOOP;
      END $$},
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO PUBLIC',
  );
}

# Makes the database, and the roles of walks: {role, one, pin, lazy}.
sub set_up {
  my (@walks) = @_;
  $admin = connect_as($user, $ENV{PGDATABASE} // 'postgres');
  admin_do($admin, 'SET client_min_messages = error', "CREATE DATABASE $database");
  my $setup = connect_as($user, $database);
  admin_do($setup, database_statements());
  $setup->disconnect;
  for my $walk (@walks) {
    admin_do($admin, "CREATE ROLE $walk->{role} LOGIN");
    admin_do($admin, "ALTER ROLE $walk->{role} SET rls_tenant.one_tenant_per_transaction = off") unless $walk->{one};
    admin_do($admin, "ALTER ROLE $walk->{role} SET rls_tenant.tenant_id = '$walk->{pin}'") if $walk->{pin};
    admin_do($admin, "ALTER ROLE $walk->{role} SET session_preload_libraries = 'rls_tenant'") unless $walk->{lazy};
  }
  return;
}

sub tear_down {
  my (@walks) = @_;
  return unless $admin;
  defined $admin->do("DROP DATABASE IF EXISTS $database WITH (FORCE)") or diag $admin->errstr;
  defined $admin->do("DROP ROLE IF EXISTS $_->{role}") or diag $admin->errstr for @walks;
  return;
}

# What came back, for a message.
sub show {
  my ($result) = @_;
  my $text = join ' ', map { join ',', map { $_ // 'NULL' } @$_ } @$result;
  return ' (' . substr($text, 0, 120) . ')';
}

# Checks: every row of the tenant, once; the same in one text.
sub all_rows_of {
  my ($tenant) = @_;
  return sub {
    my ($result) = @_;
    return "not the $rows rows of $tenant" if @$result != $rows || grep { $_->[0] ne $tenant } @$result;
    return '';
  };
}

sub text_of {
  my ($tenant) = @_;
  return sub { return ($_[0][0][0] // '') eq $tenant x $rows ? '' : "not the $rows rows of $tenant in one text" };
}

1;
