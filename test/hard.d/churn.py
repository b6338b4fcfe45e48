"""Audits, faults and membership checks while other sessions make, change and drop the same relations: what disappears under
them is told as an error, or is not there; nothing crashes, and no error is an internal one.

  churn.py [--seconds N] [--seed S]"""

import argparse
import collections
import random
import threading
import time

import psycopg2

from ddl import Walk
from world import APP, ServerLog, connect_patiently, is_lost, make_world, report, run, seed_of

DATABASE = 'hard_churn'
WALKERS = 2

# What may happen to somebody who looks at what others drop: it is gone, or locked.
GONE = {'42P01', '42501', '42704', '42703', '42883', '3F000', '55P03', '40P01', '57014', '55000'}
# PostgreSQL's own, when two sessions change one row of a catalog.
CONCURRENT = ('tuple concurrently updated', 'tuple concurrently deleted')


class Churn:
    def __init__(self, options):
        self.options = options
        self.end = 0.0
        self.counts = collections.Counter()
        self.faults = collections.Counter()
        self.mutex = threading.Lock()

    def count(self, what):
        with self.mutex:
            self.counts[what] += 1

    def fault(self, what):
        with self.mutex:
            self.faults[what] += 1

    def running(self):
        return time.monotonic() < self.end


class Session(threading.Thread):
    """A client that goes on after crashes."""

    user = 'postgres'
    what = None

    def __init__(self, churn, number):
        super().__init__()
        self.churn = churn
        self.random = random.Random(f'{churn.seed} {self.what} {number}')
        self.cursor = None

    def run(self):
        while self.churn.running():
            try:
                if self.cursor is None:
                    self.cursor = connect_patiently(DATABASE, self.user, lock_timeout='2s', client_min_messages='error').cursor()
                self.act_once()
            except psycopg2.Error:  # the end of the connection; why, the server's log tells
                self.churn.count('lost connections')
                self.cursor = None

    def act_once(self):
        try:
            self.act()
            self.churn.count(self.what)
        except psycopg2.Error as error:
            if is_lost(self.cursor.connection, error):
                raise
            self.failed(error)
            self.ask('ROLLBACK')

    def ask(self, statement):
        """Runs a statement; an error of the walk, which knows little of what is there, is none of ours."""
        try:
            return run(self.cursor, statement)
        except psycopg2.Error as error:
            if is_lost(self.cursor.connection, error):
                raise
            self.judge(statement, error)
            return None

    def judge(self, statement, error):
        message = str(error).splitlines()[0]
        internal = (error.pgcode or '').startswith('XX') and not any(known in message for known in CONCURRENT)
        if internal:
            self.churn.fault(f'{error.pgcode} {message} ({error.diag.source_function}), by {statement}')

    def failed(self, error):
        self.churn.fault(f'{self.what}: {error.pgcode} {str(error).splitlines()[0]}')


class Walker(Session):
    """Makes, changes and drops."""

    what = 'transactions of DDL'

    def __init__(self, churn, number):
        super().__init__(churn, number)
        self.walk = Walk(self.random, number)
        self.ready = False

    def act(self):
        if not self.ready:
            for statement in self.walk.setup():
                self.ask(statement)
            self.ready = True
        steps = self.walk.transaction()
        self.ask('BEGIN')
        for step in steps:
            self.ask('SAVEPOINT step')
            if any(self.ask(statement) is None and self.in_error() for statement in step):
                self.ask('ROLLBACK TO step')
        self.ask('COMMIT')
        if self.cursor.connection.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE:
            self.ask('ROLLBACK')

    def in_error(self):
        return self.cursor.connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INERROR


