# For bench/run: transactions per second through PgBouncer in transaction mode, each for another tenant at random: a
# page of 20 packages of the registry (bench/parts/registry.sh).
#
# Every transaction takes three messages: BEGIN, perhaps with a SET LOCAL, the query, and COMMIT. The hand-written query
# is measured without and with that SET LOCAL: an application that writes its WHERE has the tenant from somewhere, too.
#
# The machine runs pgbench and PgBouncer as well, so the processor time that the server's backends took for each
# transaction is measured, too. Many short runs in turn suffer less from other work on the machine than few long ones.
# shellcheck shell=bash disable=SC2154,SC2034,SC2004,SC2016 # bench/run has the variables; backquotes are Markdown's

pooled_variants='handwritten context protected setting' pooled_clients='1 2 8 64' pooled_tenants='10000 50000'
pooled_rounds=31 pooled_seconds=1 pooled_port=6432
pooled_roughly() { pooled_rounds=3 pooled_tenants=50000; }
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

# pooled_script VARIANT TENANTS: for pgbench at the simple protocol, which puts :n into the text of the id.
pooled_script() {
  local id="':n-0000-4000-8000-000000000000'" begin=BEGIN relation=$1 condition=
  [ "$1" = handwritten ] || begin+=" \\; SET LOCAL rls_tenant.tenant_id = $id"
  case $1 in handwritten | context) relation=handwritten condition=" WHERE tenant_id = $id" ;; esac
  printf '%s\n' "\\set n random(10000001, $((10000000 + $2)))" "$begin;" \
    "SELECT name, version, size FROM $relation.packages$condition ORDER BY name LIMIT 20;" 'COMMIT;'
}

# backends_time: the nanoseconds that the server's processes have spent on a processor.
backends_time() {
  xargs -n 1 <"/proc/$1/task/$1/children" | sed 's:.*:/proc/&/schedstat:' | xargs cat |
    awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# pooled_run VARIANT CLIENTS SECONDS: runs pgbench; prints the transactions per second, and the microseconds of
# processor for each.
pooled_run() {
  local server before log=$work/pgbench.log
  server=$(head -n 1 "$PGDATA/postmaster.pid")
  before=$(backends_time "$server")
  "$PG_BIN/pgbench" -n -c "$2" -j 1 -T "$3" -f "$work/pooled_$1" -h "$work" -p $pooled_port -U app postgres \
    >"$log" 2>&1 || { tail -5 "$log" >&2; die "pgbench failed"; }
  awk -v spent="$(backends_time "$server")" -v before="$before" '
    /^number of transactions actually processed/ { split($6, number, "/") }
    /^tps/ { print $3, (spent - before) / number[1] / 1000 }' "$log"
}

# pooled_times: into $work/pooled.TENANTS.CLIENTS.VARIANT and $work/pooled.cpu.TENANTS.CLIENTS.VARIANT; the variants
# take turns.
pooled_times() {
  local many clients variant round order=$pooled_variants key
  start_pgbouncer
  say "transactions through PgBouncer, $pooled_rounds rounds"
  for many in $pooled_tenants; do
    for variant in $pooled_variants; do pooled_script "$variant" "$many" >"$work/pooled_$variant"; done
    for clients in $pooled_clients; do
      for ((round = 0; round <= pooled_rounds; round++)); do
        for variant in $order; do
          key=$many.$clients.$variant
          if [ $round = 0 ]; then
            pooled_run "$variant" "$clients" 1 >/dev/null  # only warms up
          else
            pooled_run "$variant" "$clients" $pooled_seconds >"$work/pooled_result"
            cut -d ' ' -f 1 "$work/pooled_result" >>"$work/pooled.$key"
            cut -d ' ' -f 2 "$work/pooled_result" >>"$work/pooled.cpu.$key"
          fi
        done
        order=$(turned "$order")
      done
    done
  done
  kill "$(cat "$work/pgbouncer.pid")"
}

pooled_table() {
  local many clients variant cells head=() key kind shown
  sized pooled "$registry_rows"
  local -A kind_title=([tps]='Transactions per second' [cpu]="Microseconds of the server's processor per transaction")
  for clients in $pooled_clients; do head+=("clients: $clients" ratio); done
  for many in $pooled_tenants; do
    for kind in cpu tps; do
      table pooled "${kind_title[$kind]} through PgBouncer, $(grouped "$many") tenants at random (median of $pooled_rounds)" \
        "" "${head[@]}"
      for variant in $pooled_variants; do
        cells=()
        for clients in $pooled_clients; do
          key=pooled.$many.$clients
          [ $kind = tps ] || key=pooled.cpu.$many.$clients
          shown=$(times_as "$key.$variant" "$key.context")
          plotted pooled "$kind" "$many" "$clients" "$variant" "$(ms "$key.$variant" 0)" "$shown"
          [ "$variant.$kind" != protected.cpu ] || shown=$(judged "$shown" 1.03)
          cells+=("$(grouped "$(ms "$key.$variant" 0)")" "$shown")
        done
        row "${pooled_title[$variant]}" "${cells[@]}"
      done
    done
  done
}
