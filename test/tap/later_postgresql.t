# What only a later PostgreSQL has. An earlier one must not know it: else it belongs among the tests for all.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
my $name = $server->database('later_postgresql', 1);
$server->role('later_owner');
my $admin = $server->connect($name);
$admin->do('GRANT CREATE ON SCHEMA public TO later_owner');
my $owner = $server->connect($name, user => 'later_owner');
my $major = int(value($admin, q{SELECT current_setting('server_version_num')::int / 10000}));

# Runs statements in one transaction, as one tenant.
sub as_tenant {
  my ($tenant, @statements) = @_;
  $owner->do('BEGIN');
  $owner->do('SELECT rls_tenant.set_context(?::text)', undef, $tenant);
  $owner->do($_) for @statements;
  $owner->do('COMMIT');
}

# Makes tenant tables, each in one transaction with what protects it.
sub tables {
  while (my ($table, $columns) = splice @_, 0, 2) {
    $owner->begin_work;
    $owner->do("CREATE TABLE $table ($columns)");
    $owner->do('SELECT rls_tenant.protect(?::regclass)', undef, $table);
    $owner->commit;
  }
}

# The detail and the hint of a statement that is refused.
sub refusal {
  my ($statement) = @_;
  return 'not refused' if eval { $owner->do($statement); 1 };
  my $text = $owner->errstr;
  $owner->do('ROLLBACK');
  return $text;
}

sub enforcement {
  tables(customer => 'tenant_id text NOT NULL, id int, PRIMARY KEY (tenant_id, id), UNIQUE (id)', orders => 'tenant_id text NOT NULL, id int, customer int');
  as_tenant('a', q{INSERT INTO customer VALUES ('a', 1)}, q{INSERT INTO orders VALUES ('a', 1, 1)});
  as_tenant('b', q{INSERT INTO orders VALUES ('b', 2, 99)});
  like(refusal('ALTER TABLE orders ADD CONSTRAINT loose FOREIGN KEY (customer) REFERENCES customer (id) NOT ENFORCED'),
    qr/FOREIGN KEY \(tenant_id, customer\) REFERENCES public\.customer \(tenant_id, id\) NOT ENFORCED;/, 'the remedy of a key that is not enforced enforces none');
  $owner->do('ALTER TABLE orders ADD CONSTRAINT whole FOREIGN KEY (tenant_id, customer) REFERENCES customer NOT ENFORCED');
  $owner->do('BEGIN');
  $owner->do(q{SELECT rls_tenant.set_context('a')});
  my $text = refusal('ALTER TABLE orders ALTER CONSTRAINT whole ENFORCED');
  like($text, qr/a foreign key of table public\.orders was checked for the rows of one tenant only/, 'to enforce a key checks the rows of one tenant: refused');
  like($text, qr/fk_crosses: role "later_owner" sees only those of public\.orders, and PostgreSQL marks the key as valid for all\./, 'which the detail says');
  like($text, qr/Let a role with BYPASSRLS run ALTER TABLE public\.orders ALTER CONSTRAINT \.\.\. ENFORCED;/, 'the hint says who can');
  refused($admin, 'ALTER TABLE orders ALTER CONSTRAINT whole ENFORCED', '23503', qr/violates foreign key/, 'and who can sees the row that is wrong');
  as_tenant('b', 'UPDATE orders SET customer = NULL');
  $admin->do('ALTER TABLE orders ALTER CONSTRAINT whole ENFORCED');
  is(value($admin, q{SELECT conenforced AND convalidated FROM pg_constraint WHERE conname = 'whole'}), 1, 'once it is right the key is enforced');
  $owner->do('ALTER TABLE orders ALTER CONSTRAINT whole NOT ENFORCED');
  is(value($admin, q{SELECT conenforced FROM pg_constraint WHERE conname = 'whole'}), 0, 'to enforce it no longer checks nothing');
}

sub periods {
  $admin->do('CREATE EXTENSION btree_gist');
  tables(room => 'tenant_id text, id int, open tstzrange, UNIQUE (id, open WITHOUT OVERLAPS), UNIQUE (tenant_id, id, open)', stay => 'tenant_id text, room int, nights tstzrange');
  my ($remedy) = refusal('ALTER TABLE stay ADD CONSTRAINT at FOREIGN KEY (room, PERIOD nights) REFERENCES room (id, PERIOD open) NOT VALID') =~ /\n    (.*);\n/;
  is($remedy, 'ALTER TABLE public.room ADD UNIQUE (tenant_id, id, open WITHOUT OVERLAPS); ALTER TABLE public.stay DROP CONSTRAINT at, ADD CONSTRAINT at FOREIGN KEY (tenant_id, room, PERIOD nights) '
    . 'REFERENCES public.room (tenant_id, id, PERIOD open) NOT VALID', 'the remedy of a temporal key is a temporal key, whatever other unique key there is');
  $owner->begin_work;
  $owner->do('ALTER TABLE stay ADD CONSTRAINT at FOREIGN KEY (room, PERIOD nights) REFERENCES room (id, PERIOD open) NOT VALID');
  $owner->do($remedy);
  $owner->commit;
  as_tenant('a', q{INSERT INTO room VALUES ('a', 1, '[2026-01-01,2026-02-01)'), ('a', 1, '[2026-02-01,2026-03-01)')}, q{INSERT INTO stay VALUES ('a', 1, '[2026-01-30,2026-02-02)')});
  is(value($admin, 'SELECT count(*) FROM stay'), 1, 'by which a stay may span two of the periods');
  is(rows($owner, q{SELECT * FROM rls_tenant.protect_sql('stay')}), '', 'nothing is left to do');
  tables(booking => 'tenant_id int, id int, nights tstzrange, PRIMARY KEY (tenant_id, id, nights WITHOUT OVERLAPS)');
  is(value($admin, q{SELECT count(*) FROM pg_indexes WHERE tablename = 'booking' AND indexdef LIKE '%btree (tenant_id)'}), 1, 'a temporal key is no index for the tenant column');
}

