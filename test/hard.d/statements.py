"""Random statements on the tables of the world: queries, writes, what keeps plans, and what other sessions do beside them."""

from world import OWNER, ROWS, TABLES, TENANTS, USERS

# What a tenant's statements read.
RELATIONS = [*TABLES, 'child', 'doc_view', 'shared_view', 'parted_1', 'parted_2', 'parted_2_0', 'ranged_low', 'shared_parted_0']
WRITTEN = ['doc', 'doc', 'line', 'parted', 'parted', 'ranged', 'parent', 'shared', 'shared_parted', 'pub', 'owned']

# More functions than the world has: what leaks rows if it is called too early, what is labelled wrongly, what runs as its
# owner, and what goes through all tenants and looks for itself.
FUNCTIONS = [
    """CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
       BEGIN RAISE NOTICE '%', $1; RETURN true; END $$""",
    "CREATE FUNCTION best() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT max(mark) FROM doc'",
    "CREATE FUNCTION title(bigint) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT max(mark) FROM parted WHERE id = $1'",
    "CREATE FUNCTION tells_best() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN best(); END'",
    "CREATE FUNCTION as_owner() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT max(mark) FROM doc'",
    """CREATE PROCEDURE each_tenant(seen INOUT int) LANGUAGE plpgsql AS $$
       DECLARE found text;
       BEGIN
         FOR i IN 1 .. 4 LOOP
           PERFORM rls_tenant.set_context(i);
           SELECT min(mark) INTO found FROM doc WHERE mark NOT LIKE 'T' || i || '#%';
           IF found IS NOT NULL THEN RAISE EXCEPTION 'FOREIGN ROW % of tenant %', found, i; END IF;
           SELECT min(mark) INTO found FROM parted WHERE mark NOT LIKE 'T' || i || '#%';
           IF found IS NOT NULL THEN RAISE EXCEPTION 'FOREIGN ROW % of tenant %', found, i; END IF;
           seen := i;
           COMMIT;
         END LOOP;
       END $$""",
]

# Settings of a session and what they may be; the last are ours.
SETTINGS = {
    'plan_cache_mode': ['auto', 'force_generic_plan', 'force_custom_plan'], 'enable_hashjoin': ['on', 'off'],
    'enable_mergejoin': ['on', 'off'], 'enable_nestloop': ['on', 'off'], 'enable_seqscan': ['on', 'off'],
    'enable_indexscan': ['on', 'off'], 'enable_bitmapscan': ['on', 'off'], 'enable_memoize': ['on', 'off'],
    'enable_partition_pruning': ['on', 'off'], 'enable_partitionwise_join': ['on', 'off'], 'work_mem': ['64kB', '4MB'],
    'min_parallel_table_scan_size': ['0', '8MB'], 'parallel_setup_cost': ['0', '1000'], 'parallel_tuple_cost': ['0', '0.1'],
    'from_collapse_limit': ['1', '8'], 'join_collapse_limit': ['1', '8'], 'geqo_threshold': ['2', '12'],
    'max_parallel_workers_per_gather': ['0', '2'], 'row_security': ['on', 'on', 'off'], 'cursor_tuple_fraction': ['0', '1'],
    'default_transaction_isolation': ["'read committed'", "'repeatable read'", 'serializable'],
    'default_transaction_read_only': ['off', 'off', 'off', 'on'], 'client_min_messages': ['notice', 'debug1'],
    'rls_tenant.plan_constants': ['auto', 'off'], 'rls_tenant.membership_cache_size': ['0', '1', '4096'],
}

