"""Whether a session is as safe as before: what it must refuse, and what another tenant sees in it."""

import psycopg2

from world import MARK, ROWS, TENANTS, groups_of, run

# What every session of the application prepares before anything goes wrong, and tenant 1 executes.
PREPARED = ['PREPARE kept_plain AS SELECT mark FROM doc', 'PREPARE kept_parted AS SELECT mark FROM parted',
            'PREPARE kept_shared AS SELECT mark FROM shared']

ROWS_OF_TENANT = {'doc': ROWS, 'parted': ROWS, 'ranged': ROWS, 'parent': 2 * ROWS}


def refused(cursor, statement, *codes):
    """A fault, if a statement is not refused with one of these codes."""
    try:
        run(cursor, statement)
    except psycopg2.Error as error:
        if error.pgcode in codes:
            return None
        if error.pgcode is None or error.pgcode.startswith('57'):
            raise
        return f'{statement}: refused as {error.pgcode}: {str(error).splitlines()[0]}'
    return f'{statement}: not refused'


def marks(cursor, query):
    """How many rows each tenant has in an answer."""
    found = {}
    for row in run(cursor, query):
        for _, tenant in MARK.findall(str(row[0])):
            found[int(tenant)] = found.get(int(tenant), 0) + 1
    return found


def differs(cursor, query, expected):
    got = marks(cursor, query)
    return None if got == expected else f'{query}: rows of tenants {got}, not {expected}'


def of_no_context(cursor):
    for table in ('doc', 'parted', 'shared'):
        yield refused(cursor, f'SELECT mark FROM {table}', '55000')
    left = run(cursor, 'SELECT tenant_id, account_id, user_id FROM rls_tenant.current_context()')
    yield None if left == [(None, None, None)] else f'a context is left: {left}'
    yield refused(cursor, "SET rls_tenant.tenant_id = '1'", '0A000')


def of_tenant(cursor, tenant, user, prepared):
    """What a transaction of a tenant reads."""
    run(cursor, 'BEGIN')
    run(cursor, f'SELECT rls_tenant.set_context({tenant}, NULL, {user})')
    for table, count in ROWS_OF_TENANT.items():
        yield differs(cursor, f'SELECT mark FROM {table}', {tenant: count})
    members = {group: ROWS for group in groups_of(user)}
    for table in ('shared', 'shared_parted'):
        yield differs(cursor, f'SELECT mark FROM {table}', members)
    if prepared:
        yield differs(cursor, 'EXECUTE kept_plain', {tenant: ROWS})
        yield differs(cursor, 'EXECUTE kept_parted', {tenant: ROWS})
        yield differs(cursor, 'EXECUTE kept_shared', members)
    for group in range(1, TENANTS + 1):
        asked = run(cursor, f'SELECT rls_tenant.is_member({group}::bigint)')[0][0]
        if asked != (group in members):
            yield f'is_member({group}) of user {user} is {asked}'
    yield differs(cursor, 'SELECT marks_of(100)', {tenant: ROWS})
    yield differs(cursor, 'SELECT mark FROM pub WHERE NOT is_public', {tenant: ROWS // 2})
    yield refused(cursor, f'SELECT rls_tenant.set_context({tenant % TENANTS + 1})', '25001')
    run(cursor, 'ROLLBACK')


def of_held_cursors(cursor, tenant, user):
    for query in ('SELECT mark FROM doc', 'SELECT mark FROM shared', 'SELECT mark FROM parted', 'SELECT count_of(3)'):
        run(cursor, 'BEGIN')
        run(cursor, f'SELECT rls_tenant.set_context({tenant}, NULL, {user})')
        fault = refused(cursor, f'DECLARE held CURSOR WITH HOLD FOR {query}', '42P11')
        if fault is not None:  # it may be refused later, too
            fault = refused(cursor, 'COMMIT', '42P11')
        if fault is not None:
            yield f'WITH HOLD for {query}: {fault}'
            run(cursor, 'CLOSE ALL')
        run(cursor, 'ROLLBACK')


def of_writes(cursor, tenant):
    run(cursor, 'BEGIN')
    run(cursor, f'SELECT rls_tenant.set_context({tenant})')
    run(cursor, 'SAVEPOINT s')
    other = tenant % TENANTS + 1
    for statement in (f'INSERT INTO doc (id, tenant_id) VALUES (1000, {other})', f'UPDATE parted SET tenant_id = {other}'):
        yield refused(cursor, statement, '42501')
        run(cursor, 'ROLLBACK TO s')
    run(cursor, 'ROLLBACK')


def of_guard(cursor):
    """That the guard works in the session of somebody who makes tables."""
    yield refused(cursor, 'CREATE TABLE refused_table (id int, tenant_id bigint)', '42P16')
    run(cursor, 'ROLLBACK')


def clean(cursor):
    """Ends what a scenario has left open."""
    for statement in ('ROLLBACK', 'RESET ROLE', 'RESET ALL'):
        run(cursor, statement)


def prepare(cursor, tenant=1, user=1):
    """What a session needs before anything goes wrong, for the probe of kept plans."""
    for statement in PREPARED:
        run(cursor, statement)
    run(cursor, 'BEGIN')
    run(cursor, f'SELECT rls_tenant.set_context({tenant}, NULL, {user})')
    for statement in PREPARED:
        run(cursor, 'EXECUTE ' + statement.split()[1])
    run(cursor, 'COMMIT')


def application(cursor, tenant=2, user=2, prepared=False):
    """All faults of an application's session. prepared: prepare() was called."""
    clean(cursor)
    faults = [*of_held_cursors(cursor, tenant, user), *of_no_context(cursor), *of_tenant(cursor, tenant, user, prepared),
              *of_writes(cursor, tenant)]
    return [fault for fault in faults if fault is not None]


def migration(cursor):
    """All faults of a session that makes tables."""
    clean(cursor)
    return [fault for fault in of_guard(cursor) if fault is not None]
