"""Lets each single allocation of each scenario fail once (fail_allocation.c), and looks after each failure whether the
server lives, whether the error says "out of memory", and whether the session is as safe as before: it refuses what it must
refuse, shows another tenant that tenant's rows, and does the same scenario again with the right answers.

  allocations.py MODULE [--library FILE] [--share N] [--seed S] [--only NAME] [--kind KIND]

MODULE: fail_allocation, compiled. --library: rls_tenant.so, to name lines of the source. --share: one of N allocations only,
beginning at a random one."""

import argparse
import collections
import random
import subprocess
import time

import psycopg2

import probe
import scenarios
from world import Control, ServerLog, connect_patiently, is_lost, make_world, report, run, seed_of

DATABASE = 'hard_allocations'

# What is swept: kind of allocation, whether the session has run the scenario before, whether an error is caught by a savepoint
# and the statement repeated, and the most failures in a scenario (the rest is left out evenly), or what these seconds allow.
MOST_SECONDS = 15
SWEEPS = [('ours', False, False, 500), ('ours', False, True, 500), ('ours', True, False, 300), ('ours', True, True, 300),
          ('malloc', False, False, 100), ('any', False, False, 150), ('any', True, True, 100)]


class Lost(Exception):
    """The server has closed the connection."""


class Session:
    """A session that runs one scenario."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.connection = connect_patiently(DATABASE, scenario.role)
        self.cursor = self.connection.cursor()

    def ask(self, statement):
        """Rows and SQLSTATE of a statement."""
        try:
            return run(self.cursor, statement), None
        except psycopg2.Error as error:
            if is_lost(self.connection, error):
                raise Lost(str(error)) from error
            return None, error.pgcode

    def run(self, caught=False):
        """Runs the scenario to its first error that it does not expect; gives the answers and that error. caught: sets a
        savepoint before each statement in a transaction, and tries once more what fails."""
        answers = []
        for statement in self.scenario.statements:
            must_fail = statement.startswith('!')
            statement = statement.lstrip('!')
            saved = caught and self.connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INTRANS \
                and not statement.startswith(('COMMIT', 'ROLLBACK', 'FETCH'))
            answer, state = None, None
            if saved:
                state = self.ask('SAVEPOINT before')[1]
                if state is not None:
                    return answers, state
            answer, state = self.ask(statement)
            if state == '53200' and saved:
                state = self.ask('ROLLBACK TO before')[1]
                if state is None:
                    answer, state = self.ask(statement)
            if (state is not None) != must_fail or state == '53200':
                return answers, state or 'no error'
            answers.append(state or answer)
        return answers, None

    def arm(self, number, kind):
        run(self.cursor, f"SET fail_allocation.next = '{number} {kind}'")

    def disarm(self):
        """How many allocations were seen, whether one failed, and where."""
        while True:
            self.ask('ROLLBACK')
            answer, state = self.ask('SHOW fail_allocation.next')
            if state is None:
                seen, fired, place = answer[0][0].split()
                return int(seen), fired == '1', place

    def faults(self, prepared):
        if self.scenario.migrates:
            return probe.migration(self.cursor)
        return probe.application(self.cursor, prepared=prepared)

    def close(self):
        self.connection.close()


def attempt(control, scenario, expected, kind, warm, caught, number):
    """Lets one allocation fail. Gives how many there were, whether one failed, where, and what was wrong."""
    session = Session(scenario)
    log = ServerLog()
    place = None
    try:
        prepared = warm and not scenario.migrates and 'DISCARD ALL' not in scenario.statements
        if prepared:
            probe.prepare(session.cursor)
        if warm:
            session.run()
        session.arm(number, kind)
        answers, error = session.run(caught)
        seen, fired, place = session.disarm()
        if not fired:
            return seen, False, place, []
        faults = []
        if error not in (None, '53200'):
            faults.append(f'the error is {error}')
        if error is None and answers != expected:
            faults.append(f'wrong answers: {answers}')
        scenarios.repair(control)
        faults += session.faults(prepared)
        probe.clean(session.cursor)
        run(session.cursor, 'DEALLOCATE ALL')
        again, error = session.run()
        if again != expected or error is not None:
            faults.append(f'afterwards: {error or again}')
        return seen, True, place, faults
    except (Lost, psycopg2.Error) as error:
        if isinstance(error, psycopg2.Error) and not is_lost(session.connection, error):
            return 0, True, place, [f'the probe fails: {error.pgcode} {str(error).splitlines()[0]}']
        control.run('SELECT 1')  # when it has come back, it has told why it was gone
        told = log.lines(r'^TRAP: |was terminated by signal|PANIC:  |^allocation ')
        callers = [line.split(': ', 1)[1] for line in told if line.startswith('allocation ')]
        crashes = [line for line in told if not line.startswith('allocation ')]
        # FATAL, as PostgreSQL's settings have it without memory, ends a session and harms nobody.
        return 0, True, place, [f'CRASH: {crashes[0]}, after {callers[-1:]}'] if crashes else []
    finally:
        session.close()


def source_line(library, place):
    """The line of our code that an allocation was made for."""
    if library is None or place in (None, '0x0'):
        return 'PostgreSQL'
    line = subprocess.run(['addr2line', '-e', library, hex(int(place, 16) - 1)], capture_output=True, text=True, check=False).stdout
    return line.strip().rpartition('/src/')[2] or place


def sweep(control, name, plan, share, library):
    """One scenario in one way. Gives how many failed and what was wrong."""
    kind, warm, caught, most = plan
    scenario = scenarios.ALL[name]
    scenarios.repair(control)
    session = Session(scenario)
    expected, error = session.run()
    session.close()
    assert error is None, f'scenario {name}: {error}'
    start = time.monotonic()
    total = attempt(control, scenario, expected, kind, warm, caught, 0)[0]
    most = max(1, min(most, int(MOST_SECONDS / (time.monotonic() - start))))
    step = max(1, -(-total // most)) * share
    failed, faults = 0, collections.Counter()
    first = {}
    number = 1 + (random.randrange(step) if step > 1 else 0)
    while True:
        _, fired, place, found = attempt(control, scenario, expected, kind, warm, caught, number)
        if not fired:
            break
        failed += 1
        for fault in found:
            faults[fault] += 1
            first.setdefault(fault, (number, place))
        number += step
    return failed, total, [f'{fault}: {count} times, first at allocation {first[fault][0]}, {source_line(library, first[fault][1])}'
                           for fault, count in faults.most_common(10)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('module')
    parser.add_argument('--library')
    parser.add_argument('--share', type=int, default=1)
    parser.add_argument('--seed', type=int)
    parser.add_argument('--only', help='one scenario')
    parser.add_argument('--kind', help='one kind of allocation')
    options = parser.parse_args()
    random.seed(seed_of(options))
    make_world(DATABASE, options.module)
    control = Control(DATABASE)
    number = all_failed = 0
    for name in scenarios.ALL:
        if options.only not in (None, name):
            continue
        for plan in [plan for plan in SWEEPS if options.kind in (None, plan[0])]:
            start = time.monotonic()
            failed, total, faults = sweep(control, name, plan, options.share, options.library)
            number += 1
            all_failed += failed
            kind, warm, caught, _ = plan
            way = f"{'warm' if warm else 'cold'}, {'caught' if caught else 'not caught'}"
            report(number, not faults, f'{name}, {kind}, {way}: {failed} of {total} allocations failed, {time.monotonic() - start:.0f} s',
                   faults)
    print(f'# {all_failed} allocations failed in all')


if __name__ == '__main__':
    main()