# What a superuser does beside.
ADMINISTRATION = [
    'ANALYZE doc', 'ANALYZE parted', 'VACUUM doc', 'CREATE INDEX IF NOT EXISTS doc_n ON doc (n)', 'DROP INDEX IF EXISTS doc_n',
    'ALTER TABLE doc ALTER note SET STATISTICS 10', 'ALTER TABLE parted ADD COLUMN IF NOT EXISTS more int', 'ALTER TABLE parted DROP COLUMN IF EXISTS more',
    "SELECT rls_tenant.protect('doc')", "SELECT rls_tenant.protect('shared', membership => 'tenant')",
    'ALTER TABLE parted_2 DETACH PARTITION parted_2_0', 'ALTER TABLE parted_2 ATTACH PARTITION parted_2_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0)',
    "CREATE OR REPLACE FUNCTION count_of(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM doc WHERE id <= $1'",
    'SELECT count(*) FROM rls_tenant.audit()', "COMMENT ON FUNCTION rls_tenant.is_member(bigint, text) IS 'x'",
    'UPDATE member SET active = NOT active WHERE user_id = 1 AND tenant_id = 1', 'UPDATE member SET active = NOT active WHERE user_id = 4',
    "UPDATE member SET role = CASE role WHEN 'admin' THEN 'guest' ELSE 'admin' END WHERE user_id = 2",
    "BEGIN; SELECT rls_tenant.drop_membership('tenant'); SELECT rls_tenant.add_membership('tenant', 'member', 'user_id', 'tenant_id', 'role', 'active'); COMMIT",
    'GRANT EXECUTE ON FUNCTION rls_tenant.tenant_setting() TO postgres', 'REVOKE EXECUTE ON FUNCTION rls_tenant.tenant_setting() FROM postgres',
    f'BEGIN; DELETE FROM doc WHERE id > {ROWS}; INSERT INTO doc (id, tenant_id, n) SELECT i, t, i % 3 FROM generate_series(1, {TENANTS}) t, '
    f'generate_series(1, {ROWS}) i ON CONFLICT DO NOTHING; COMMIT',
    f'BEGIN; DELETE FROM parted WHERE id > {ROWS}; INSERT INTO parted (id, tenant_id, n) SELECT i, t, i % 3 FROM generate_series(1, {TENANTS}) t, '
    f'generate_series(1, {ROWS}) i ON CONFLICT DO NOTHING; COMMIT',
    f'BEGIN; DELETE FROM shared; INSERT INTO shared (id, tenant_id, n) SELECT i, t, i % 3 FROM generate_series(1, {TENANTS}) t, '
    f'generate_series(1, {ROWS}) i; COMMIT',
    f'BEGIN; DELETE FROM ranged; INSERT INTO ranged (id, tenant_id, n) SELECT i, t, i % 3 FROM generate_series(1, {TENANTS}) t, '
    f'generate_series(1, {ROWS}) i; COMMIT',
]


