"""The database that all parts of test/hard work on: four tenants, six users, every form of tenant table, and rows that
tell whose they are wherever they turn up."""

import os
import re
import sys
import time

import psycopg2

OWNER, APP, LAZY = 'hard_owner', 'hard_app', 'hard_lazy'
TENANTS, USERS, ROWS = 4, 6, 10

# Each table has a generated column "mark" with such a text: T3#17 is row 17 of tenant 3, M is a row of the membership form,
# P one that is public. So a foreign row is known by any output that it gets into.
MARK = re.compile(r'\b([TMP])(\d+)#')
MARK_COLUMN = "mark text GENERATED ALWAYS AS ({letter} || tenant_id::text || '#' || id::text) STORED"
COLUMNS = 'id bigint, tenant_id bigint NOT NULL, n int, note text, ' + MARK_COLUMN

# The tenant tables, by the letter of their marks.
TABLES = {'doc': 'T', 'line': 'T', 'parted': 'T', 'ranged': 'T', 'parent': 'T', 'owned': 'T', 'shared': 'M', 'shared_parted': 'M',
          'pub': 'TP'}


def connect(database, user='postgres', **options):
    """A connection in autocommit, with settings as options."""
    text = ' '.join(f'-c {name}={value}' for name, value in options.items())
    connection = psycopg2.connect(dbname=database, user=user, options=text)
    connection.autocommit = True
    return connection


def connect_patiently(database, user='postgres', **options):
    """The same, also where the server is coming back after a crash."""
    end = time.monotonic() + 60
    while True:
        try:
            return connect(database, user, **options)
        except psycopg2.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


class Control:
    """A superuser's connection that outlives crashes of the server."""

    def __init__(self, database):
        self.database = database
        self.cursor = None

    def run(self, statement):
        for last in (False, True):
            if self.cursor is None:
                self.cursor = connect_patiently(self.database, client_min_messages='error').cursor()
            try:
                return run(self.cursor, statement)
            except psycopg2.Error as error:
                if last or not is_lost(self.cursor.connection, error):
                    raise
                self.cursor = None


def run(cursor, statement):
    """Runs a statement; gives its rows, or None where it has none."""
    cursor.execute(statement)
    return cursor.fetchall() if cursor.description else None


def run_all(cursor, statements):
    for statement in statements:
        cursor.execute(statement)


def is_lost(connection, error):
    """Whether an error is the end of the connection, which is what a crash of the server looks like."""
    return connection.closed != 0 or (error.pgcode is None and isinstance(error, psycopg2.OperationalError))


class ServerLog:
    """What the server writes about itself from now on."""

    def __init__(self):
        self.path = os.path.join(os.environ['PGHOST'], 'server.log')
        self.seen = os.path.getsize(self.path)

    def lines(self, pattern):
        """The new lines with a pattern, since the last time."""
        with open(self.path, 'rb') as log:
            log.seek(self.seen)
            text = log.read()
            self.seen += len(text)
        return [line for line in text.decode(errors='replace').splitlines() if re.search(pattern, line)]

    def crashes(self):
        """Assertions that failed and processes that died since the last time."""
        return self.lines(r'^TRAP: |was terminated by signal|PANIC:  ')


def groups_of(user):
    """The groups of a user, as the table member has them."""
    return {group for group in range(1, TENANTS + 1) if (user + group) % 3 != 0}


def _columns(letter):
    return COLUMNS.format(letter=letter if letter.startswith('CASE') else f"'{letter}'")


def _tables():
    yield f"CREATE TABLE doc ({_columns('T')}, PRIMARY KEY (tenant_id, id))"
    yield f"CREATE TABLE line ({_columns('T')}, PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, id) REFERENCES doc)"
    yield f"CREATE TABLE parted ({_columns('T')}, PRIMARY KEY (tenant_id, id)) PARTITION BY LIST (tenant_id)"
    yield 'CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)'
    yield 'CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2) PARTITION BY HASH (id)'
    for part in (0, 1):
        yield f'CREATE TABLE parted_2_{part} PARTITION OF parted_2 FOR VALUES WITH (MODULUS 2, REMAINDER {part})'
    yield 'CREATE TABLE parted_rest PARTITION OF parted DEFAULT'
    yield f"CREATE TABLE ranged ({_columns('T')}) PARTITION BY RANGE (id)"
    yield 'CREATE TABLE ranged_low PARTITION OF ranged FOR VALUES FROM (MINVALUE) TO (5)'
    yield 'CREATE TABLE ranged_high PARTITION OF ranged FOR VALUES FROM (5) TO (MAXVALUE)'
    yield f"CREATE TABLE parent ({_columns('T')})"
    yield 'CREATE TABLE child () INHERITS (parent)'
    yield f"CREATE TABLE owned ({_columns('T')}, user_id bigint)"
    yield f"CREATE TABLE shared ({_columns('M')})"
    yield f"CREATE TABLE shared_parted ({_columns('M')}) PARTITION BY HASH (tenant_id)"
    for part in range(3):
        yield f'CREATE TABLE shared_parted_{part} PARTITION OF shared_parted FOR VALUES WITH (MODULUS 3, REMAINDER {part})'
    letter = "CASE WHEN is_public THEN 'P' ELSE 'T' END"
    yield f'CREATE TABLE pub (is_public boolean, {_columns(letter)})'
    for table in ('doc', 'line', 'parted', 'ranged', 'parent'):
        yield f"SELECT rls_tenant.protect('{table}')"
    yield "SELECT rls_tenant.protect('owned', access => 'user_id = rls_tenant.current_user_bigint()')"
    yield "SELECT rls_tenant.protect('shared', membership => 'tenant')"
    yield "SELECT rls_tenant.protect('shared_parted', membership => 'tenant')"
    yield "SELECT rls_tenant.protect('pub', public_read => 'is_public')"