class Auditor(Session):
    """Asks about what is there."""

    what = 'audits'

    def act(self):
        relations = run(self.cursor, "SELECT oid FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'churn%' AND relkind IN ('r', 'p', 'v', 'm')")
        relation = self.random.choice(relations)[0] if relations else 0
        statement = self.random.choice((
            'SELECT count(*) FROM rls_tenant.audit()', 'SELECT count(*) FROM rls_tenant.relation_findings()',
            'SELECT count(*) FROM rls_tenant.relation_findings()', 'SELECT count(*) FROM rls_tenant.audited_tables()',
            'SELECT count(*) FROM rls_tenant.tenant_tables()', 'SELECT count(*) FROM rls_tenant.membership_sources()',
            f'SELECT count(*) FROM rls_tenant.table_faults({relation})', f'SELECT count(*) FROM rls_tenant.table_faults({relation})',
            f'SELECT count(*) FROM rls_tenant.protect_sql({relation})', f"SELECT count(*) FROM rls_tenant.explain_access({relation}, 'id = 1')",
            'SELECT count(*) FROM rls_tenant.status()', 'BEGIN; SELECT rls_tenant.baseline(); ROLLBACK'))
        try:
            run(self.cursor, statement)
        except psycopg2.Error as error:
            # A relation that is a view, say, may be refused; an oid that is no more is told as one.
            if is_lost(self.cursor.connection, error):
                raise
            self.judge(statement, error)
            run(self.cursor, 'ROLLBACK')


class Member(Session):
    """Asks memberships whose sources come and go."""

    user = APP
    what = 'membership checks'

    def act(self):
        source = f'churn_{self.random.randrange(WALKERS)}'
        run(self.cursor, 'BEGIN')
        run(self.cursor, 'SELECT rls_tenant.set_context(1, NULL, 1)')
        run(self.cursor, f'SET LOCAL rls_tenant.membership_cache_size = {self.random.choice((0, 1024))}')
        run(self.cursor, f"SELECT rls_tenant.is_member(5::bigint, '{source}'), rls_tenant.is_member(6::bigint, '{source}')")
        run(self.cursor, f"SELECT cardinality(rls_tenant.member_groups_bigint('{source}'))")
        run(self.cursor, 'COMMIT')

    def failed(self, error):
        if error.pgcode not in GONE:
            super().failed(error)


class Pair(Session):
    """Two sessions protect one table at the same time: both are content."""

    what = 'pairs of protect()'

    def act(self):
        run(self.cursor, 'BEGIN')
        run(self.cursor, "SELECT rls_tenant.exempt('public', 'pair', 'a test')")
        run(self.cursor, 'DROP TABLE IF EXISTS pair')
        run(self.cursor, 'CREATE TABLE pair (id int, tenant_id bigint)')
        run(self.cursor, 'COMMIT')
        start = threading.Barrier(2)

        def protect(cursor):
            start.wait()
            for _ in range(2):
                try:
                    run(cursor, "SELECT rls_tenant.protect('pair')")
                except psycopg2.Error as error:
                    if not is_lost(cursor.connection, error) and error.pgcode not in ('40P01', '55P03'):
                        self.churn.fault(f'protect() beside protect(): {error.pgcode} {str(error).splitlines()[0]}')

        second = connect_patiently(DATABASE, lock_timeout='5s', client_min_messages='error').cursor()
        other = threading.Thread(target=protect, args=(second,))
        other.start()
        protect(self.cursor)
        other.join()
        second.connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seconds', type=float, default=120)
    parser.add_argument('--seed', type=int)
    churn = Churn(parser.parse_args())
    churn.seed = seed_of(churn.options)
    make_world(DATABASE)
    log = ServerLog()
    churn.end = time.monotonic() + churn.options.seconds
    threads = [Walker(churn, number) for number in range(WALKERS)] + [Auditor(churn, number) for number in range(2)]
    threads += [Member(churn, 0), Pair(churn, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(churn.options.seconds + 120)
    if any(thread.is_alive() for thread in threads):
        churn.fault('a session hangs')
    for crash in log.crashes():
        churn.fault(f'CRASH: {crash}')
    counts = ', '.join(f'{count} {what}' for what, count in sorted(churn.counts.items()))
    report(1, not churn.faults, f'churn: {counts}', [f'{count} times: {fault}' for fault, count in churn.faults.most_common(40)])


if __name__ == '__main__':
    main()
