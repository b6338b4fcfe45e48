# A PgBouncer in transaction mode before a server.
package PgBouncer;

use strict;
use warnings;
use Cluster;
use Daemon;
use Test::More;

# Starts it in a directory, which is made if it is not there; it stops at the end of the test. %options: server, database,
# user, port, pool (server connections), and settings (lines).
sub start {
  my ($class, $name, %options) = @_;
  my $directory = -d "$work/$name" ? "$work/$name" : own_directory($name);
  _write("$directory/users.txt", qq{"$options{user}" ""\n});
  _write("$directory/pgbouncer.ini", join("\n", '[databases]',
    "$options{database} = host=$options{server}{host} port=$options{server}{port} dbname=$options{database}",
    '[pgbouncer]', "listen_port = $options{port}", "unix_socket_dir = $directory", 'auth_type = trust',
    "auth_file = $directory/users.txt", 'pool_mode = transaction', "default_pool_size = $options{pool}", 'max_client_conn = 200',
    "logfile = $directory/pgbouncer.log", @{$options{settings} // []}, ''));
  my $daemon = Daemon->start($directory, {}, 'pgbouncer', '-q', "$directory/pgbouncer.ini");
  my $self = bless {%options, directory => $directory, daemon => $daemon}, $class;
  ok(wait_until(sub { $self->connect }, 20), "$options{database}: PgBouncer answers") or BAIL_OUT('PgBouncer does not start');
  return $self;
}

# A client's connection; nothing is prepared on the server, since the next statement may find another one.
sub connect {
  my ($self) = @_;
  return $self->{server}->connect($self->{database}, user => $self->{user}, host => $self->{directory}, port => $self->{port},
    pg_server_prepare => 0);
}

sub stop { $_[0]{daemon}->stop }

sub _write {
  my ($path, $text) = @_;
  open(my $file, '>', $path) or die "$path: $!\n";
  print $file $text;
  close($file);
}

1;
