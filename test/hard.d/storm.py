"""Sessions run the scenarios while something interrupts them at random moments, and others change what their caches hold.
After each interruption the session must be as safe as before, and what is not interrupted must give the right answers.

  storm.py cancel|terminate|locks [--seconds N] [--workers N] [--seed S]

cancel and terminate send what their names say; locks holds locks on catalogs and tables, so that statements run out of
lock_timeout. The seed repeats what is done, not the moments at which it happens."""

import argparse
import collections
import random
import threading
import time

import psycopg2

import probe
import scenarios
from world import Control, ServerLog, connect_patiently, is_lost, make_world, report, run, seed_of

DATABASE = 'hard_storm'

# What an interruption is allowed to look like: cancelled, out of lock_timeout, a deadlock; terminated.
INTERRUPTED = {'57014', '55P03', '40P01'}
TERMINATED = {'57P01'}
# What sessions that write the same row, or run the same for_each_tenant() at once, may get.
CONTENDED = {'23505', '55000'}

# What makes sessions look up again what they keep.
STIRS = [
    'GRANT EXECUTE ON FUNCTION rls_tenant.tenant_setting() TO postgres', 'REVOKE EXECUTE ON FUNCTION rls_tenant.tenant_setting() FROM postgres',
    "COMMENT ON FUNCTION rls_tenant.is_member(bigint, text) IS 'x'", 'ALTER TABLE doc ALTER note SET STATISTICS 10',
    'ALTER FUNCTION rls_tenant.is_member(bigint, text) COST 100', 'UPDATE member SET role = role WHERE user_id = 2', 'ANALYZE parted',
    'GRANT USAGE ON SCHEMA rls_tenant TO postgres', "SELECT rls_tenant.protect('shared', membership => 'tenant')",
]
LOCKED = ['pg_proc', 'pg_namespace', 'pg_class', 'pg_policy', 'pg_attribute', 'pg_index', 'member', 'doc', 'parted_2',
          'rls_tenant.membership_source', 'rls_tenant.exemption']


class Storm:
    def __init__(self, options):
        self.options = options
        self.end = time.monotonic() + options.seconds
        self.counts = collections.Counter()
        self.faults = collections.Counter()
        self.targets = {}  # process ids of the sessions that may be interrupted now
        self.mutex = threading.Lock()
        self.expected = {}

    def count(self, what):
        with self.mutex:
            self.counts[what] += 1

    def fault(self, what):
        with self.mutex:
            self.faults[what] += 1

    def learn_answers(self):
        """What each scenario answers in peace."""
        for name, scenario in scenarios.ALL.items():
            cursor = connect_patiently(DATABASE, scenario.role).cursor()
            self.expected[name] = [self.answer(cursor, statement)[0] for statement in scenario.statements]
            cursor.connection.close()

    @staticmethod
    def answer(cursor, statement):
        """The rows of a statement, or the SQLSTATE if it must fail; and the error, if it is another one."""
        must_fail = statement.startswith('!')
        try:
            rows = run(cursor, statement.lstrip('!'))
        except psycopg2.Error as error:
            if must_fail and error.pgcode not in INTERRUPTED | TERMINATED and not is_lost(cursor.connection, error):
                return error.pgcode, None
            return None, error
        return ('no error' if must_fail else rows), None

    def running(self):
        return time.monotonic() < self.end


