"""Random DDL of one session: tables with and without protection, their owners, policies, functions, types, views, partitions and
memberships come and go. The session has a schema and roles of its own, so that it gets in nobody's way but the extension's."""


class Walk:
    def __init__(self, random, number):
        self.random = random
        self.schema = f'churn_{number}'
        self.roles = [f'hard_churn_{number}_{i}' for i in range(3)]

    def setup(self):
        """Once, before the first step. What is named legacy is exempt, as an old application's tables are."""
        yield f'DROP SCHEMA IF EXISTS {self.schema} CASCADE'
        yield f'CREATE SCHEMA {self.schema}'
        yield f"SELECT rls_tenant.exempt('{self.schema}', 'legacy%', 'old')"
        yield f"SELECT rls_tenant.exempt('{self.schema}', 'member%', 'memberships')"

    def name(self, kind):
        """One of a few names of a kind of object, so that they meet again."""
        return f'{self.schema}.{kind}_{self.random.randint(0, 3)}'

    def table(self):
        return self.name(self.random.choice(('table', 'table', 'legacy', 'parted', 'member')))

    def role(self):
        return self.random.choice(self.roles)

    def owner(self):
        return self.random.choice(self.roles + ['postgres'])

    def cascade(self):
        return self.random.choice(('', ' CASCADE'))

    # --- Steps: each a list of statements

    def make_table(self):
        name = self.name('table')
        return [f'CREATE TABLE {name} (id int, tenant_id bigint, kind text)', f"SELECT rls_tenant.protect('{name}')"]

    def make_open_table(self):
        return [f'CREATE TABLE {self.name("table")} (id int, tenant_id bigint NOT NULL)']

    def make_legacy_table(self):
        name, kind = self.name('legacy'), self.name('type')
        columns = f'id int, tenant_id bigint, kind {self.random.choice(("text", kind))}'
        return [f'CREATE TABLE {name} ({columns})', f'ALTER TABLE {name} ENABLE ROW LEVEL SECURITY', 'SELECT rls_tenant.baseline()']

    def make_partitioned(self):
        name = self.name('parted')
        return [f'CREATE TABLE {name} (id int, tenant_id bigint) PARTITION BY LIST (id)',
                f'CREATE TABLE {name}_a PARTITION OF {name} FOR VALUES IN (1)',
                f'CREATE TABLE {name}_b PARTITION OF {name} DEFAULT', f"SELECT rls_tenant.protect('{name}')"]

    def move_partition(self):
        name = self.name('parted')
        return self.random.choice(([f'ALTER TABLE {name} DETACH PARTITION {name}_a'],
                                   [f'ALTER TABLE {name} ATTACH PARTITION {name}_a FOR VALUES IN (1)'],
                                   [f'DROP TABLE {name}_a'], [f'DROP TABLE {name}_b']))

    def make_child(self):
        return [f'CREATE TABLE {self.name("table")} () INHERITS ({self.table()})']

    def drop_table(self):
        return [f'DROP TABLE {self.table()}{self.cascade()}']

    def alter_table(self):
        name = self.table()
        change = self.random.choice(('ADD COLUMN more int', 'DROP COLUMN more', 'ALTER tenant_id TYPE int', 'ALTER tenant_id TYPE bigint',
                                     'DISABLE ROW LEVEL SECURITY', 'ENABLE ROW LEVEL SECURITY', 'NO FORCE ROW LEVEL SECURITY',
                                     'ALTER kind TYPE text', 'DROP COLUMN kind', 'ALTER tenant_id DROP NOT NULL', 'RENAME TO legacy_3'))
        return [f'ALTER TABLE {name} {change}']

    def change_owner(self):
        return [f'ALTER TABLE {self.table()} OWNER TO {self.owner()}']

    def make_policy(self):
        condition = self.random.choice((f'{self.name("function")}(id)', 'tenant_id = rls_tenant.current_tenant_bigint()', 'true',
                                        f"kind::text = '{self.schema}'", f'id IN (SELECT id FROM {self.table()})',
                                        f"rls_tenant.is_member(tenant_id, '{self.schema}')"))
        kind = self.random.choice(('', ' AS RESTRICTIVE'))
        return [f'CREATE POLICY policy_{self.random.randint(0, 2)} ON {self.table()}{kind} USING ({condition})']

    def drop_policy(self):
        policy = self.random.choice(('policy_0', 'policy_1', 'policy_2', 'tenant_access', 'tenant_isolation'))
        return [f'DROP POLICY {policy} ON {self.table()}']

    def make_function(self):
        body = self.random.choice(('SELECT $1 > 0', f'SELECT count(*) > 0 FROM {self.table()}'))
        security = self.random.choice(('', ' SECURITY DEFINER'))
        return [f"CREATE OR REPLACE FUNCTION {self.name('function')}(int) RETURNS boolean LANGUAGE sql STABLE{security} AS '{body}'"]

    def drop_function(self):
        return [f'DROP FUNCTION {self.name("function")}(int){self.cascade()}']

    def make_type(self):
        return [f"CREATE TYPE {self.name('type')} AS ENUM ('a', 'b')"]

    def drop_type(self):
        return [f'DROP TYPE {self.name("type")}{self.cascade()}']

    def make_role(self):
        role = self.role()
        return [f'CREATE ROLE {role}', f'GRANT USAGE, CREATE ON SCHEMA {self.schema} TO {role}']

    def drop_role(self):
        role, table = self.role(), self.table()
        ways = ([f'ALTER TABLE {table} OWNER TO postgres', f'DROP OWNED BY {role}', f'DROP ROLE {role}'],
                [f'DROP OWNED BY {role} CASCADE', f'DROP ROLE {role}'],
                [f'REASSIGN OWNED BY {role} TO {self.owner()}', f'DROP OWNED BY {role}', f'DROP ROLE {role}'], [f'DROP ROLE {role}'])
        return self.random.choice(ways)

    def make_view(self):
        kind = self.random.choice(('VIEW {} WITH (security_invoker)', 'VIEW {}', 'MATERIALIZED VIEW {}'))
        return ['CREATE ' + kind.format(self.name('view')) + f' AS SELECT * FROM {self.table()}']

    def drop_view(self):
        return [f'DROP {self.random.choice(("VIEW", "MATERIALIZED VIEW"))} {self.name("view")}{self.cascade()}']

    def make_membership(self):
        name = self.name('member')
        return [f'CREATE TABLE {name} (user_id bigint, tenant_id bigint)', f'INSERT INTO {name} SELECT 1, g FROM generate_series(1, 50) g',
                f"SELECT rls_tenant.add_membership('{self.schema}', '{name}', 'user_id', 'tenant_id')"]

    def drop_membership(self):
        return [f"SELECT rls_tenant.drop_membership('{self.schema}')"]

    def protect(self):
        form = self.random.choice(('', f", membership => '{self.schema}'", ", public_read => 'id = 1'", ", access => 'id > 0'"))
        return [f"SELECT rls_tenant.protect('{self.table()}'{form})"]

    def exempt(self):
        return self.random.choice((['SELECT rls_tenant.baseline()'], ["DELETE FROM rls_tenant.exemption WHERE baseline"],
                                   [f"SELECT rls_tenant.exempt('{self.schema}', 'table%', 'x', '{{no_tenant_index}}')"]))

    def grant(self):
        return [f'GRANT SELECT, INSERT ON {self.table()} TO {self.role()}']

    STEPS = (make_table, make_table, make_open_table, make_legacy_table, make_legacy_table, make_partitioned, move_partition, make_child,
             drop_table, drop_table, alter_table, alter_table, change_owner, change_owner, make_policy, make_policy, drop_policy,
             make_function, drop_function, drop_function, make_type, drop_type, make_role, make_role, drop_role, drop_role, make_view, drop_view,
             make_membership, make_membership, drop_membership, protect, exempt, grant)

    def step(self):
        """Statements that belong together."""
        return self.random.choice(self.STEPS)(self)

    def transaction(self):
        """The steps of one transaction."""
        return [self.step() for _ in range(self.random.choice((1, 1, 1, 2, 3)))]
