"""What sessions do while something goes wrong: each scenario has the role that it logs in as and its statements, which give the
same answer whenever they run. One that begins with "!" must raise an error."""

from world import APP, LAZY, OWNER


class Scenario:
    def __init__(self, role, *statements):
        self.role = role
        self.statements = statements

    @property
    def migrates(self):
        """Whether the session makes tables, rather than reading them."""
        return self.role not in (APP, LAZY)


def _tenant(tenant=1, user=1):
    return f'SELECT rls_tenant.set_context({tenant}, NULL, {user})'


# Goes through more tenants than the context keeps single copies of, and looks at each; what fails is tried once more.
_MANY_TENANTS = """DO $$
  DECLARE v bigint;
  BEGIN
    FOR i IN 1 .. 12 LOOP
      FOR attempt IN 1 .. 2 LOOP
        BEGIN
          PERFORM rls_tenant.set_context(i);
          v := rls_tenant.current_tenant_bigint();
          IF v IS DISTINCT FROM i THEN RAISE EXCEPTION 'tenant % is read as %', i, v USING ERRCODE = 'assert_failure'; END IF;
          EXIT;
        EXCEPTION WHEN out_of_memory OR query_canceled THEN NULL;
        END;
      END LOOP;
      COMMIT;
    END LOOP;
  END $$"""

_BOOK = ('CREATE TABLE book (id int, tenant_id bigint) PARTITION BY RANGE (id)', 'CREATE TABLE book_1 PARTITION OF book DEFAULT')

APPLICATION = {
    'read': Scenario(APP, 'BEGIN', _tenant(), 'SELECT mark FROM doc ORDER BY 1', 'COMMIT'),
    'set local': Scenario(APP, 'BEGIN', "SET LOCAL rls_tenant.tenant_id = '1'", 'SELECT count(*) FROM doc JOIN line USING (id)', 'COMMIT'),
    'write': Scenario(
        APP, 'BEGIN', _tenant(), "INSERT INTO doc (id, n) VALUES (100, 1)", "UPDATE doc SET note = 'x' WHERE id = 100 RETURNING mark",
        'INSERT INTO parted (id) VALUES (100) RETURNING mark', 'DELETE FROM doc WHERE id = 100', 'DELETE FROM parted WHERE id = 100', 'COMMIT'),
    'refused write': Scenario(APP, 'BEGIN', _tenant(), '!INSERT INTO doc (id, tenant_id) VALUES (100, 2)', 'ROLLBACK'),
    'membership': Scenario(
        APP, 'BEGIN', _tenant(), 'SELECT count(*) FROM shared', 'SELECT count(*) FROM shared_parted WHERE tenant_id = 1',
        "SELECT rls_tenant.is_member(1::bigint), rls_tenant.has_role(1::bigint, 'admin'), rls_tenant.member_groups_bigint()",
        'SELECT member_marks(1)', 'COMMIT'),
    'membership not kept': Scenario(
        APP, 'BEGIN', _tenant(), 'SET LOCAL rls_tenant.membership_cache_size = 0', 'SELECT count(*) FROM shared',
        'SELECT rls_tenant.is_member(1::bigint)', 'COMMIT'),
    'partitions': Scenario(
        APP, 'PREPARE p AS SELECT mark FROM parted ORDER BY 1', 'BEGIN', _tenant(), 'EXECUTE p', 'SELECT marks_of(5)', 'COMMIT',
        'BEGIN', _tenant(2, 2), 'EXECUTE p', 'SELECT marks_of(5)', 'COMMIT', 'DEALLOCATE p'),
    'functions': Scenario(
        APP, 'BEGIN', _tenant(3, 3), 'SELECT count_of(4), marks_of(3)', 'SELECT * FROM each_mark()', 'COMMIT'),
    'cursor': Scenario(
        APP, 'BEGIN', _tenant(), 'DECLARE c CURSOR FOR SELECT mark FROM shared ORDER BY 1', 'FETCH 5 FROM c', 'FETCH 5 FROM c', 'COMMIT'),
    'held cursor': Scenario(APP, 'BEGIN', _tenant(), '!DECLARE c CURSOR WITH HOLD FOR SELECT mark FROM doc', 'ROLLBACK'),
    'no context': Scenario(APP, '!SELECT mark FROM doc', 'BEGIN', _tenant(), 'SELECT count(*) FROM doc',
                           f'!{_tenant(2)}', 'ROLLBACK'),
    'explain': Scenario(APP, 'BEGIN', _tenant(), 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) SELECT mark FROM shared_parted',
                        'EXPLAIN (COSTS off) SELECT mark FROM parted WHERE id = 3', 'COMMIT'),
    'discard': Scenario(APP, 'DISCARD ALL', 'BEGIN', _tenant(), 'SELECT count(*) FROM parted', 'COMMIT', 'DISCARD ALL'),
    'many tenants': Scenario(APP, _MANY_TENANTS),
    'public rows': Scenario(APP, 'BEGIN', _tenant(), 'SELECT count(*) FROM pub', 'UPDATE pub SET note = note WHERE NOT is_public', 'COMMIT'),
    'parallel': Scenario(
        APP, 'BEGIN', _tenant(), 'SET LOCAL parallel_setup_cost = 0', 'SET LOCAL parallel_tuple_cost = 0',
        'SET LOCAL min_parallel_table_scan_size = 0', 'SELECT count(*) FROM shared', 'COMMIT'),
    'views': Scenario(APP, 'BEGIN', _tenant(), 'SELECT count(*) FROM doc_view', 'SELECT max(mark) FROM shared_view WHERE tenant_id = 1', 'COMMIT'),
    'all tenants': Scenario(APP, "CALL rls_tenant.for_each_tenant('SELECT generate_series(1, 3)', 'UPDATE doc SET note = note')"),
    'library loads': Scenario(LAZY, 'BEGIN', _tenant(), 'SELECT mark FROM doc ORDER BY 1', 'COMMIT'),
}

