# A PostgreSQL server for the tests: the one that test/run has started, or one of a test's own.
package Cluster;

use strict;
use warnings;
use Cwd qw(abs_path);
use DBI;
use Exporter qw(import);
use File::Basename qw(dirname);
use List::Util qw(min);
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(value rows refused same_lines wait_until slurp $top $work);

our $top = abs_path(dirname(__FILE__) . '/../../..');

# Where a test may write: the working directory of test/run.
our $work = $ENV{RLS_TENANT_WORK} or die "run this by test/run: bash test/run tap/NAME\n";

my @servers;

# The server that test/run has started.
sub running {
  my ($class) = @_;
  push @servers, bless {host => $ENV{PGHOST}, port => $ENV{PGPORT}, own => 0, databases => [], roles => [], bin => $ENV{PG_BIN}}, $class;
  return $servers[-1];
}

# Starts a server of one's own; each line goes into its postgresql.conf. It stops at the end of the test.
sub start {
  my ($class, $name, @lines) = @_;
  my $directory = "$work/$name";
  my $self = bless {host => $directory, port => 5432, own => 1, databases => [], roles => [], bin => $ENV{PG_BIN}}, $class;
  $self->_shell('mkdir "$work"; [ "$(id -u)" != 0 ] || chown postgres "$work"; chmod 711 "$work"; start_cluster "$@"',
    q{statement_timeout = '2min'}, @lines);
  push @servers, $self;
  return $self;
}

# Starts a hot standby of a server of one's own, which knows it by this name; it stops at the end of the test.
sub standby {
  my ($primary, $name, @lines) = @_;
  my $directory = "$work/$name";
  my $self = bless {host => $directory, port => 5432, own => 1, databases => [], roles => [], bin => $primary->{bin}}, ref $primary;
  $self->_shell(q{
    primary=$1; shift
    mkdir "$work"; [ "$(id -u)" != 0 ] || chown postgres "$work"; chmod 711 "$work"
    as_server "$PG_BIN/pg_basebackup" -h "$primary" -p 5432 -U postgres -D "$work/data" -R -c fast --no-sync
    printf '%s\n' "unix_socket_directories = '$work'" "cluster_name = '${work##*/}'" "$@" | as_server tee -a "$work/data/postgresql.conf" >/dev/null
    as_server "$PG_BIN/pg_ctl" -D "$work/data" -l "$work/server.log" -w -t 60 start >/dev/null
  }, $primary->{host}, @lines);
  push @servers, $self;
  return $self;
}

# Makes a private copy of another PostgreSQL, with the extension, below $work; original: the directory of its pg_config.
# Gives the environment in which servers of it are started.
sub installation {
  my ($class, $name, $original) = @_;
  my $self = bless {host => "$work/$name", bin => $ENV{PG_BIN}}, $class;
  $self->_shell(q{
    PG_CONFIG=$1/pg_config
    mkdir "$work"; chmod 711 "$work"
    make_prefix; build
    printf '%s\n' "$PG_BIN" "$PG_CONFIG" "$PG_MAJOR" >"$work/installation"
  }, $original);
  my %environment;
  @environment{qw(PG_BIN PG_CONFIG PG_MAJOR)} = split /\n/, slurp("$self->{host}/installation");
  return %environment;
}

# Upgrades a server of one's own, which is stopped, with pg_upgrade, by copying, to the PostgreSQL of the environment, and
# starts the new one; each line goes into its postgresql.conf.
sub upgrade {
  my ($old, $name, @lines) = @_;
  my $directory = "$work/$name";
  my $self = bless {host => $directory, port => 5432, own => 1, databases => [], roles => [], bin => $ENV{PG_BIN}}, ref $old;
  $self->_shell(q{
    old=$1 old_bin=$2; shift 2
    mkdir "$work"; [ "$(id -u)" != 0 ] || chown postgres "$work"; chmod 711 "$work"
    checksums=()
    if as_server "$old_bin/pg_controldata" "$old/data" | grep -q '^Data page checksum version: *0$'; then
      [ "$PG_MAJOR" -lt 18 ] || checksums=(--no-data-checksums)
    fi
    as_server "$PG_BIN/initdb" -D "$work/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync "${checksums[@]}" >"$work/initdb.log"
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$work'" 'fsync = off' "$@" |
      as_server tee -a "$work/data/postgresql.conf" >/dev/null
    if ! as_server sh -c 'cd "$0" && exec "$@"' "$work" "$PG_BIN/pg_upgrade" -b "$old_bin" -B "$PG_BIN" -d "$old/data" -D "$work/data" \
      -s "$work" -U postgres >"$work/upgrade.log" 2>&1; then
      cat "$work/upgrade.log" >&2
      find "$work/data/pg_upgrade_output.d" -name 'pg_upgrade_dump_*.log' -exec tail -n 15 {} + >&2
      exit 1
    fi
    as_server "$PG_BIN/pg_ctl" -D "$work/data" -l "$work/server.log" -w -t 60 start >/dev/null
  }, $old->{host}, $old->{bin}, @lines);
  push @servers, $self;
  return $self;
}

