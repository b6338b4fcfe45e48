# doc/adoption.md, as it stands, on 40 tables that clients read and write all the while: each step, its undo, and the step again.
# What holds the clients up is told by locks and scans, not by the clock: no statement that scans a table holds a lock that stops
# readers or writers, every other one waits for its locks for 100 ms at most.

use strict;
use warnings;
use Adoption;
use Cluster;
use Test::More;

# What the guide has: the SQL of its steps and of their undoing, by name.
my $guide = slurp("$top/doc/adoption.md");
my %sql;
while ($guide =~ /^<!-- (step|undo): (\w+) -->\n```sql\n(.*?)^```$/msg) { $sql{"$1 $2"} = $3; }
my $blocks = () = $guide =~ /^```sql$/mg;
is(scalar keys %sql, $blocks, 'each piece of SQL in the guide has a name by which it is run here');

my $server = Cluster->start('adoption', 'log_min_messages = notice');
$server->database('app');
make_database($server->connect('app'));
my $dba = $server->connect('app');
is(value($dba, q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition}), 40, '40 tables');

# What each statement of adoption.run() held when it was done, and how long it would have waited for a lock: modes that stop
# readers or writers of the application's tables.
$dba->do($_) for 'CREATE SCHEMA watch', 'CREATE TABLE watch.held (statement text, modes text, patience text)',
  q{CREATE FUNCTION watch.note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      stack text;
    BEGIN
      GET DIAGNOSTICS stack = PG_CONTEXT;
      IF stack !~ 'adoption\.run' THEN RETURN; END IF;
      INSERT INTO watch.held
      SELECT substring(stack FROM '.*SQL statement "(.*)"\sPL/pgSQL function adoption\.run'), string_agg(DISTINCT l.mode, ' '), current_setting('lock_timeout')
      FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
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

# What all pieces have said, at the level of DEBUG1; and the lines without those messages.
my $said = '';

sub answers {
  my ($output) = @_;
  return join('', map { "$_\n" } grep { $_ ne '' && !/^psql:|^CONTEXT:|^SQL statement|^PL\/pgSQL function|^DETAIL:|^HINT:|^LINE|^ +\S/ } split /\n/, $output);
}

# Runs a piece that must succeed; gives its answers.
sub take {
  my ($name) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my ($status, $output) = run_sql($sql{$name} // die "the guide has no $name\n");
  $said .= $output;
  is($status, 0, "$name: runs") or diag(grep { !/DEBUG: / } map { "$_\n" } split /\n/, $output);
  return answers($output);
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

# Takes a step, takes it back, takes it again, with $before_again run in between; the clients, told to work like that, find nothing wrong.
sub take_and_undo {
  my ($name, $before_again, @phase) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $before = picture();
  my $first = take("step $name");
  my $after = picture();
  isnt($after, $before, "step $name: does something");
  if ($name !~ /^(install|list)$/) {
    take("step $name");
    same_lines(picture(), $after, "step $name: run again it does nothing");
  }
  take("undo $name");
  take($before_again) if $before_again;
  same_lines(picture(), $before, "undo $name: all is as it was");
  take("step $name");
  same_lines(picture(), $after, "step $name: and again");
  is(phase(@phase), '', "step $name: the clients have met no error and no wrong row");
  return $first;
}

# An application's transaction of tenant 1, in a session that has set nothing before or has: what a query gives it, or the SQLSTATE.
sub as_tenant {
  my ($how, $query, $before) = @_;
  my $web = $server->connect('app', user => 'web');
  $web->do($before) if $before;
  $web->begin_work;
  my $id = tenant_id(1);
  $web->do({old => "SET LOCAL app.current_org_id = '$id'", new => "SELECT rls_tenant.set_context('$id'::uuid)", wrong => q{SET LOCAL app.current_org_id = '42'}, none => 'SELECT'}->{$how});
  my $result = eval { rows($web, $query) } // $web->state;
  $web->rollback;
  return $result;
}

# 1. Before any table is touched

my @old = ('old', 'where');
my @bare = ('old', 'bare');
start_clients($server, 'app', 4);
is(phase(@old), '', 'the clients work');
my $answers = take_and_undo('install', undef, @old);
$dba = $server->connect('app');    # with the settings of the database
$dba->do(q{SELECT rls_tenant.exempt('*', '%', 'the minor release is what this machine has', '{server_outdated}')});
like($answers, qr/^leak\|definer_function\|public\.order_total\(uuid\)\|/m, 'the audit knows of the function');
like($answers, qr/^leak\|view_bypass\|public\.open_order\|/m, 'and of the view');
like($answers, qr/^leak\|rls_off\|public\.customer\|/m, 'and of tables');
refused($server->connect('app'), 'CREATE TABLE another (id int)', '42P16', qr/does not keep tenants apart/, 'the guard stands');
is(value($dba, q{SELECT count(*) FROM rls_tenant.exemption WHERE reason = 'there before the guard'}), 41, 'the baseline has the tables of the application, and what this test has made');
# A grandchild of a tenant's table: whoever takes it for the same for all tenants is stopped.
$dba->do($_) for 'SET rls_tenant.guard = off', 'CREATE TABLE tax_note (order_item_tax_id int REFERENCES order_item_tax (id))', 'RESET rls_tenant.guard';
like(take('step list'), qr/^country\|\n.*^tax_note\|org, customer, product, orders, order_item, order_item_tax$/ms, 'the list tells to which tables of tenants a table leads');
my ($status, $output) = run_sql($sql{'step shared'});
is($status, 3, 'and nothing goes on');
like($output, qr/ERROR:  whose are the rows of tax_note\?/, 'while nobody has said whose a table is');
$dba->do('DROP TABLE tax_note');
take("undo $_") for 'shared', 'list';
$answers = take_and_undo('list', undef, @old);
like($answers, qr/^order_item_tax\|\|\|order_item\|order_item_id\|id$/m, 'the list has what belongs through a parent');
like($answers, qr/^country\|\ncurrency\|\ntax_rate\|\nfeature\|$/m, 'and what nobody has decided on');
is(value($dba, q{SELECT count(*) FROM rls_tenant.exemption WHERE reason = 'the same for all tenants'}), 0, 'of which nothing is exempt for good');
take_and_undo('shared', undef, @old);
is(rows($dba, q{SELECT relation_pattern FROM rls_tenant.exemption WHERE reason = 'the same for all tenants' ORDER BY 1}), "country\ncurrency\nfeature\ntax\\_rate",
  'and the exemptions what belongs to all');

# 2. Columns, indexes, foreign keys: what scans, and blocks nobody

($status, $output) = run_sql($sql{'step not_null'});
is($status, 3, 'rows without a tenant stop the step');
like($output, qr/ERROR:  check constraint "adoption_not_null" of relation "comment" is violated by some row/, 'and it says of which table');
is(phase(@old), '', 'which hurts no client');
$answers = take('step repair');
is($answers, "comment|48\n", 'the guide finds them');
is(take('step repair'), '', 'and they are mended');
take('undo not_null');
take_and_undo('not_null', undef, @old);
refused($server->connect('app'), 'ALTER TABLE customer ALTER org_id DROP NOT NULL', '42P16', qr/tenant_nullable/, 'the guard keeps what is won, where it was so before');
refused($server->connect('app'), 'ALTER TABLE contact ALTER org_id DROP NOT NULL', '42P16', qr/tenant_nullable/, 'and where this step made it so');

# A build that gave up has left an invalid index.
my $blocker = $server->connect('app');
$blocker->begin_work;
$blocker->do('LOCK TABLE contact IN ROW EXCLUSIVE MODE');
my $impatient = $server->connect('app', options => '-c lock_timeout=50ms');
refused($impatient, 'CREATE INDEX CONCURRENTLY contact_of_tenant_idx ON contact (org_id)', '55P03', qr/lock timeout/, 'a build of an index that gives up');
$blocker->rollback;
is(value($dba, q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'contact_of_tenant_idx'::regclass}), 0, 'leaves an invalid one');
take('step index');
is(rows($dba, 'SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid'), '', 'which the step makes anew');
take('undo index');
take_and_undo('index', undef, @old);
$answers = take_and_undo('foreign_key', 'step index', @old);
is($answers, "payment|payment_invoice_id_fkey|1\nrefund|refund_payment_id_fkey|1\n", 'the guide finds rows that refer to another tenant\'s');
is(value($dba, q{SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ticket_message_app_user_id_fkey'}),
  'FOREIGN KEY (org_id, app_user_id) REFERENCES app_user(org_id, id) ON DELETE SET NULL (app_user_id)', 'a key that sets NULL leaves the tenant');
is(value($dba, q{SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'order_item_product_id_fkey'}),
  'FOREIGN KEY (org_id, product_id) REFERENCES product(tenant_id, id)', 'and one between tables that name the tenant differently is made, too');
refused($dba, sprintf(q{UPDATE contact SET customer_id = '%s' WHERE id = %s}, key_of('customer', 2, 1), key_of('contact', 1, 1)), '23503', qr/foreign key/,
  'no row can refer to another tenant\'s');

# 3. Transition, while a transaction keeps a table

refused($dba, q{BEGIN; CREATE POLICY tenant ON customer USING (org_id::text = current_setting('app.current_org_id')); ALTER TABLE customer ENABLE ROW LEVEL SECURITY; COMMIT},
  '42P16', qr/not_confined/, 'the guard lets no policy stand that nothing confines, unless it is exempt');
take('step request_tenant');
$blocker->begin_work;
$blocker->do('SELECT FROM customer LIMIT 1');
my $pid = fork // die "fork: $!";
if ($pid == 0) {
  require POSIX;
  POSIX::_exit((run_sql($sql{'step transition'}))[0]);
}
ok(wait_until(sub { $server->log =~ /in use, trying again: SELECT rls_tenant\.exempt\('public', 'customer'/ }, 60),
  'a statement that does not get its lock lets go');
is(phase(@old), '', 'and the clients get on meanwhile');
$blocker->rollback;
waitpid($pid, 0);
is($?, 0, 'afterwards the step is done');
take('undo transition');
take_and_undo('transition', undef, @old);
my $mine = 'SELECT count(*) >= 50, count(DISTINCT org_id) FROM customer';    # tenant 1 makes more
sub all_ways {
  my ($when, %expected) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  for my $session ([undef, 'a new session'], [q{BEGIN; SET LOCAL app.current_org_id = 'x'; COMMIT}, 'one that was used']) {
    is(as_tenant($_, $mine, $session->[0]), $expected{$_}, "$when, $session->[1]: context $_") for sort keys %expected;
  }
}
all_ways('in transition', old => '1|1', new => '1|1', none => '55000', wrong => '22P02');
like(as_tenant('old', 'EXPLAIN (COSTS OFF) SELECT * FROM orders'), qr/InitPlan 1.*Index Cond: \(org_id = /s, 'the tenant is found once a statement, and an index by it');
like(value($dba, q{SELECT detail FROM rls_tenant.status() WHERE item = 'exempt: in transition'}), qr/public\.customer \(not_confined, rls_not_forced, no_tenant_column\)/,
  'status() tells of the transition');
like(rows($dba, q{SELECT rule, object FROM rls_tenant.audit('public', accepted => true) WHERE severity = 'accepted'}), qr/^not_confined\|public\.customer$/m, 'and so does the audit');
$answers = take_and_undo('around', undef, @bare);
like($answers, qr/^view_bypass\|public\.open_order\|/m, 'the guide shows what stands around the tables');
is(rows($dba, q{SELECT rule FROM rls_tenant.audit('public') WHERE severity = 'leak'}), '', 'and takes all leaks away');
is(phase('both', 'bare'), '', 'both versions work side by side');

# 4. Rehearsal and switch

is(phase('new', 'bare'), '', 'the new version alone');
take('step rehearse');
all_ways('in rehearsal', old => '55000', new => '1|1', none => '55000');
take('step request_tenant');
all_ways('back from it', old => '1|1', new => '1|1', none => '55000', wrong => '22P02');
take('step rehearse');
is(phase('new', 'bare'), '', 'the new version does not notice');

# No moment is open: whoever comes while a table is switched waits, and sees its tenant alone, whatever becomes of the switch.
my ($query) = $sql{'step switch'} =~ /adoption\.run\(\$\$(.*?)\$\$\)/s;
my $switch = value($dba, "SELECT s FROM ($query) q(s) WHERE s LIKE '% adoption\\_tenant ON customer;%'");
for my $end ('ROLLBACK', 'COMMIT') {
  my $web = $server->connect('app', user => 'web');
  $web->begin_work;
  $web->do(sprintf q{SELECT rls_tenant.set_context('%s'::uuid)}, tenant_id(1));
  $dba->do("BEGIN; $switch");
  my $statement = $web->prepare($mine, {pg_async => 1});
  $statement->execute;
  ok(wait_until(sub { value($blocker, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT count(*) >= 50, count(DISTINCT org_id)%'}) }), 'while a table is switched others wait');
  $dba->do($end);
  $statement->pg_result;
  is(join('|', $statement->fetchrow_array), '1|1', "and see their tenant after $end");
  $web->rollback;
}
take('undo switch');
is(value($dba, q{SELECT count(*) FROM pg_policies WHERE schemaname = 'public' AND policyname <> 'adoption_tenant'}), 0, 'one table can be taken back');
is(take_and_undo('switch', undef, 'new', 'bare'), '', 'nothing is left to do that scans');
all_ways('afterwards', old => '55000', new => '1|1', none => '55000');
refused($dba, 'ALTER TABLE customer DISABLE ROW LEVEL SECURITY', '42P16', qr/rls_off_with_policies/, 'the guard keeps it so');

my $switched = picture();
is(phase('new', 'where'), '', 'the new version, with its WHERE');
take("undo $_") for 'switch', 'transition';
take('step switch');
same_lines(picture(), $switched, 'the short way, without a transition, leads to the same');
is(phase('new', 'bare'), '', 'and the clients notice nothing');

# 5. Verified

# A table that clients do not look at.
my $hidden = key_of('comment', 1, 1);
$dba->do("ALTER POLICY tenant_access ON comment USING (org_id = rls_tenant.current_tenant_uuid() AND id <> $hidden)");
like(take('step verify'), qr/^comment\|${\tenant_id(1)}\|199\|200$/m, 'the counts tell of a row that its tenant does not see');
$dba->do('ALTER POLICY tenant_access ON comment USING (org_id = rls_tenant.current_tenant_uuid())');
$answers = take('step verify');
unlike($answers, qr/^"?\w+"?\|[-0-9a-f]{36}\|\d/m, 'and else are equal');
like($answers, qr/^relations with faults that are not exempt\|none$/m, 'the guard finds nothing wrong');
unlike($answers, qr/^(leak|risk)\|/m, 'nor does the audit');
like($answers, qr/^SELECT\|tenant_isolation\|.*org_id = rls_tenant\.current_tenant_uuid/m, 'and explain_access() tells by what a table is held');
take('step finish');
is(value($dba, q{SELECT string_agg(DISTINCT reason, ', ') FROM rls_tenant.exemption WHERE schema_name = 'public'}), 'the same for all tenants', 'what is left is exempt for good');
is(stop_clients(), '', 'to the end the clients have met no error and no wrong row');

# 6. Locks and scans

my $held = $dba->selectall_arrayref('SELECT DISTINCT statement, modes, patience FROM watch.held');
cmp_ok(scalar @$held, '>', 400, 'statements were watched');
is(join("\n", map { $_->[0] } grep { $_->[2] ne '100ms' } @$held), '', 'each waits for 100 ms at most');
my @validating = grep { $_->[0] =~ / VALIDATE CONSTRAINT / } @$held;
cmp_ok(scalar @validating, '>', 40, 'some of them validate');
is(join("\n", map { "$_->[0]: $_->[1]" } grep { defined $_->[1] } @validating), '', 'and hold nothing that stops readers or writers');

# What scanned a table of the application: PostgreSQL tells of it at DEBUG1, with the statement as context.
my %table_or_part = map { ($_ => 1) } keys %table, map { "audit_log_$_" } 2024 .. 2028;
my (%scans, $scanned);
for (split /^(?=psql:)/m, $said) {
  next if !/DEBUG:  (verifying table|rewriting table|validating foreign key constraint|building index)(?: "\S+" on table)? "(\S+)"/;
  next if $1 ne 'validating foreign key constraint' && !$table_or_part{$2};
  my $kind = $1;
  my ($statement) = /SQL statement "(.*?)"\nPL\/pgSQL function adoption\.run/s;
  $scans{$kind}++;
  $scanned .= "$_\n" if $kind =~ /building/ ? defined $statement : ($statement // '') !~ /\A\s*ALTER TABLE \S+ VALIDATE CONSTRAINT \S+\z/;
}
is($scanned // '', '', 'only VALIDATE scans, and CREATE INDEX CONCURRENTLY');
cmp_ok($scans{$_} // 0, '>', 30, "which was seen: $_") for 'verifying table', 'validating foreign key constraint', 'building index';
my $nullable = grep { $table{$_}{column} =~ /_id$/ && !/^(app_user|team|customer|orders)$/ } keys %table;
is(scalar(() = $said =~ /DEBUG:  existing constraints on column "\w+\.\w+" are sufficient to prove that it does not contain nulls/g), 2 * ($nullable + 5),
  'SET NOT NULL had its proof, both times');
$_->disconnect for $blocker, $impatient, $dba;
done_testing;
