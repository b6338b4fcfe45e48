"""sqlsmith: random queries of all that a database has, against the tables of the world, as the application's role, for a
tenant that is set for the role. It looks for crashes and internal errors only.

  smith.py [--queries N] [--seed S]"""

import argparse
import os
import subprocess
import time

import statements
from world import APP, ServerLog, make_world, report, run, seed_of

DATABASE = 'hard_smith'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--queries', type=int, default=20_000)
    parser.add_argument('--seed', type=int)
    options = parser.parse_args()
    seed = seed_of(options)
    cursor = make_world(DATABASE)
    statements.make(cursor, run)
    # A connection option would be refused, and sqlsmith sets nothing. It may ask a lot of a query.
    for setting in ("rls_tenant.tenant_id = '2'", "rls_tenant.user_id = '2'", "statement_timeout = '1s'", "log_min_messages = 'warning'"):
        run(cursor, f'ALTER ROLE {APP} IN DATABASE {DATABASE} SET {setting}')
    log = ServerLog()
    start = time.monotonic()
    target = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} dbname={DATABASE} user={APP}"
    smith = subprocess.run(['sqlsmith', f'--target={target}', f'--seed={seed}', f'--max-queries={options.queries}', '--exclude-catalog', '--verbose'],
                           capture_output=True, text=True, check=False)
    told = log.lines(r'^TRAP: |was terminated by signal|PANIC:  |ERROR:  (cache lookup failed|unrecognized node|unexpected|could not find)')
    crashes = [line for line in told if 'ERROR:  ' not in line]
    internal = sorted({line.split('ERROR:  ')[1] for line in told if 'ERROR:  ' in line})
    finished = smith.returncode in (0, 1) and 'error rate' in smith.stderr + smith.stdout
    report(1, finished and not crashes, f'sqlsmith: {options.queries} queries, {time.monotonic() - start:.0f} s',
           crashes if finished else crashes + [smith.stderr[-500:]])
    print(f'# internal errors, also of PostgreSQL itself: {internal[:20]}')


if __name__ == '__main__':
    main()