def _rows():
    numbers = f'generate_series(1, {TENANTS}) t, generate_series(1, {ROWS}) i'
    for table in TABLES:
        extra, values = '', ''
        if table == 'owned':
            extra, values = ', user_id', f', 1 + i % {USERS}'
        if table == 'pub':
            extra, values = ', is_public', ', i % 2 = 0'
        yield f"INSERT INTO {table} (id, tenant_id, n, note{extra}) SELECT i, t, i % 3, 'note ' || i{values} FROM {numbers}"
    yield f"INSERT INTO child (id, tenant_id, n, note) SELECT {ROWS} + i, t, i % 3, 'child' FROM {numbers}"


FUNCTIONS = [
    # Called by any tenant's transactions; each keeps plans.
    "CREATE FUNCTION count_of(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM doc WHERE id <= $1'",
    """CREATE FUNCTION marks_of(int) RETURNS text LANGUAGE plpgsql STABLE AS $$
       BEGIN RETURN (SELECT string_agg(mark, ' ' ORDER BY id) FROM parted WHERE id <= $1); END $$""",
    """CREATE FUNCTION each_mark() RETURNS SETOF text LANGUAGE plpgsql AS $$
       DECLARE r record; BEGIN FOR r IN SELECT mark FROM doc ORDER BY id LOOP RETURN NEXT r.mark; END LOOP; END $$""",
    """CREATE FUNCTION member_marks(bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
       BEGIN RETURN (SELECT max(mark) FROM shared WHERE tenant_id = $1 AND rls_tenant.is_member($1)); END $$""",
    """CREATE FUNCTION notices_marks(int) RETURNS void LANGUAGE plpgsql AS $$
       DECLARE r record; BEGIN FOR r IN SELECT mark FROM doc WHERE id <= $1 LOOP RAISE NOTICE '%', r.mark; END LOOP; END $$""",
    """CREATE FUNCTION tries(statement text) RETURNS text LANGUAGE plpgsql AS $$
       BEGIN EXECUTE statement; RETURN 'done'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$""",
]


def make_roles(control):
    """The roles, which several databases share."""
    for role in (OWNER, APP, LAZY):
        run(control, f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")


def make_world(database, module=None):
    """Makes the database anew. module: a library that is loaded into sessions before rls_tenant is."""
    control = connect_patiently('postgres').cursor()
    make_roles(control)
    for (name,) in run(control, f"SELECT gid FROM pg_prepared_xacts WHERE database = '{database}'"):
        run(connect(database).cursor(), f"ROLLBACK PREPARED '{name}'")
    run(control, f'DROP DATABASE IF EXISTS {database} WITH (FORCE)')
    run(control, f'CREATE DATABASE {database}')
    for role in ('postgres', OWNER, APP, LAZY):
        libraries = [] if role == LAZY else ['rls_tenant']
        libraries += [module] if module else []
        if libraries:
            names = ', '.join(f"'{name}'" for name in libraries)
            run(control, f'ALTER ROLE {role} IN DATABASE {database} SET session_preload_libraries = {names}')
    cursor = connect(database, client_min_messages='error').cursor()
    run_all(cursor, [
        'CREATE EXTENSION rls_tenant',
        f'GRANT CREATE ON SCHEMA public TO {OWNER}, {APP}',
        "SELECT rls_tenant.exempt('public', 'member', 'a membership table')",
        'CREATE TABLE member (user_id bigint, tenant_id bigint, role text, active boolean)',
        f"""INSERT INTO member SELECT u, g, CASE WHEN g = 1 THEN 'admin' ELSE 'guest' END, true
            FROM generate_series(1, {USERS}) u, generate_series(1, {TENANTS}) g WHERE (u + g) % 3 <> 0""",
        'CREATE INDEX ON member (user_id)',
        "SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id', 'role', 'active')",
        f'SET SESSION AUTHORIZATION {OWNER}', 'BEGIN', *_tables(), *FUNCTIONS,
        'CREATE VIEW doc_view WITH (security_invoker) AS SELECT d.*, l.note AS line_note FROM doc d LEFT JOIN line l USING (tenant_id, id)',
        'CREATE VIEW shared_view WITH (security_invoker) AS SELECT * FROM shared WHERE n < 3',
        f'GRANT ALL ON {", ".join(TABLES)}, child, doc_view, shared_view TO {APP}, {LAZY}',
        f'GRANT ALL ON parted_1, parted_2, parted_2_0, ranged_low, shared_parted_0 TO {APP}, {LAZY}',
        'COMMIT', 'RESET SESSION AUTHORIZATION',
        *_rows(), 'ANALYZE'])
    return cursor


def report(number, fine, name, details=()):
    """One line of TAP, and below it what was wrong."""
    print(f"{'ok' if fine else 'not ok'} {number} - {name}")
    for detail in details:
        print(f'#   {detail}')
    sys.stdout.flush()


def seed_of(options):
    """The seed that was asked for, or a new one; it is printed, to repeat the run."""
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(3), 'big')
    print(f'# seed {seed}')
    return seed