class Worker(threading.Thread):
    """One client, with one session after the other."""

    def __init__(self, storm, number):
        super().__init__()
        self.storm = storm
        self.number = number
        self.random = random.Random(f'{storm.seed} {number}')
        # One client makes tables (two would make the same), the others are the application.
        self.scenarios = scenarios.MIGRATION if number == 0 else scenarios.APPLICATION
        self.control = Control(DATABASE)
        self.connection = None

    def run(self):
        while self.storm.running():
            name = self.random.choice(list(self.scenarios))
            try:
                self.session(name)
            except psycopg2.Error:
                self.lost()

    def session(self, name):
        """Runs scenarios of one role in one session, beginning with this one, until it ends."""
        role = self.scenarios[name].role
        options = {'lock_timeout': '20ms'} if self.storm.options.kind == 'locks' else {'lock_timeout': '5s'}
        self.connection = connect_patiently(DATABASE, role, **options)
        if self.scenarios is scenarios.MIGRATION:
            scenarios.repair(self.control)
        cursor = self.connection.cursor()
        same_role = [other for other, scenario in self.scenarios.items() if scenario.role == role]
        for _ in range(self.random.randint(1, 30)):
            if not self.storm.running():
                break
            self.storm.targets[self.number] = self.connection.info.backend_pid
            interrupted = self.scenario(cursor, name)
            self.storm.targets.pop(self.number, None)
            if interrupted:
                self.look(cursor, name)
            name = self.random.choice(same_role)
        self.connection.close()

    def scenario(self, cursor, name):
        """Runs a scenario; whether it was interrupted."""
        answers = []
        for statement in self.scenarios[name].statements:
            answer, error = self.storm.answer(cursor, statement)
            if error is not None:
                if is_lost(cursor.connection, error):
                    raise error
                if error.pgcode in INTERRUPTED:
                    self.storm.count('interrupted')
                elif error.pgcode not in CONTENDED:
                    self.storm.fault(f'{name}: {error.pgcode} {str(error).splitlines()[0]}')
                return True
            answers.append(answer)
        self.storm.count('scenarios')
        if answers != self.storm.expected[name]:
            self.storm.fault(f'{name}: wrong answers {answers}')
        return False

    def look(self, cursor, name):
        """Probes the session, again if an interruption came late, or others hold locks."""
        if self.scenarios is scenarios.MIGRATION:
            run(cursor, 'ROLLBACK')
            scenarios.repair(self.control)
        for _ in range(20):
            try:
                faults = probe.migration(cursor) if self.scenarios is scenarios.MIGRATION else probe.application(cursor)
                # What two sessions see of rows that a third one writes is not a fault.
                for fault in faults:
                    if not any(f'refused as {code}' in fault for code in INTERRUPTED):
                        self.storm.fault(f'after {name}: {fault}')
                run(cursor, 'DEALLOCATE ALL')
                self.storm.count('probed')
                return
            except psycopg2.Error as error:
                if is_lost(cursor.connection, error):
                    raise
                if error.pgcode not in INTERRUPTED:
                    self.storm.fault(f'after {name}: {error.pgcode} {str(error).splitlines()[0]}')
                    run(cursor, 'ROLLBACK')
                    return
                time.sleep(0.02)

    def lost(self):
        """The connection has ended: as it should, or by a crash, which the server's log tells."""
        self.storm.targets.pop(self.number, None)
        self.storm.count('lost connections')
        if self.connection is not None:
            self.connection.close()


class Weather(threading.Thread):
    """What interrupts the workers."""

    def __init__(self, storm):
        super().__init__()
        self.storm = storm
        self.random = random.Random(f'{storm.seed} weather')
        self.control = Control(DATABASE)

    def run(self):
        while self.storm.running():
            try:
                self.blow()
            except psycopg2.Error as error:
                if error.pgcode not in INTERRUPTED | {'XX000'}:
                    self.storm.fault(f'weather: {error.pgcode} {error}')
                self.control.cursor = None

    def blow(self):
        kind = self.storm.options.kind
        if self.random.random() < 0.15:
            self.control.run("SET lock_timeout = '100ms'")
            self.control.run(self.random.choice(STIRS))
        if kind == 'locks':
            self.control.run('BEGIN')
            self.control.run("SET LOCAL lock_timeout = '100ms'")
            self.control.run(f'LOCK TABLE {self.random.choice(LOCKED)} IN ACCESS EXCLUSIVE MODE')
            self.storm.count('locks')
            time.sleep(self.random.uniform(0.015, 0.045))
            self.control.run('ROLLBACK')
            time.sleep(self.random.uniform(0.0, 0.03))
            return
        time.sleep(self.random.choice((self.random.uniform(0, 0.002), self.random.uniform(0, 0.03))))
        targets = list(self.storm.targets.values())
        if targets:
            self.control.run(f'SELECT pg_{kind}_backend({self.random.choice(targets)})')
            self.storm.count(f'pg_{kind}_backend()')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('kind', choices=('cancel', 'terminate', 'locks'))
    parser.add_argument('--seconds', type=float, default=120)
    parser.add_argument('--workers', type=int, default=5)
    parser.add_argument('--seed', type=int)
    storm = Storm(parser.parse_args())
    storm.seed = seed_of(storm.options)
    make_world(DATABASE)
    storm.learn_answers()
    log = ServerLog()
    storm.end = time.monotonic() + storm.options.seconds
    threads = [Worker(storm, number) for number in range(storm.options.workers)] + [Weather(storm)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(storm.options.seconds + 120)
    if any(thread.is_alive() for thread in threads):
        storm.fault('a session hangs')
    for crash in log.crashes():
        storm.fault(f'CRASH: {crash}')
    if storm.options.kind != 'terminate' and storm.counts['lost connections'] > 0:
        storm.fault('connections are lost')
    counts = ', '.join(f'{count} {what}' for what, count in sorted(storm.counts.items()))
    report(1, not storm.faults, f'a storm of {storm.options.kind}: {counts}',
           [f'{count} times: {fault}' for fault, count in storm.faults.most_common(30)])


if __name__ == '__main__':
    main()
