# Migrations by Alembic and Django themselves, and by the statements that Rails sends: a table that gets its tenant column and
# policies in later statements of a transaction passes; without a transaction it is refused, and told what to do.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
$server->role('migrator');
my $python = '/usr/bin/python3';  # Debian's, which has the packages

# A database in which the role may make tables.
sub fresh {
  my ($name) = @_;
  my $db = $server->connect($server->database($name, 1));
  $db->do($_) for 'SET client_min_messages = error', 'GRANT CREATE ON SCHEMA public TO migrator';
  return $db;
}

# Runs a command in a directory; gives its exit status and all that it printed.
sub command {
  my ($directory, @command) = @_;
  my $pid = open(my $output, '-|') // die "fork: $!";
  if ($pid == 0) {
    chdir($directory) or die "$directory: $!\n";
    open(STDERR, '>&', \*STDOUT);
    open(STDIN, '<', '/dev/null');
    $ENV{PYTHONDONTWRITEBYTECODE} = 1;
    exec(@command) or die "$command[0]: $!\n";
  }
  local $/;
  my $text = <$output> // '';
  close($output);
  return ($? >> 8, $text);
}

# Writes files into a directory of that name; gives its path.
sub project {
  my ($name, %files) = @_;
  my $directory = "$work/$name";
  for my $path (sort keys %files) {
    my $parent = "$directory/$path" =~ s/\/[^\/]*$//r;
    system('mkdir', '-p', $parent) == 0 or die;
    open(my $file, '>', "$directory/$path") or die "$directory/$path: $!\n";
    print $file $files{$path};
    close($file);
  }
  return $directory;
}

# Tests that a table is a tenant table.
sub is_tenant_table {
  my ($db, $table, $name) = @_;
  is(rows($db, "SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) > 0 FROM pg_policy WHERE polrelid = c.oid),
    (SELECT count(*) FROM rls_tenant.table_faults(c.oid)) FROM pg_class c WHERE relname = '$table'"), '1|1|1|0', $name);
}

# The statements that protect a table by hand.
my @by_hand = ('ALTER TABLE invoice ENABLE ROW LEVEL SECURITY', 'ALTER TABLE invoice FORCE ROW LEVEL SECURITY',
  'CREATE POLICY tenant ON invoice USING (tenant_id = rls_tenant.current_tenant_uuid())');

# What a refusal of table invoice without anything says to who reads it the first time: what is wrong, what to run, and where.
sub told_what_to_do {
  my ($text, $name) = @_;
  like($text, qr/table public\.invoice does not keep tenants apart/, "$name: the refusal names the table");
  like($text, qr/public\.invoice: no_tenant_column: there is no column tenant_id/, "$name: what is wrong");
  like($text, qr/ALTER TABLE public\.invoice ADD COLUMN tenant_id uuid; .*SELECT rls_tenant\.protect\('public\.invoice'\);/,
    "$name: what to run");
  like($text, qr/Run these statements in the same transaction, before COMMIT/, "$name: and where");
  like($text, qr/What belongs to no tenant: SELECT rls_tenant\.exempt\('public', 'invoice', 'reason'\);/, "$name: and the way out");
}

# 1. Alembic

my %alembic = (
  'alembic.ini' => "[alembic]\nscript_location = scripts\n",
  'scripts/script.py.mako' => '',
  'scripts/env.py' => <<"PYTHON",
import os
from alembic import context
from sqlalchemy import create_engine, pool
engine = create_engine("postgresql+psycopg2://migrator@/" + os.environ["DATABASE"] + "?host=$server->{host}&port=$server->{port}", poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=os.environ.get("PER_MIGRATION") == "1")
    with context.begin_transaction():
        context.run_migrations()
PYTHON
);

# A migration of Alembic.
sub alembic_version {
  my ($number, $body) = @_;
  my $down = $number > 1 ? "'" . ($number - 1) . "'" : 'None';
  return ("scripts/versions/$number.py" => "import sqlalchemy as sa\nfrom alembic import op\n\nrevision = '$number'\ndown_revision = $down\n\n"
    . "def upgrade():\n" . $body =~ s/^/    /mgr . "\n\ndef downgrade():\n    "
    . ($number == 1 ? 'op.drop_table("invoice")' : 'pass') . "\n");
}
my $alembic_steps = qq{op.create_table("invoice", sa.Column("id", sa.Integer, primary_key=True), sa.Column("total", sa.Numeric))
op.add_column("invoice", sa.Column("tenant_id", sa.dialects.postgresql.UUID, nullable=True))
op.create_index("invoice_tenant", "invoice", ["tenant_id"])
op.alter_column("invoice", "tenant_id", nullable=False)
} . join("\n", map { qq{op.execute("$_")} } @by_hand);
my $alembic_alone = q{with op.get_context().autocommit_block():
    op.create_table("invoice", sa.Column("id", sa.Integer, primary_key=True))};

SKIP: {
  my ($status) = command('/', $python, '-c', 'import alembic, psycopg2, sqlalchemy.dialects.postgresql');
  skip 'Alembic is not installed', 1 if $status != 0;
  $alembic{'scripts/env.py'} =~ s/^from alembic/import sqlalchemy.dialects.postgresql\nfrom alembic/m;
  my $db = fresh('alembic');
  $ENV{DATABASE} = 'alembic';
  my $directory = project('alembic', %alembic, alembic_version(1, $alembic_steps),
    alembic_version(2, q{op.create_index("invoice_total", "invoice", ["total"])
op.add_column("invoice", sa.Column("note", sa.Text))}),
    alembic_version(3, q{with op.get_context().autocommit_block():
    op.create_index("invoice_note", "invoice", ["note"], postgresql_concurrently=True)}));
  my @alembic = ($python, '-c', 'from alembic.config import main; main()');
  ($status, my $text) = command($directory, @alembic, 'upgrade', '1');
  isnt($status, 0, 'Alembic: its own table needs an exemption');
  like($text, qr/exempt\('public', 'alembic\\_version', 'reason'\)/, 'which the refusal writes out');
  is(value($db, q{SELECT count(*) FROM pg_class WHERE relname IN ('invoice', 'alembic_version')}), 0, 'and nothing is left');
  $db->do(q{SELECT rls_tenant.exempt('public', 'alembic\_version', 'migrations')});
  ($status, $text) = command($directory, @alembic, 'upgrade', 'head');
  is($status, 0, 'Alembic: the column, row-level security and the policy come in later statements') or diag($text);
  is_tenant_table($db, 'invoice', 'and all are there');
  is(value($db, q{SELECT version_num FROM alembic_version}), '3', 'at the last version');
  ($status, $text) = command($directory, @alembic, 'downgrade', 'base');
  is($status, 0, 'Alembic: and back') or diag($text);
  local $ENV{PER_MIGRATION} = 1;
  ($status, $text) = command($directory, @alembic, 'upgrade', 'head');
  is($status, 0, 'Alembic: with a transaction for each migration') or diag($text);
  is_tenant_table($db, 'invoice', 'too');
  $db->do('DROP TABLE invoice');
  $db->do('DELETE FROM alembic_version');
  $directory = project('alembic_alone', %alembic, alembic_version(1, $alembic_alone));
  ($status, $text) = command($directory, @alembic, 'upgrade', 'head');
  isnt($status, 0, 'Alembic: a table in an autocommit block is refused');
  told_what_to_do($text, 'Alembic');
  is(value($db, q{SELECT to_regclass('invoice')}), undef, 'and is not there');
  $db->disconnect;
}

# 2. Django

my %django = (
  'settings.py' => <<"PYTHON",
import os
SECRET_KEY = "none"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "billing"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["DATABASE"], "USER": "migrator",
    "HOST": "$server->{host}", "PORT": "$server->{port}"}}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PYTHON
  'billing/__init__.py' => '',
  'billing/migrations/__init__.py' => '',
);

