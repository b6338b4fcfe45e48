# doc/adoption.md, as it stands, on 40 tables that clients read and write all the while: each step, its undo, and the step again.
# What holds the clients up is told by locks and scans, not by the clock: no statement that scans a table holds a lock that stops
# readers or writers, every other one waits for its locks for 100 ms at most.

use strict;
use warnings;
use Adoption;
use Cluster;
use Test::More;
use Time::HiRes qw(time);

# What the guide has: the SQL of its steps and of their undoing, by name.
my $guide = slurp("$top/doc/adoption.md");
my %sql;
while ($guide =~ /^<!-- (step|undo): (\w+) -->\n```sql\n(.*?)^```$/msg) { $sql{"$1 $2"} = $3; }
my $blocks = () = $guide =~ /^```sql$/mg;
is(scalar keys %sql, $blocks, 'each piece of SQL in the guide has a name by which it is run here');

my $server = Cluster->start('adoption', q{log_min_messages = debug1}, q{log_min_error_statement = panic});
$server->database('app');
make_database($server->connect('app'));
my $dba = $server->connect('app');
is(value($dba, q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition}), 40, '40 tables');

# What each DDL command of a procedure held when it was done, and how long it would have waited: the strongest mode on a table of the application.
$dba->do($_) for 'CREATE SCHEMA watch', 'CREATE TABLE watch.command (statement text, mode text, patience text)',
  q{CREATE FUNCTION watch.note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
      IF pg_trigger_depth() > 0 OR current_query() !~ 'adoption\.run' THEN RETURN; END IF;
      INSERT INTO watch.command
      SELECT string_agg(DISTINCT command_tag || ' ' || object_identity, ', '), max(l.mode), current_setting('lock_timeout')
      FROM pg_event_trigger_ddl_commands(), pg_locks l JOIN pg_class c ON c.oid = l.relation
      WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock');
    END $$},
  'CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch.note()';

# Runs a piece of the guide as a superuser would; gives the exit status and all that psql says.
sub run_sql {
  my ($text) = @_;
  my $file = "$work/adoption.sql";
  open(my $out, '>:encoding(UTF-8)', $file) or die "$file: $!\n";
  print $out "SET client_min_messages = debug1;\n\\set SHOW_CONTEXT always\n", $text;
  close($out);
  return $server->run('psql', '-X', '-q', '-At', '-d', 'app', '-v', 'ON_ERROR_STOP=1', '-f', $file);
}

my %output;
sub take {
  my ($name) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $start = time;
  my ($status, $output) = run_sql($sql{$name} // die "the guide has no $name\n");
  ($output{$name} = $output) =~ s/^(?:psql:\S+ )?(?:DEBUG|CONTEXT|NOTICE|LOCATION):.*\n(?:(?:  |\t|    |SQL ).*\n)*//mg;
  diag("$name ", time - $start, ' s, again: ', scalar(() = $output =~ /trying again/g));
  is($status, 0, "$name: runs") or diag($output);
  return $output;
}

# What a step changes, as text.
sub picture {
  return join("\n\n", map { join("\n", sort split /\n/, rows($dba, $_)) }
    q{SELECT c.oid::regclass, relkind, relrowsecurity, relforcerowsecurity, reloptions, relacl FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind <> 'S'},
    q{SELECT attrelid::regclass, attname, attnotnull, pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
      JOIN pg_class c ON c.oid = attrelid AND relkind IN ('r', 'p') WHERE relnamespace = 'public'::regnamespace AND attnum > 0},
    q{SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE relnamespace = 'public'::regnamespace},
    q{SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace},
    q{SELECT * FROM pg_policies},
    q{SELECT proname, prosecdef FROM pg_proc WHERE pronamespace = 'public'::regnamespace},
    q{SELECT extname FROM pg_extension},
    q{SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'},
    q{SELECT unnest(setconfig) FROM pg_db_role_setting},
    value($dba, q{SELECT to_regclass('rls_tenant.exemption') IS NOT NULL}) ? q{SELECT schema_name, relation_pattern, rules, reason FROM rls_tenant.exemption} : 'SELECT');
}

# Takes a step, takes it back, takes it again; $mended: what undoing it leaves to be done before.
sub take_and_undo {
  my ($name, $before_again) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $before = picture();
  my @outputs = take("step $name");
  my $after = picture();
  isnt($after, $before, "step $name: does something");
  take("step $name") if $name !~ /^(install|list)$/;
  same_lines(picture(), $after, "step $name: run again it does nothing") if $name !~ /^(install|list)$/;
  take("undo $name");
  take($before_again) if $before_again;
  same_lines(picture(), $before, "undo $name: all is as it was");
  push @outputs, take("step $name");
  same_lines(picture(), $after, "step $name: and again");
  is(phase(@_[2, 3]), '', "step $name: the clients have met no error and no wrong row") if @_ > 2;
  return join('', @outputs);
}

my @old = ('old', 'where');
start_clients($server, 'app', 4);
is(phase(@old), '', 'the clients work');

take_and_undo('install', undef, @old);
take_and_undo('list', undef, @old);
take('step repair');
diag($output{'step repair'});
take_and_undo('not_null', undef, @old);
take_and_undo('index', undef, @old);
take_and_undo('foreign_key', 'step index', @old);
take('step request_tenant');
take_and_undo('transition', undef, @old);
take_and_undo('around', undef, 'old', 'bare');
is(phase('both', 'bare'), '', 'both versions side by side');
is(phase('new', 'bare'), '', 'new');
take('step rehearse');
is(phase('new', 'bare'), '', 'new');
take_and_undo('switch', undef, 'new', 'bare');
take('step verify');
diag($output{'step verify'});
take('step finish');
is(stop_clients(), '', 'the clients have met no error and no wrong row');
diag(rows($dba, 'SELECT * FROM watch.command'));
$dba->disconnect;
done_testing;
