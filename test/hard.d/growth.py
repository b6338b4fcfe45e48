"""What must not grow: a session's memory when membership lookups are cancelled, when transactions come and go, and when all
kinds of statements fail; and the time of a statement with the number of open cursors.

  growth.py [--rounds N] [--seed S]"""

import argparse
import random
import time

import psycopg2

from world import APP, connect, make_world, report, run, seed_of

DATABASE = 'hard_growth'
GROUPS = 400_000  # of one user: a lookup of some tens of megabytes


def resident(cursor):
    """The memory of a session's process, in bytes."""
    with open(f'/proc/{cursor.connection.info.backend_pid}/status', encoding='ascii') as status:
        for line in status:
            if line.startswith('RssAnon:'):
                return int(line.split()[1]) * 1024
    raise LookupError('RssAnon')


def transaction(cursor, tenant, user, *statements):
    run(cursor, 'BEGIN')
    try:
        run(cursor, f'SELECT rls_tenant.set_context({tenant}, NULL, {user})')
        for statement in statements:
            run(cursor, statement)
        run(cursor, 'COMMIT')
    except psycopg2.Error:
        run(cursor, 'ROLLBACK')
        raise


def cancelled_lookups(cursor, rounds):
    """Lookups of a user of many groups, each cancelled at another moment."""
    lookup = 'SELECT rls_tenant.is_member(5::bigint)'
    run(cursor, 'SET rls_tenant.membership_cache_size = 0')
    start = time.monotonic()
    transaction(cursor, 1, 1000, lookup)
    whole = time.monotonic() - start
    before = resident(cursor)
    cancelled = 0
    for _ in range(rounds):
        milliseconds = max(1, int(1000 * whole * random.uniform(0.3, 1)))
        run(cursor, f'SET statement_timeout = {milliseconds}')
        try:
            transaction(cursor, 1, 1000, lookup)
        except psycopg2.errors.QueryCanceled:
            cancelled += 1
        run(cursor, 'SET statement_timeout = 0')
    grown = resident(cursor) - before
    return grown < 64 << 20, f'{cancelled} lookups of {GROUPS} groups are cancelled: {grown >> 20} MB more'


def steady(cursor, rounds):
    """Transactions of several tenants, of which some fail."""
    tries = ['SELECT max(mark) FROM doc', 'SELECT max(mark) FROM shared', 'SELECT marks_of(5)', 'SELECT rls_tenant.is_member(1::bigint)',
             'INSERT INTO doc (id, tenant_id) VALUES (1000, 77)', 'SELECT 1 / 0 FROM parted', 'SELECT member_marks(1)',
             'SELECT count(*) FROM pub', 'SELECT rls_tenant.set_context(99)', "SELECT rls_tenant.set_context('x' || repeat('y', 300))"]

    def some(count):
        for i in range(count):
            try:
                transaction(cursor, 1 + i % 4, 1 + i % 6, tries[i % len(tries)])
            except psycopg2.Error:
                pass

    some(rounds // 4)
    before = resident(cursor)
    some(rounds)
    grown = resident(cursor) - before
    return grown < 4 << 20, f'{rounds} transactions, of which some fail: {grown >> 10} kB more'


def open_cursors(cursor):
    """The time of SELECT 1 with few and with many open cursors over tenants' rows."""
    def best():
        times = []
        for _ in range(20):
            start = time.perf_counter()
            run(cursor, 'SELECT 1')
            times.append(time.perf_counter() - start)
        return min(times)

    run(cursor, 'BEGIN')
    run(cursor, 'SELECT rls_tenant.set_context(1)')
    few = best()
    for i in range(1500):
        run(cursor, f'DECLARE c{i} CURSOR FOR SELECT mark FROM doc')
    many = best()
    run(cursor, 'ROLLBACK')
    return many < 5 * few + 0.0002, f'SELECT 1 takes {few * 1e6:.0f} us, and {many * 1e6:.0f} us with 1500 open cursors'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=20_000)
    parser.add_argument('--seed', type=int)
    options = parser.parse_args()
    random.seed(seed_of(options))
    control = make_world(DATABASE)
    run(control, f"INSERT INTO member SELECT 1000, g, 'guest', true FROM generate_series(1, {GROUPS}) g")
    run(control, 'ANALYZE member')
    checks = [lambda cursor: cancelled_lookups(cursor, 40), lambda cursor: steady(cursor, options.rounds), open_cursors]
    for number, check in enumerate(checks, 1):
        cursor = connect(DATABASE, APP).cursor()
        report(number, *check(cursor))
        cursor.connection.close()


if __name__ == '__main__':
    main()