sub unproven_not_null {
  $admin->do($_) for 'SET rls_tenant.guard = off', 'SET ROLE later_owner', 'CREATE TABLE old (id int, tenant_id text)', q{INSERT INTO old VALUES (1, NULL), (2, 'a')}, 'RESET ROLE', 'RESET rls_tenant.guard';
  $owner->do('ALTER TABLE old ADD CONSTRAINT whose NOT NULL tenant_id NOT VALID');
  is(rows($owner, q{SELECT s FROM rls_tenant.protect_sql('old') s WHERE s LIKE '%NULL%'}), 'ALTER TABLE public.old ALTER COLUMN tenant_id SET NOT NULL;', 'protect() has a NOT NULL proven that is NOT VALID');
  like(refusal(q{SELECT rls_tenant.protect('old')}), qr/column "tenant_id" of relation "old" contains null values/, 'and says that rows belong to nobody');
  is(value($admin, q{SELECT finding FROM rls_tenant.audit() WHERE rule = 'tenant_nullable' AND object = 'public.old'}), 'column tenant_id allows NULL', 'so does the audit');
  $admin->do(q{UPDATE old SET tenant_id = 'a' WHERE tenant_id IS NULL});
  $owner->do(q{SELECT rls_tenant.protect('old')});
  is(value($admin, q{SELECT convalidated FROM pg_constraint WHERE conname = 'whose'}), 1, 'once none is left the constraint is proven');
  is(value($admin, q{SELECT count(*) FROM rls_tenant.audit() WHERE object = 'public.old' AND rule = 'tenant_nullable'}), 0, 'and nothing to find');
}

sub virtual_columns {
  $owner->begin_work;
  $owner->do('CREATE TABLE doc (id int, body jsonb, tenant_id text GENERATED ALWAYS AS (body ->> 0) VIRTUAL)');
  my $text = refusal(q{SELECT rls_tenant.protect('doc')});
  like($text, qr/column tenant_id of public\.doc cannot hold a tenant/, 'a virtual column cannot say whose a row is');
  like($text, qr/It is a virtual generated column, which no index can hold\..*Make it GENERATED ALWAYS AS \(\.\.\.\) STORED, or a column of its own\./s, 'for which there is a remedy');
  tables(doc => 'id int, body jsonb, tenant_id text GENERATED ALWAYS AS (body ->> 0) STORED');
  like(refusal(q{CREATE TRIGGER kept AFTER INSERT OR UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION rls_tenant.restrict_columns('tenant_id', 'boss')}),
    qr/Column tenant_id is generated from others\./, 'and a column rule is none of generated columns');
  as_tenant('a', q{INSERT INTO doc (body) VALUES ('["a"]')});
  is(rows($admin, 'SELECT tenant_id FROM doc'), 'a', 'a stored one can');
}

# The owner is held by the policies, too.
sub generic_plans {
  tables(note => 'id int, tenant_id text');
  $owner->do('BEGIN');
  $owner->do(q{SELECT rls_tenant.set_context('a')});
  my ($general, $own) = map { join "\n", @{$owner->selectcol_arrayref("EXPLAIN ($_)", {pg_direct => 1})} }
    'COSTS OFF, GENERIC_PLAN) SELECT FROM note WHERE id = ($1', 'COSTS OFF) SELECT FROM note WHERE id = (1';
  like($general, qr/tenant_id = rls_tenant\.fast_tenant_text\(\)/, 'EXPLAIN (GENERIC_PLAN) shows a plan that is kept, for all tenants');
  like($own, qr/tenant_id = 'a'::text/, 'and EXPLAIN one that is run once');
  $owner->do('COMMIT');
}

# What there is from which version on, and its test.
my @news = (
  [16, 'EXPLAIN (GENERIC_PLAN) SELECT', \&generic_plans],
  [18, 'ALTER TABLE later ADD CHECK (id > 0) NOT ENFORCED', \&enforcement],
  [18, 'ALTER TABLE later ADD UNIQUE (id WITHOUT OVERLAPS)', \&periods],
  [18, 'ALTER TABLE later ADD NOT NULL id NOT VALID', \&unproven_not_null],
  [18, 'ALTER TABLE later ADD v int GENERATED ALWAYS AS (1) VIRTUAL', \&virtual_columns],
);
$admin->do('CREATE TEMP TABLE later (id int)');
for (@news) {
  my ($from, $statement, $test) = @$_;
  if ($major >= $from) { $test->() }
  else { refused($admin, $statement, '42601', qr/syntax error|unrecognized EXPLAIN option/, "PostgreSQL $major has not: $statement") }
}

$_->disconnect for $owner, $admin;
done_testing;
