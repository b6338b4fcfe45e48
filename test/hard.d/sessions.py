"""Random statements of several tenants, through a pool of sessions that are handed on with all that they keep: prepared
statements, functions' plans, cursors, roles and settings. Whatever comes back (rows, notices, errors, plans) must tell of no row
but those of the context's tenant, the groups of its user, and public ones; each row carries a mark that says whose it is. Other
sessions change tables, memberships and functions in between. All runs in one thread: a seed repeats a run.

  sessions.py [--statements N] [--seed S] [--without-immutable]

--without-immutable leaves out functions that are labelled IMMUTABLE, and are not."""

import argparse
import collections
import io
import random
import time

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INERROR

import statements
from world import APP, LAZY, MARK, OWNER, TABLES, Control, ServerLog, connect_patiently, groups_of, is_lost, make_world, report, run, seed_of

DATABASE = 'hard_sessions'
LOOSE, PINNED = 'hard_loose', 'hard_pinned'  # may change its tenant in a transaction; may not change it at all
PINNED_TO = (3, 3)
POOL = [APP, APP, APP, LAZY, LOOSE, PINNED]

# PostgreSQL's own internal errors beside other sessions' DDL, or of a query of these kinds without us, too.
KNOWN = ('tuple concurrently updated', 'tuple concurrently deleted', 'could not find inherited attribute')


