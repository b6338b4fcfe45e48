# For bench/run: the guard, in a transaction that makes tables.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # bench/run has the variables; backquotes are Markdown's

guard_rounds=15 few_tables=20 many_tables=120
guard_roughly() { guard_rounds=3 many_tables=60; }

# make_tables MODE COUNT: makes and protects tables in one transaction; prints the backend's process, and to stderr the
# statistics.
make_tables() {
  psql -X -q -c 'SET client_min_messages = warning' -c 'DROP SCHEMA IF EXISTS made CASCADE' -c 'CREATE SCHEMA made'
  psql -X -qAt -v ON_ERROR_STOP=1 <<SQL
LOAD 'rls_tenant';
SET rls_tenant.guard = $1;
SELECT pg_backend_pid();
$stats_on
BEGIN;
\warn mark make
DO \$\$ BEGIN
  FOR i IN 1..$2 LOOP
    EXECUTE format('CREATE TABLE made.t%s (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, body text)', i);
    PERFORM rls_tenant.protect(format('made.t%s', i)::regclass);
  END LOOP;
END \$\$;
\warn mark commit
COMMIT;
SQL
}

# guard_times: the processor's milliseconds of 200 tables, and of the COMMIT alone, into $work/guard.MODE and
# $work/commit.MODE. The first round only warms up.
guard_times() {
  local round mode
  say "making tables under the guard, $guard_rounds rounds"
  for ((round = 0; round <= guard_rounds; round++)); do
    for mode in refuse off; do
      make_tables $mode 200 2>"$work/made" >/dev/null
      [ $round != 0 ] || continue
      processor_times "$work/made" | awk -v total="$work/guard.$mode" -v commit="$work/commit.$mode" \
        '$1 == "make" { sum = $2 } $1 == "commit" { print sum + $2 >>total; print $2 >>commit }'
    done
  done
}

# backend_instructions MODE COUNT: how many a session executes that makes so many tables.
backend_instructions() {
  local out i
  out=$work/backend.$(make_tables "$1" "$2" 2>"$work/made") || { cat "$work/made" >&2; die "the tables could not be made"; }
  for ((i = 0; i < 100; i++)); do  # it is written when the session has ended
    if grep -qs '^totals:' "$out"; then break; fi
    sleep 0.1
  done
  sed -n 's/^totals: //p' "$out"
}

# guard_table: here the server itself runs under callgrind, because event triggers do not fire in single-user mode.
guard_table() {
  local mode few many
  start_counting
  backend_instructions refuse 1 >/dev/null
  for mode in off refuse; do
    say "counting instructions: guard $mode"
    few=$(backend_instructions $mode $few_tables)
    many=$(backend_instructions $mode $many_tables)
    cost[guard $mode]=$(((many - few) / (many_tables - few_tables)))
  done
  stop_cluster
  table guard "200 times CREATE TABLE and protect() in one transaction" "" "ms of processor, least of $guard_rounds" \
    "ratio, median" "least of COMMIT" "instructions per table" ratio
  for mode in off refuse; do
    row "\`rls_tenant.guard = $mode\`" "$(printf %.0f "$(least "$work/guard.$mode")")" \
      "$(paired_ratio "$work/guard.$mode" "$work/guard.off")" \
      "$(printf %.1f "$(least "$work/commit.$mode")")" "$(grouped "${cost[guard $mode]}")" \
      "$(ratio "${cost[guard $mode]}" "${cost[guard off]}")"
  done
}