# A migration of Django.
sub django_migration {
  my ($name, $depends, $atomic, $operations) = @_;
  return ("billing/migrations/$name.py" => "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n"
    . "    atomic = $atomic\n    dependencies = [$depends]\n    operations = [\n$operations\n    ]\n");
}
my $django_create = q{        migrations.CreateModel("Invoice", [("id", models.AutoField(primary_key=True)), ("total", models.IntegerField(null=True))],
            options={"db_table": "invoice"}),
};

SKIP: {
  my ($status) = command('/', $python, '-c', 'import django, psycopg2');
  skip 'Django is not installed', 1 if $status != 0;
  my $db = fresh('django');
  local @ENV{qw(DATABASE DJANGO_SETTINGS_MODULE)} = ('django', 'settings');
  my $directory = project('django', %django,
    django_migration('0001_steps', '', 'True', $django_create
      . qq{        migrations.AddField("Invoice", "tenant_id", models.UUIDField(null=True)),\n}
      . join('', map { qq{        migrations.RunSQL("$_"),\n} } 'ALTER TABLE invoice ALTER COLUMN tenant_id SET NOT NULL', @by_hand)),
    django_migration('0002_index', '("billing", "0001_steps")', 'False',
      q{        migrations.RunSQL("CREATE INDEX CONCURRENTLY invoice_total ON invoice (total)", "DROP INDEX invoice_total")}),
    django_migration('0003_protect', '("billing", "0002_index")', 'True',
      q{        migrations.CreateModel("Payment", [("id", models.AutoField(primary_key=True)), ("tenant_id", models.UUIDField())],
            options={"db_table": "payment"}),
        migrations.RunSQL("SELECT rls_tenant.protect('payment')", migrations.RunSQL.noop)}));
  my @django = ($python, '-m', 'django', 'migrate', '--pythonpath', '.');
  ($status, my $text) = command($directory, @django);
  isnt($status, 0, 'Django: its own tables need an exemption');
  like($text, qr/exempt\('public', 'django\\_migrations', 'reason'\)/, 'which the refusal writes out');
  $db->do("SELECT rls_tenant.exempt('public', '$_', 'Django''s own')") for 'django\_%', 'auth\_%';
  ($status, $text) = command($directory, @django);
  is($status, 0, 'Django: with it all migrations run, each in a transaction but one') or diag($text);
  is_tenant_table($db, 'invoice', 'a model whose column and policy came in later statements is a tenant table');
  is_tenant_table($db, 'payment', 'and one with protect()');
  is(value($db, q{SELECT count(*) FROM django_migrations WHERE app = 'billing'}), '3', 'all are told as done');
  my $alone = fresh('django_alone');
  $alone->do("SELECT rls_tenant.exempt('public', '$_', 'Django''s own')") for 'django\_%', 'auth\_%';
  $ENV{DATABASE} = 'django_alone';
  $directory = project('django_alone', %django, django_migration('0001_alone', '', 'False', $django_create));
  ($status, $text) = command($directory, @django);
  isnt($status, 0, 'Django: a table of a migration with atomic = False is refused');
  told_what_to_do($text, 'Django');
  is(value($alone, q{SELECT to_regclass('invoice')}), undef, 'and is not there');
  $_->disconnect for $db, $alone;
}