class Pool:
    """All sessions, what they have found, and what was run last."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.make = statements.Statements(self.random)
        self.counts = collections.Counter()
        self.errors = collections.Counter()
        self.faults = []
        self.control = Control(DATABASE)
        self.clients = []

    def administer(self):
        self.counts['statements of a superuser'] += 1
        try:
            self.control.run("SET lock_timeout = '50ms'")
            self.control.run(self.make.administration())
        except psycopg2.Error as error:
            self.errors[f'superuser: {error.pgcode}'] += 1
            self.control.run('ROLLBACK')

    def step(self):
        if self.random.random() < 0.03:
            self.administer()
        self.random.choice(self.clients).act()


class Client:
    def __init__(self, pool, role):
        self.pool = pool
        self.role = role
        self.random = pool.random
        self.make = pool.make
        self.log = collections.deque(maxlen=40)
        self.prepared_transactions = 0
        self.rows = []  # of the last statement
        self.open()

    def open(self):
        self.connection = connect_patiently(DATABASE, self.role, lock_timeout='50ms', statement_timeout='10s')
        self.cursor = self.connection.cursor()
        self.prepared, self.cursors, self.savepoints = {}, [], []  # prepared: with their statements
        self.context = None
        self.log.clear()

    # --- The oracle

    def check(self, text, contexts):
        """Looks for rows that none of these contexts may see."""
        for letter, number in MARK.findall(text):
            number = int(number)
            if letter == 'P':
                continue
            if any(number == tenant if letter == 'T' else number in groups_of(user) if user else False for tenant, user in contexts):
                continue
            self.fault(f'FOREIGN ROW {letter}{number}# for {contexts}')
            return
        if 'FOREIGN ROW' in text:
            self.fault(text)

    def fault(self, what):
        last = [self.prepared.get(text.split()[1].split('(')[0], '?') for text in list(self.log)[-1:] if text.startswith('EXECUTE ')]
        self.pool.faults.append((self.role, what, [*self.log, *last]))

    def seen(self):
        """Whose rows may be seen now."""
        if self.role == PINNED:
            return [PINNED_TO]
        return [self.context] if self.context else []

    def execute(self, statement, contexts=None):
        """Runs a statement and looks at all that comes back; gives whether it succeeded."""
        contexts = self.seen() if contexts is None else contexts
        self.log.append(statement)
        self.pool.counts['statements'] += 1
        del self.connection.notices[:]
        try:
            if statement.startswith('COPY'):
                output = io.StringIO()
                self.cursor.copy_expert(statement, output)
                self.check(output.getvalue(), contexts)
            else:
                self.rows = run(self.cursor, statement) or []
                self.pool.counts['rows'] += len(self.rows)
                self.check(str(self.rows), contexts)
        except psycopg2.Error as error:
            if is_lost(self.connection, error):
                self.fault(f'the connection is lost: {error}')
                self.open()
                return False
            self.pool.errors[error.pgcode] += 1
            text = str(error)
            self.check(f'{text} {error.diag.message_detail} {error.diag.context}', contexts)
            if error.pgcode.startswith('XX') and not any(known in text for known in KNOWN):
                self.fault(f'{error.pgcode} {text.splitlines()[0]} ({error.diag.source_function})')
            return False
        finally:
            self.check(' '.join(self.connection.notices), contexts)
        return True

    # --- What a session does

    def act(self):
        status = self.connection.info.transaction_status
        if status == TRANSACTION_STATUS_INERROR:
            self.recover()
        elif status == TRANSACTION_STATUS_IDLE:
            self.context, self.savepoints = None, []
            self.cursors = [name for name in self.cursors if name.startswith('held')]
            self.idle()
        else:
            self.transaction()

    def recover(self):
        if self.savepoints and self.random.random() < 0.5:
            self.roll_back_to()
        else:
            self.execute('ROLLBACK')

    def roll_back_to(self):
        place = self.random.randrange(len(self.savepoints))
        name, context = self.savepoints[place]
        if self.execute(f'ROLLBACK TO {name}'):
            self.savepoints = self.savepoints[:place + 1]
            self.context = context
        else:
            self.execute('ROLLBACK')

    def idle(self):
        """Between transactions: mostly another one begins, of any tenant."""
        way = self.random.random()
        if way < 0.8:
            level = self.make.pick('', '', '', ' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE', ' READ ONLY')
            if self.execute('BEGIN' + level) and self.random.random() < 0.95:
                self.set_context()
        elif way < 0.86:
            self.execute(self.make.query())  # without a context
        elif way < 0.9 and self.prepared:
            self.execute(f'EXECUTE {self.random.choice(list(self.prepared))}(1)')
        elif way < 0.92 and self.cursors:
            self.execute(f'FETCH 3 FROM {self.random.choice(self.cursors)}')
        elif way < 0.94:
            self.execute('CALL each_tenant(0)', [])
        elif way < 0.95:
            self.execute("CALL rls_tenant.for_each_tenant('SELECT generate_series(1, 4)', 'UPDATE doc SET note = note WHERE id < 3')", [])
        elif way < 0.96 and self.prepared_transactions:
            self.end_prepared()
        elif way < 0.97:
            self.execute(self.make.setting().replace('LOCAL ', ''))
        elif way < 0.98:
            self.execute(self.make.pick('RESET ALL', 'DISCARD PLANS', 'DISCARD TEMP', 'RESET ROLE', f'SET ROLE {OWNER}'))
        elif way < 0.985:
            if self.execute(self.make.pick('DISCARD ALL', 'DEALLOCATE ALL')):
                self.prepared, self.cursors = {}, []
        elif way < 0.99:
            self.connection.close()
            self.open()

    def set_context(self):
        tenant, user = self.make.tenant(), self.make.user()
        if self.role == PINNED and self.random.random() < 0.7:
            tenant, user = PINNED_TO
        if self.random.random() < 0.2:
            done = self.execute(f"SET LOCAL rls_tenant.tenant_id = '{tenant}'") and self.execute(f"SET LOCAL rls_tenant.user_id = '{user}'")
        else:
            done = self.execute(f'SELECT rls_tenant.set_context({tenant}, NULL, {user})')
        if done:
            self.context = (tenant, user)
        elif self.connection.info.transaction_status != TRANSACTION_STATUS_INERROR:
            self.resync()

    def resync(self):
        """Asks what the context is, after what may have changed it in part."""
        if self.execute("SELECT current_setting('rls_tenant.tenant_id', true), current_setting('rls_tenant.user_id', true)"):
            tenant, user = self.rows[0]
            self.context = (int(tenant), int(user) if user else None) if tenant else None

    def transaction(self):
        step = self.random.choices(list(STEPS), [weight for weight in STEPS.values()])[0]
        step(self)

    def read(self):
        self.execute(self.make.query())

    def write(self):
        self.execute(self.make.write(self.context[0] if self.context else 1))

    def block(self):
        self.execute(self.make.block())

    def explain(self):
        self.execute(f'EXPLAIN {self.make.pick("", "(ANALYZE, VERBOSE, COSTS off) ")}{self.make.query()}')

    def copy(self):
        query = self.make.query()
        self.execute(self.make.pick(f'COPY ({query}) TO STDOUT', f'COPY {self.random.choice(list(TABLES))} (id, mark) TO STDOUT'))

    def prepare(self):
        name = f'p{self.random.randrange(12)}'
        if name in self.prepared:
            self.execute(f'DEALLOCATE {name}')
            del self.prepared[name]
        statement = f'PREPARE {name} (int) AS {self.make.query("$1")}'
        if self.execute(statement):
            self.prepared[name] = statement

    def run_prepared(self):
        if self.prepared:
            for _ in range(self.make.pick(1, 1, 6)):
                if not self.execute(f'EXECUTE {self.random.choice(list(self.prepared))}({self.make.number()})'):
                    break

    def declare(self):
        held = self.random.random() < 0.2
        name = f'{"held" if held else "c"}{self.random.randrange(5)}'
        scroll = self.make.pick('', 'SCROLL ', 'NO SCROLL ')
        if self.execute(f'DECLARE {name} {scroll}CURSOR {"WITH HOLD " if held else ""}FOR {self.make.query()}'):
            self.cursors.append(name)

    def fetch(self):
        if self.cursors:
            self.execute(f'{self.make.pick("FETCH", "FETCH", "MOVE")} {self.make.pick("1", "5", "ALL", "BACKWARD 2")} FROM {self.random.choice(self.cursors)}')

    def savepoint(self):
        name = f's{len(self.savepoints)}'
        if self.execute(f'SAVEPOINT {name}'):
            self.savepoints.append((name, self.context))

    def undo(self):
        if self.savepoints:
            if self.random.random() < 0.6:
                self.roll_back_to()
            else:
                name, _ = self.savepoints[-1]
                if self.execute(f'RELEASE {name}'):
                    self.savepoints.pop()

    def change_role(self):
        self.execute(self.make.pick(f'SET LOCAL ROLE {OWNER}', f'SET ROLE {OWNER}', 'RESET ROLE', 'SET LOCAL ROLE NONE'))

    def change_setting(self):
        self.execute(self.make.setting())

    def switch_within(self):
        """A statement that sets another tenant while it runs, as an injected one would."""
        tenant = self.make.tenant()
        contexts = self.seen() + ([(tenant, self.context[1] if self.context else None)] if self.role != PINNED else [])
        change = f"set_config('rls_tenant.tenant_id', '{tenant}', true)"
        text = self.make.pick(f'SELECT {change}, mark FROM doc', f'SELECT (SELECT max(mark) FROM parted) FROM {change}',
                              f"SELECT tries('SELECT rls_tenant.set_context({tenant})'), max(mark) FROM doc",
                              f'DO $$ BEGIN PERFORM {change}; PERFORM notices_marks(2); EXCEPTION WHEN OTHERS THEN NULL; END $$')
        if self.execute(text, contexts):
            self.resync()

    def look_around(self):
        self.execute(self.make.pick('SELECT * FROM rls_tenant.explain_context()', "SELECT * FROM pg_stats WHERE tablename IN ('doc', 'parted', 'shared')",
                                    'SELECT * FROM rls_tenant.current_context()', 'SELECT * FROM rls_tenant.membership_cache()',
                                    'SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()', 'SELECT notices_marks(4)',
                                    'SELECT * FROM each_mark()', f'CREATE TEMP TABLE t ON COMMIT DROP AS {self.make.query()}'))

    def end(self):
        way = self.random.random()
        if way < 0.05:
            name = f'{self.role}_{self.random.randrange(10**9)}'
            if self.execute(f"PREPARE TRANSACTION '{name}'"):
                self.prepared_transactions += 1
        else:
            self.execute(self.make.pick('COMMIT', 'COMMIT', 'ROLLBACK', 'COMMIT AND CHAIN'))
            if self.connection.info.transaction_status not in (TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INERROR):
                self.context, self.savepoints, self.cursors = None, [], []  # of the chained transaction

    def end_prepared(self):
        for (name,) in self.pool.control.run('SELECT gid FROM pg_prepared_xacts'):
            self.pool.control.run(f"{self.make.pick('COMMIT', 'ROLLBACK')} PREPARED '{name}'")
        self.prepared_transactions = 0


# What a transaction does, and how often.
STEPS = {Client.read: 30, Client.write: 16, Client.run_prepared: 12, Client.prepare: 5, Client.declare: 4, Client.fetch: 6, Client.block: 4,
         Client.explain: 2, Client.copy: 2, Client.savepoint: 4, Client.undo: 4, Client.set_context: 2, Client.switch_within: 2,
         Client.change_role: 1, Client.change_setting: 4, Client.look_around: 3, Client.end: 10}


def set_up():
    cursor = make_world(DATABASE)
    for role, settings in ((LOOSE, ['rls_tenant.one_tenant_per_transaction = off', "rls_tenant.missing_context = 'null'"]),
                           (PINNED, [f"rls_tenant.tenant_id = '{PINNED_TO[0]}'", f"rls_tenant.user_id = '{PINNED_TO[1]}'"])):
        run(cursor, f'DO $$ BEGIN CREATE ROLE {role} LOGIN IN ROLE {APP}; EXCEPTION WHEN duplicate_object THEN NULL; END $$')
        for setting in ["session_preload_libraries = 'rls_tenant'", *settings]:
            run(cursor, f'ALTER ROLE {role} IN DATABASE {DATABASE} SET {setting}')
    run(cursor, f'GRANT {OWNER} TO {APP}, {LAZY}')
    statements.make(cursor, run)
    cursor.connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--statements', type=int, default=200_000)
    parser.add_argument('--seed', type=int)
    parser.add_argument('--without-immutable', action='store_true')
    options = parser.parse_args()
    pool = Pool(seed_of(options))
    pool.make.immutable = not options.without_immutable
    set_up()
    log = ServerLog()
    pool.clients = [Client(pool, role) for role in POOL]
    start = time.monotonic()
    while pool.counts['statements'] < options.statements and len(pool.faults) < 20:
        pool.step()
    crashes = log.crashes()
    counts = ', '.join(f'{count} {what}' for what, count in pool.counts.items())
    report(1, not crashes, f'no crash: {counts}, {time.monotonic() - start:.0f} s', crashes)
    foreign = [fault for fault in pool.faults if 'FOREIGN' in fault[1]]
    internal = [fault for fault in pool.faults if 'FOREIGN' not in fault[1]]
    for number, (name, faults) in enumerate((('no foreign row', foreign), ('no internal error', internal)), 2):
        report(number, not faults, f'{name}: {len(faults)}',
               [line for role, what, last in faults[:5] for line in (f'{role}: {what}, after', *(f'    {text};' for text in last))])
    print('# errors: ' + ', '.join(f'{code} {count}' for code, count in pool.errors.most_common(25)))


if __name__ == '__main__':
    main()
