# A program that runs in the background as an ordinary user, such as a pooler or an application, until the end of the test.
package Daemon;

use strict;
use warnings;
use Cluster;
use Exporter qw(import);
use IO::Socket::INET;
use POSIX ();

our @EXPORT = qw(own_directory run_as_server free_ports);

my @running;

# Starts a command in a directory, which belongs to the server's user; its output goes to the file log there.
sub start {
  my ($class, $directory, $environment, @command) = @_;
  my $self = bless {directory => $directory, pid => _spawn($directory, $environment, @command)}, $class;
  open(my $file, '>', "$directory/pid") or die "$directory/pid: $!\n";    # for test/run, should this test be killed
  print $file $self->{pid};
  close($file);
  push @running, $self;
  return $self;
}

# Stops it, and what it has started.
sub stop {
  my ($self) = @_;
  my $pid = delete $self->{pid} // return;
  kill('TERM', -$pid);
  my $ended = wait_until(sub { waitpid($pid, POSIX::WNOHANG()) != 0 }, 5);
  kill('KILL', -$pid);
  waitpid($pid, 0) if !$ended;
  unlink "$self->{directory}/pid";
}

# All that it has printed.
sub output { return slurp($_[0]{directory} . '/log'); }

# Runs a command as the server's user in a directory of its, to its end; dies with what it printed if it fails.
sub run_as_server {
  my ($directory, $environment, @command) = @_;
  waitpid(_spawn($directory, $environment, @command), 0);
  die "@command failed:\n" . slurp("$directory/log") if $? != 0;
}

# Makes a directory that belongs to the server's user, with a copy of another one's files, if it is told; gives its path.
sub own_directory {
  my ($name, $origin) = @_;
  my $directory = "$work/$name";
  mkdir $directory or die "$directory: $!\n";
  system('cp', '-r', "$origin/.", $directory) == 0 or die if defined $origin;
  if ($> == 0) { system('chown', '-R', 'postgres:', $directory) == 0 or die }
  return $directory;
}

# So many ports of 127.0.0.1 that nobody listens on.
sub free_ports {
  my ($count) = @_;
  my @sockets = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no free port: $@\n" } 1 .. $count;
  return map { $_->sockport } @sockets;
}

# Starts a command as an ordinary user, which pgbouncer and the server want, in a process group of its own.
sub _spawn {
  my ($directory, $environment, @command) = @_;
  my $pid = fork // die "fork: $!\n";
  return $pid if $pid;
  POSIX::setpgid(0, 0);
  open(STDIN, '<', '/dev/null');
  open(STDOUT, '>', "$directory/log") or POSIX::_exit(126);
  open(STDERR, '>&', \*STDOUT);
  if ($> == 0) {
    my (undef, undef, $uid, $gid) = getpwnam('postgres') or die;
    chown($uid, $gid, "$directory/log");
    POSIX::setgid($gid);
    POSIX::setuid($uid);
  }
  chdir($directory) or POSIX::_exit(126);
  %ENV = (%ENV, HOME => $directory, %$environment);
  $ENV{PATH} .= ':/usr/sbin';
  { exec(@command) }
  print STDERR "$command[0]: $!\n";
  POSIX::_exit(127);
}

my $owner = $$;
END {
  if ($$ == $owner) {
    my $status = $?;
    $_->stop for @running;
    $? = $status;
  }
}

1;