# 3. The statements of Rails: each migration in a transaction, with its version; disable_ddl_transaction! for indexes

my $db = fresh('rails');
my $rails = $server->connect('rails', user => 'migrator');
my @own = (q{CREATE TABLE "schema_migrations" ("version" character varying NOT NULL PRIMARY KEY)},
  q{CREATE TABLE "ar_internal_metadata" ("key" character varying NOT NULL PRIMARY KEY, "value" character varying, "created_at" timestamp(6) NOT NULL, "updated_at" timestamp(6) NOT NULL)});
refused($rails, $own[0], '42P16', qr/exempt\('public', 'schema\\_migrations', 'reason'\)/, 'Rails: its own tables need an exemption');
$db->do("SELECT rls_tenant.exempt('public', '$_', 'Rails'' own')") for 'schema\_migrations', 'ar\_internal\_metadata';
$rails->do($_) for @own, q{SELECT pg_try_advisory_lock(4711)};
my $create = q{CREATE TABLE "invoice" ("id" bigserial primary key, "total" decimal, "created_at" timestamp(6) NOT NULL, "updated_at" timestamp(6) NOT NULL)};
$rails->do($_) for 'BEGIN', $create, q{ALTER TABLE "invoice" ADD "tenant_id" uuid}, q{CREATE INDEX "index_invoice_on_tenant_id" ON "invoice" ("tenant_id")},
  q{ALTER TABLE "invoice" ALTER COLUMN "tenant_id" SET NOT NULL}, @by_hand, q{INSERT INTO "schema_migrations" ("version") VALUES ('1') RETURNING "version"}, 'COMMIT';
is_tenant_table($db, 'invoice', 'Rails: a migration whose later statements protect its table passes');
$rails->do($_) for q{CREATE INDEX CONCURRENTLY "index_invoice_on_total" ON "invoice" ("total")},
  'BEGIN', q{INSERT INTO "schema_migrations" ("version") VALUES ('2') RETURNING "version"}, 'COMMIT';
is_tenant_table($db, 'invoice', 'Rails: and one without a transaction that makes an index concurrently');
$rails->do($_) for 'BEGIN', 'DROP TABLE "invoice"', q{DELETE FROM "schema_migrations" WHERE "schema_migrations"."version" = '1'}, 'COMMIT';
eval { $rails->do($create) };
is($rails->state, '42P16', 'Rails: a table of a migration with disable_ddl_transaction! is refused');
told_what_to_do($rails->errstr, 'Rails');
is(value($db, q{SELECT count(*) FROM pg_class WHERE relname ~ '^invoice'}), 0, 'and is not there');

# 4. What a refusal says is enough: a new user runs it, and is done

my ($remedy) = $rails->errstr =~ /^ +(ALTER TABLE public\.invoice ADD COLUMN .*)$/m if !eval { $rails->do('CREATE TABLE invoice (id int)') };
ok(defined $remedy, 'the refusal has a line to run');
$rails->do($_) for 'BEGIN', 'CREATE TABLE invoice (id int)', $remedy, 'COMMIT';
is_tenant_table($db, 'invoice', 'put between BEGIN, CREATE TABLE and COMMIT it makes a tenant table');

$_->disconnect for $rails, $db;
done_testing;