class Statements:
    def __init__(self, random):
        self.random = random
        self.immutable = True

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, *choices):
        return self.random.choice(choices)

    def number(self):
        return self.random.randint(0, ROWS + 2)

    def tenant(self):
        return self.random.randint(1, TENANTS)

    def user(self):
        return self.random.randint(1, USERS)

    def relation(self):
        return self.random.choice(RELATIONS)

    # --- Queries

    def value(self, alias, depth=0):
        """An expression over a relation's columns."""
        simple = [f'{alias}.mark', f'{alias}.mark', f'{alias}.id', f'{alias}.n', f'{alias}.note', f'{alias}.tenant_id']
        if depth > 1 or self.chance(0.5):
            return self.random.choice(simple)
        return self.random.choice((
            lambda: f'coalesce({self.value(alias, depth + 1)}::text, {self.value(alias, depth + 1)}::text)',
            lambda: f'CASE WHEN {self.condition(alias, depth + 1)} THEN {self.value(alias, depth + 1)} END',
            lambda: f'(SELECT max(z.mark) FROM {self.relation()} z WHERE z.id = {alias}.id)',
            lambda: f'(SELECT string_agg(z.mark, \' \') FROM {self.relation()} z WHERE {self.condition("z", depth + 1)})',
            lambda: 'rls_tenant.current_tenant_bigint()', lambda: f'count_of({alias}.n)', lambda: f'marks_of({alias}.n)', lambda: self.labelled(alias),
            lambda: self.labelled(alias), lambda: 'as_owner()',
            lambda: f'member_marks({alias}.tenant_id)', lambda: f'{alias}::text', lambda: f'to_jsonb({alias})',
            lambda: f'100 / ({alias}.n - 1)', lambda: f"tries('SELECT 1 / ' || {alias}.n)"))()

    def labelled(self, alias):
        """A function labelled IMMUTABLE that reads rows of tenants, or calls such a one."""
        if not self.immutable:
            return f'{alias}.mark'
        return self.pick('best()', f'title({alias}.id)', f'title({self.number()})', 'tells_best()')

    def condition(self, alias, depth=0):
        """A condition on a relation; some of them tell what they see, or fail on it."""
        simple = (
            lambda: f'{alias}.id {self.pick("=", "<", ">", "<>")} {self.number()}', lambda: f'{alias}.tenant_id = {self.tenant()}',
            lambda: f'{alias}.id = ANY (ARRAY[{self.number()}, {self.number()}])', lambda: f'leak({alias}.mark)', lambda: f'leak({alias}::text)',
            lambda: f"{alias}.note LIKE '%{self.number()}'", lambda: f'{alias}.tenant_id = rls_tenant.current_tenant_bigint()',
            lambda: f'rls_tenant.is_member({alias}.tenant_id)', lambda: f"rls_tenant.has_role({alias}.tenant_id, 'admin')",
            lambda: f'{alias}.tenant_id = ANY (rls_tenant.member_groups_bigint())', lambda: f'100 / ({alias}.n - 1) <> 0',
            lambda: f'{alias}.mark::int > 0', lambda: f'{alias}.mark < {self.labelled(alias)}', lambda: f"{alias}.mark >= ''")
        if depth > 1 or self.chance(0.5):
            return self.random.choice(simple)()
        return self.random.choice((
            lambda: f'({self.condition(alias, depth + 1)} OR {self.condition(alias, depth + 1)})',
            lambda: f'({self.condition(alias, depth + 1)} AND {self.condition(alias, depth + 1)})',
            lambda: f'NOT {self.condition(alias, depth + 1)}',
            lambda: f'EXISTS (SELECT FROM {self.relation()} y{depth} WHERE y{depth}.id = {alias}.id AND {self.condition(f"y{depth}", depth + 1)})',
            lambda: f'{alias}.id IN (SELECT id FROM {self.relation()})',
            lambda: f'CASE WHEN {alias}.n = 1 THEN {self.condition(alias, depth + 1)} ELSE {self.condition(alias, depth + 1)} END'))()

    def query(self, parameter=None):
        """A SELECT. parameter: where one stands in it."""
        count = self.pick(1, 1, 1, 2, 2, 3)
        sources = []
        for i in range(count):
            source = f'{self.relation()} a{i}'
            if self.chance(0.1):
                source = f'(SELECT * FROM {self.relation()} s WHERE {self.condition("s", 1)} OFFSET 0) a{i}'
            join = self.pick('JOIN', 'LEFT JOIN', 'FULL JOIN', 'CROSS JOIN LATERAL') if i else ''
            if join == 'CROSS JOIN LATERAL':
                source = f'(SELECT * FROM {self.relation()} s WHERE s.id = a0.id) a{i}'
            on = f' ON a{i}.id = a0.id' if join.endswith('JOIN') and i else ''
            sources.append(f'{join} {source}{on}')
        with_query = f'WITH w AS {self.pick("", "MATERIALIZED ")}(SELECT * FROM {self.relation()} v WHERE {self.condition("v", 1)}) ' if self.chance(0.1) else ''
        if with_query:
            sources.append('JOIN w ON w.id = a0.id')
        text = f'{with_query}SELECT {", ".join(f"a{i}.mark" for i in range(count))}, ({self.value("a0")})::text FROM {" ".join(sources)}'
        conditions = [self.condition('a0')] if self.chance(0.8) else []
        if parameter:
            conditions.append(f'a0.id <> {parameter}')
        if conditions:
            text += ' WHERE ' + ' AND '.join(conditions)
        if self.chance(0.1):
            return f'SELECT {self.pick("max", "min", "count", "array_agg")}(q.found) FROM ({text}) q (found)'
        if self.chance(0.1):
            other = f'SELECT {", ".join(["b.mark"] * (count + 1))} FROM {self.relation()} b'
            return f'{text} {self.pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT")} {other}'
        if self.chance(0.3):
            text += ' ORDER BY 1'
        if self.chance(0.3):
            text += f' LIMIT {self.number()}'
        elif count == 1 and not with_query and self.chance(0.1):
            text += f' FOR {self.pick("UPDATE", "SHARE", "NO KEY UPDATE")}'
        return text

    # --- Writes

    def write(self, tenant):
        table = self.random.choice(WRITTEN)
        tenant = self.pick(tenant, tenant, self.tenant())
        returning = self.pick('', ' RETURNING mark', ' RETURNING *')
        condition = self.condition('a')
        return self.random.choice((
            lambda: f"INSERT INTO {table} (id, n, note) VALUES ({self.random.randint(1, 40)}, {self.number()}, 'x'){self.conflict(table)}{returning}",
            lambda: f'INSERT INTO {table} (id, tenant_id) VALUES ({self.random.randint(1, 40)}, {tenant}){self.conflict(table)}{returning}',
            lambda: f'INSERT INTO {table} (id) SELECT id + 20 FROM {self.relation()} LIMIT 2{returning}',
            lambda: f"UPDATE {table} a SET note = 'y', n = {self.number()} WHERE {condition}{returning.replace('mark', 'a.mark')}",
            lambda: f'UPDATE {table} a SET tenant_id = {tenant} WHERE {condition}', lambda: f'UPDATE {table} a SET id = id + 1 WHERE {condition}',
            lambda: f'UPDATE {table} a SET n = b.n FROM {self.relation()} b WHERE a.id = b.id AND {condition} RETURNING a.mark, b.mark',
            lambda: f'DELETE FROM {table} a WHERE id > 8 AND {condition}{returning.replace("mark", "a.mark")}',
            lambda: f'DELETE FROM {table} a USING {self.relation()} b WHERE a.id = b.id AND b.id > 10 RETURNING a.mark, b.mark',
            lambda: f"MERGE INTO doc a USING {self.relation()} b ON a.id = b.id WHEN MATCHED AND b.id > 12 THEN DELETE WHEN MATCHED THEN UPDATE SET note = 'm' "
                    f"WHEN NOT MATCHED THEN INSERT (id, n) VALUES (b.id, 1)"))()

    def conflict(self, table):
        if table not in ('doc', 'parted'):
            return ''
        return self.pick('', ' ON CONFLICT DO NOTHING', " ON CONFLICT (tenant_id, id) DO UPDATE SET note = excluded.note")

    # --- What a session sets

    def setting(self):
        name = self.random.choice(list(SETTINGS))
        return f'SET {self.pick("", "LOCAL ")}{name} = {self.random.choice(SETTINGS[name])}'

    def block(self):
        """A DO block: loops, handlers, and sub-transactions over a query."""
        return self.random.choice((
            lambda: f'DO $$ DECLARE r record; BEGIN FOR r IN {self.query()} LOOP RAISE NOTICE \'%\', r; END LOOP; END $$',
            lambda: f'DO $$ BEGIN PERFORM 1 / (SELECT count(*) FROM {self.relation()}); {self.query().replace("SELECT", "PERFORM", 1)}; '
                    f'EXCEPTION WHEN OTHERS THEN RAISE NOTICE \'%\', SQLERRM; END $$',
            lambda: 'DO $$ BEGIN PERFORM notices_marks(3); EXCEPTION WHEN OTHERS THEN NULL; END $$',
            lambda: f"DO $$ BEGIN FOR i IN 1 .. 3 LOOP BEGIN PERFORM count_of(i); PERFORM 1 / (i - 2); EXCEPTION WHEN division_by_zero THEN "
                    f"PERFORM notices_marks(i); END; END LOOP; END $$"))()

    def administration(self):
        return self.random.choice(ADMINISTRATION)


def make(cursor, run):
    """The functions, as the owner of the tables."""
    run(cursor, f'SET ROLE {OWNER}')
    for statement in FUNCTIONS:
        run(cursor, statement)
    run(cursor, 'RESET ROLE')
