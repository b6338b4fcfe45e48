# examples/jdbc: plain JDBC with HikariCP, and the JDK's own HTTP server.

use strict;
use warnings;
use Daemon;
use Driver;

my $libraries = join(':', map { "/usr/share/java/$_.jar" } qw(postgresql HikariCP slf4j-api slf4j-nop gson));
drive('jdbc',
  prepare => sub { run_as_server($_[0], {}, 'javac', '-Xlint:all', '-Werror', '-cp', $libraries, '-d', 'classes', glob("$_[0]/*.java")) },
  command => sub { ['java', '-cp', "classes:$libraries", 'App'] },
  # PgBouncer does not know this setting, which the driver sends when it connects.
  pgbouncer => ['ignore_startup_parameters = extra_float_digits']);
