# For bench/run: the audit.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # bench/run has the variables; backquotes are Markdown's

audit_rounds=15
audit_roughly() { audit_rounds=3; }

# audit_tables TABLES PARTS: a database with so many tenant tables of three policies each, and one more of so many
# partitions.
audit_tables() {
  psql -X -q -c "CREATE DATABASE audited"
  psql -X -q -d audited -v ON_ERROR_STOP=1 <<SQL
CREATE EXTENSION rls_tenant;
SET rls_tenant.guard = off;
SET client_min_messages = warning;
DO \$\$ BEGIN
  FOR i IN 1..$1 LOOP
    EXECUTE format('CREATE TABLE t%s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, body text)', i);
    PERFORM rls_tenant.protect(format('t%s', i)::regclass);
    EXECUTE format('CREATE POLICY again ON t%s USING (tenant_id = rls_tenant.current_tenant_uuid() AND id > 0)', i);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON t%s TO app', i);
  END LOOP;
  CREATE TABLE p (id bigint GENERATED ALWAYS AS IDENTITY, tenant_id uuid, PRIMARY KEY (tenant_id, id)) PARTITION BY HASH (tenant_id);
  PERFORM rls_tenant.protect('p');
  FOR i IN 1..$2 LOOP
    EXECUTE format('CREATE TABLE p%s PARTITION OF p FOR VALUES WITH (MODULUS $2, REMAINDER %s)', i, i - 1);
    EXECUTE format('ALTER TABLE p%s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', i);
  END LOOP;
END \$\$;
SQL
}

# The milliseconds of an audit, the first in its session and a later one, over some sessions.
audit_times() {
  local spec round mark
  for spec in '1000 0' '1000 1000'; do
    # shellcheck disable=SC2086 # two numbers
    audit_tables $spec
    for ((round = 0; round < audit_rounds; round++)); do
      psql -X -qAt -d audited -v ON_ERROR_STOP=1 2>"$work/statistics" >/dev/null <<SQL
$stats_on
\warn mark first
SELECT count(*) FROM rls_tenant.audit();
\warn mark later
SELECT count(*) FROM rls_tenant.audit();
\warn mark end
SQL
      for mark in first later; do
        processor_times "$work/statistics" | awk -v mark=$mark '$1 == mark { ms = $2 } END { print ms }' \
          >>"$work/audit_${spec// /_}_$mark"
      done
    done
    psql -X -q -c "DROP DATABASE audited"
  done
}

audit_table() {
  table audit 'audit(): ms of the processor, 1,000 tenant tables with 3,000 policies (the target is 1,000 ms)' \
    'database' 'first in a session' 'later'
  row '1,000 tables' "$(median <"$work/audit_1000_0_first")" "$(median <"$work/audit_1000_0_later")"
  row 'and one of 1,000 partitions' "$(median <"$work/audit_1000_1000_first")" "$(median <"$work/audit_1000_1000_later")"
}
