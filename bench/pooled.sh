# For bench/run: transactions per second through PgBouncer in transaction mode, each for another tenant at random: a page of 20
# packages of the registry (bench/registry.sh).
#
# Every transaction takes three messages: BEGIN, perhaps with a SET LOCAL, the query, and COMMIT. The hand-written query is
# measured without and with that SET LOCAL: an application that writes its WHERE has the tenant from somewhere, too.
# shellcheck shell=bash disable=SC2154,SC2034,SC2004,SC2016 # bench/run has the variables; backquotes are Markdown's

pooled_sides='handwritten context protected setting' pooled_clients='1 2 8 64' pooled_tenants='10000 50000'
pooled_rounds=5 pooled_seconds=5 pooled_port=6432
pooled_quickly() { pooled_rounds=1 pooled_seconds=2 pooled_tenants=50000; }
declare -A pooled_title=(
  [handwritten]="hand-written \`WHERE\` alone"
  [context]="hand-written \`WHERE\`, and the same \`SET LOCAL\`"
  [protected]="**\`protect()\`**, and \`SET LOCAL\`"
  [setting]="policy with \`current_setting(…)::uuid\`, and \`SET LOCAL\`"
)

pooled_load() { registry_load; }

start_pgbouncer() {
  cat >"$work/pgbouncer.ini" <<INI
[databases]
postgres = host=$work port=$PGPORT dbname=postgres user=app
[pgbouncer]
listen_addr =
listen_port = $pooled_port
unix_socket_dir = $work
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 200
logfile = $work/pgbouncer.log
pidfile = $work/pgbouncer.pid
log_connections = 0
log_disconnections = 0
INI

  chmod 644 "$work/pgbouncer.ini"
  as_server /usr/sbin/pgbouncer -q -d "$work/pgbouncer.ini" || die "PgBouncer did not start"
  local i
  for ((i = 0; i < 100; i++)); do
    if psql -X -qAt -p $pooled_port -U app -c 'SELECT 1' >"$work/pgbouncer.answer" 2>&1; then return; fi
    sleep 0.1
  done
  die "PgBouncer does not answer: $(cat "$work/pgbouncer.answer")"
}

# pooled_script SIDE TENANTS: for pgbench at the simple protocol, which puts :n into the text of the id.
pooled_script() {
  local id="':n-0000-4000-8000-000000000000'" begin=BEGIN relation=$1 condition=
  [ "$1" = handwritten ] || begin+=" \\; SET LOCAL rls_tenant.tenant_id = $id"
  case $1 in handwritten | context) relation=handwritten condition=" WHERE tenant_id = $id" ;; esac
  printf '%s\n' "\\set n random(10000001, $((10000000 + $2)))" "$begin;" \
    "SELECT name, version, size FROM $relation.packages$condition ORDER BY name LIMIT 20;" 'COMMIT;'
}

# pooled_times: transactions per second, into $work/pooled.TENANTS.CLIENTS.SIDE; the sides take turns.
pooled_times() {
  local many clients side round order=$pooled_sides key
  start_pgbouncer
  say "transactions through PgBouncer, $pooled_rounds rounds"
  for many in $pooled_tenants; do
    for side in $pooled_sides; do pooled_script "$side" "$many" >"$work/pooled_$side"; done
    for clients in $pooled_clients; do
      for ((round = 0; round <= pooled_rounds; round++)); do
        for side in $order; do
          key=$work/pooled.$many.$clients.$side
          # Round 0 only warms up.
          "$PG_BIN/pgbench" -n -c "$clients" -j 1 -T "$([ "$round" = 0 ] && echo 1 || echo $pooled_seconds)" -f "$work/pooled_$side" \
            -h "$work" -p $pooled_port -U app postgres >"$work/pgbench.log" 2>&1 || { tail -5 "$work/pgbench.log" >&2; die "pgbench failed"; }
          [ "$round" = 0 ] || sed -n 's/^tps = \([0-9.]*\) .*/\1/p' "$work/pgbench.log" >>"$key"
        done
        order=$(turned "$order")
      done
    done
  done
  kill "$(cat "$work/pgbouncer.pid")"
}

pooled_table() {
  local many clients side cells head=() key shown
  for clients in $pooled_clients; do head+=("clients: $clients" ratio); done
  for many in $pooled_tenants; do
    table pooled "Transactions per second through PgBouncer, $(grouped "$many") tenants in turn at random (median of $pooled_rounds)" "" "${head[@]}"
    for side in $pooled_sides; do
      cells=()
      for clients in $pooled_clients; do
        key=pooled.$many.$clients
        shown=$(times_as "$key.$side" "$key.context")
        plotted pooled "$many" "$clients" "$side" "$(ms "$key.$side" 0)" "$shown"
        cells+=("$(grouped "$(ms "$key.$side" 0)")" "$shown")
      done
      row "${pooled_title[$side]}" "${cells[@]}"
    done
  done
}