MIGRATION = {
    'protect': Scenario(OWNER, 'BEGIN', 'CREATE TABLE page (id int, tenant_id bigint)', "SELECT rls_tenant.protect('page')", 'COMMIT',
                        'DROP TABLE page'),
    'protect partitions': Scenario(OWNER, 'BEGIN', *_BOOK, "SELECT * FROM rls_tenant.protect_sql('book')",
                                   "SELECT rls_tenant.protect('book')", 'COMMIT', 'DROP TABLE book'),
    'guard refuses': Scenario(OWNER, '!CREATE TABLE bad (id int, tenant_id bigint)', 'BEGIN', 'ALTER TABLE doc DISABLE ROW LEVEL SECURITY',
                              '!COMMIT'),
    'guard protects': Scenario('postgres', "SET rls_tenant.guard = 'protect'", 'CREATE TABLE made (id int, tenant_id bigint NOT NULL)',
                               'DROP TABLE made', 'RESET rls_tenant.guard'),
    'policies': Scenario(OWNER, 'BEGIN', 'CREATE POLICY more ON doc FOR SELECT USING (tenant_id = rls_tenant.current_tenant_bigint() AND n < 2)',
                         'COMMIT', 'DROP POLICY more ON doc'),
    'forms': Scenario(OWNER, 'BEGIN', "SELECT rls_tenant.protect('ranged', membership => 'tenant')",
                      "SELECT rls_tenant.protect('doc', public_read => 'n = 7')", 'ROLLBACK'),
    'roles': Scenario('postgres', 'BEGIN', 'CREATE ROLE hard_passing', 'GRANT CREATE ON SCHEMA public TO hard_passing',
                      'CREATE TABLE page (id int, tenant_id bigint)', "SELECT rls_tenant.protect('page')", 'ALTER TABLE page OWNER TO hard_passing',
                      'SET CONSTRAINTS ALL IMMEDIATE', 'DROP OWNED BY hard_passing', 'DROP ROLE hard_passing', 'COMMIT'),
    'memberships': Scenario('postgres', 'BEGIN', "SELECT rls_tenant.exempt('public', 'friend', 'a test')",
                            'CREATE TABLE friend (user_id bigint, tenant_id bigint)',
                            "SELECT rls_tenant.add_membership('friends', 'friend', 'user_id', 'tenant_id')",
                            'SELECT name, cached FROM rls_tenant.membership_sources() ORDER BY 1',
                            "SELECT rls_tenant.drop_membership('friends')", 'ROLLBACK'),
    'audit': Scenario('postgres', 'SELECT count(*) FROM rls_tenant.audit()'),
    'faults': Scenario('postgres', 'SELECT count(*) FROM rls_tenant.relation_findings()',
                       "SELECT * FROM rls_tenant.table_faults('doc')", 'BEGIN', "SELECT rls_tenant.baseline('x')", 'ROLLBACK'),
    'explain access': Scenario('postgres', "SELECT count(*) FROM rls_tenant.explain_access('doc', 'id = 5')",
                               f"SELECT count(*) FROM rls_tenant.explain_access('shared', 'id = 5', '{APP}')",
                               'SELECT count(*) > 0 FROM rls_tenant.explain_context()'),
}

ALL = {**APPLICATION, **MIGRATION}


def repair(control):
    """Takes away what a scenario that broke off in the middle has left."""
    for statement in ('DROP TABLE IF EXISTS page, book, made, bad, refused_table', 'DROP POLICY IF EXISTS more ON doc',
                      'DELETE FROM doc WHERE id = 100', 'DELETE FROM parted WHERE id = 100', 'DROP ROLE IF EXISTS hard_passing'):
        control.run(statement)