sub stop {
  my ($self, $mode) = @_;
  return $self->_shell('as_server "$PG_BIN/pg_ctl" -D "$work/data" -m "$1" -w stop >/dev/null', $mode // 'fast');
}

# Stops it (immediate: as if it had crashed) and starts it again, with further lines in its postgresql.conf.
sub restart {
  my ($self, $mode, @lines) = @_;
  $self->_shell(q{
    mode=$1; shift
    printf '%s\n' "$@" | as_server tee -a "$work/data/postgresql.conf" >/dev/null
    as_server "$PG_BIN/pg_ctl" -D "$work/data" -l "$work/server.log" -m "$mode" -w -t 60 restart >/dev/null
  }, $mode, @lines);
}

# Runs shell text that can use tools/cluster.sh; $work is the directory of this server.
sub _shell {
  my ($self, $text, @arguments) = @_;
  my $setup = 'set -eu; . "$0/tools/cluster.sh"; work=$1; shift; ';
  local $ENV{PG_BIN} = $self->{bin};
  system('bash', '-c', $setup . $text, $top, $self->{host}, @arguments) == 0 or die "this failed: $text\n";
}

# A connection, as postgres if not told otherwise. %options: user, options (as in PGOPTIONS), host and port (of a
# pooler), and attributes of DBI.
sub connect {
  my ($self, $database, %options) = @_;
  my $source = 'dbi:Pg:dbname=' . $database;
  $source .= ';host=' . (delete $options{host} // $self->{host}) . ';port=' . (delete $options{port} // $self->{port});
  my $settings = delete $options{options};
  $source .= ";options='$settings'" if defined $settings;
  my $user = delete $options{user} // 'postgres';
  my %usual = (AutoCommit => 1, RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoInactiveDestroy => 1, pg_expand_array => 0);
  return DBI->connect($source, $user, '', {%usual, %options});
}

# Makes a database that is dropped at the end of the test; with the extension, if asked.
sub database {
  my ($self, $name, $with_extension) = @_;
  my $control = $self->connect('postgres');
  $control->do(qq{CREATE DATABASE "$name"});
  push @{$self->{databases}}, $name;
  $self->connect($name)->do('CREATE EXTENSION rls_tenant') if $with_extension;
  return $name;
}

# Makes a role that is dropped at the end of the test, after the databases.
sub role {
  my ($self, $name, $attributes) = @_;
  $self->connect('postgres')->do(qq{CREATE ROLE "$name" } . ($attributes // 'LOGIN'));
  push @{$self->{roles}}, $name;
  return $name;
}

# Runs a program of this PostgreSQL, such as pg_dump; gives its exit status and all that it printed.
sub run {
  my ($self, $program, @arguments) = @_;
  local @ENV{qw(PGHOST PGPORT PGUSER)} = ($self->{host}, $self->{port}, 'postgres');
  my $pid = open(my $output, '-|') // die "fork: $!";
  if ($pid == 0) {
    open(STDERR, '>&', \*STDOUT);
    open(STDIN, '<', '/dev/null');
    exec("$self->{bin}/$program", @arguments) or die "$program: $!\n";
  }
  local $/;
  my $text = <$output> // '';
  close($output);
  return ($? >> 8, $text);
}

# The server's log.
sub log { return slurp($_[0]{host} . '/server.log'); }

sub slurp {
  my ($path) = @_;
  local $/;
  open(my $file, '<:encoding(UTF-8)', $path) or die "$path: $!\n";
  return <$file>;
}

# The one value that a query gives.
sub value {
  my ($connection, $query, @arguments) = @_;
  return ($connection->selectrow_array($query, undef, @arguments))[0];
}

# The rows of a query as lines, columns parted by |.
sub rows {
  my ($connection, $query) = @_;
  return join("\n", map { join('|', map { $_ // '' } @$_) } @{$connection->selectall_arrayref($query)});
}

# Tests that a statement is refused with this SQLSTATE and, if it is given, with this text in the message.
sub refused {
  my ($connection, $statement, $state, $pattern, $name) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $done = eval { $connection->do($statement); 1 };
  return fail("$name: not refused") if $done;
  my ($got, $message) = ($connection->state, $connection->errstr);
  return ok($got eq $state && $message =~ $pattern, $name) || diag("got $got: $message");
}

# Tests that two texts have the same lines; says which ones they have not.
sub same_lines {
  my ($got, $expected, $name) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my (%got, %expected);
  $got{$_}++ for split /\n/, $got;
  $expected{$_}++ for split /\n/, $expected;
  my @differences = ((map { "+ $_" } grep { $got{$_} > ($expected{$_} // 0) } sort keys %got),
                     (map { "- $_" } grep { $expected{$_} > ($got{$_} // 0) } sort keys %expected));
  @differences = ('the order of lines') if !@differences;
  return ok($got eq $expected, $name) || diag(join("\n", @differences[0 .. min(29, $#differences)]));
}

# Waits until something holds; false if it does not within so many seconds.
sub wait_until {
  my ($condition, $seconds) = @_;
  my $end = time + ($seconds // 30);
  while (time < $end) {
    return 1 if eval { $condition->() };
    sleep 0.05;
  }
  return 0;
}

# Drops what was made on the server of test/run.
sub _drop {
  my ($self) = @_;
  return if !@{$self->{databases}} && !@{$self->{roles}};
  my $control = $self->connect('postgres');
  $control->do(qq{DROP DATABASE IF EXISTS "$_" WITH (FORCE)}) for @{$self->{databases}};
  $control->do(qq{DROP ROLE IF EXISTS "$_"}) for @{$self->{roles}};
}

my $owner = $$;

# Leaves nothing behind.
END {
  if ($$ == $owner) {
    my $status = $?;
    for my $server (@servers) {
      next if $server->{own} && !-e "$server->{host}/data/postmaster.pid";    # the test has stopped it
      eval { $server->{own} ? $server->stop('immediate') : $server->_drop; 1 } or warn $@;
    }
    $? = $status;
  }
}

$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
1;
