# For bench/run: instructions per transaction, counted by callgrind: start a server, run some transactions until it is
# warm, and count during the next ones.
# shellcheck shell=bash disable=SC2154,SC2034 # bench/run has the variables

warm=200 steady=1000
# counting_roughly: rougher figures.
counting_roughly() { warm=100 steady=200; }

# padded STATEMENT [LENGTH]: the statement, filled up with blanks, because single-user mode reads its input byte by byte
# and a longer statement would cost more. @ counts as the id that takes its place, and # as that of a row.
padded() {
  local text=${1//@/${tenants[0]}}
  text=${text//#/1000}
  printf '%s%*s;' "$1" $((${2:-110} - ${#text})) ''
}

in_transaction() { printf '%s\n' 'BEGIN;' "$@" 'COMMIT;'; }

# What changes rows is undone, so that each transaction finds the same rows.
undone() { printf '%s\n' 'BEGIN;' "$@" 'ROLLBACK;'; }

# row_of NUMBER: the id of a row of the tenant that the transaction of this number stands for: the tenants come in steps
# of 7 of 1,000, whose inverse is 143, and row r is that of tenant 1 + r % 1000.
row_of() { echo $((($1 * 143 + 999) % 1000 + 1000)); }

# queue KEY FIRST TRANSACTION WARM STEADY: adds to what the server reads: FIRST once, and TRANSACTION for one tenant
# after the other. Two calls of pg_sleep() mark the part that counts.
queue() {
  local i transaction
  queued+=("$1") queued_steady+=("$5")
  {
    printf '%s\n' 'SET SESSION AUTHORIZATION app;' 'DEALLOCATE ALL;' "$2"
    for ((i = 0; i < $4 + $5; i++)); do
      [ "$i" != "$4" ] || echo 'SELECT pg_sleep(0);'
      transaction=${3//@/${tenants[i % 1000]}}
      printf '%s\n' "${transaction//#/$(row_of "$i")}"
    done
    echo 'SELECT pg_sleep(0);'
  } | grep -v '^$' >>"$work/input"
}

# count_queued LIBRARY: puts the instructions per transaction of all that is queued into cost[KEY], for a server with
# LIBRARY loaded as in production. The answers go to $work/answers, and those of the first, second… in the queue to
# $work/answers.1…
declare -A cost
queued=() queued_steady=()
count_queued() {
  local out=$work/callgrind.out i
  say "counting instructions: ${queued[0]} (${#queued[@]})"
  rm -f "$out".* "$work"/answers.*
  as_server valgrind --tool=callgrind --callgrind-out-file="$out" --dump-before=pg_sleep \
    "$PG_BIN/postgres" --single -D "$PGDATA" -c session_preload_libraries="$1" -c jit=off postgres \
    <"$work/input" >"$work/answers" 2>"$work/single.log" ||
    { tail -20 "$work/single.log" >&2; die "the server failed"; }
  if grep -E 'ERROR:|WARNING:|FATAL:' "$work/single.log" >&2; then die "a statement failed"; fi
  awk -v out="$work/answers." '{ print >(out (1 + int(marks / 2))) } /pg_sleep = "/ { marks++ }' "$work/answers"
  for ((i = 0; i < ${#queued[@]}; i++)); do
    # The part between its marks.
    cost[${queued[i]}]=$(($(sed -n 's/^totals: //p' "$out.$((2 * i + 2))") / queued_steady[i]))
  done
  queued=() queued_steady=()
  rm "$work/input"
}

# count KEY LIBRARY FIRST TRANSACTION [WARM STEADY]: one alone.
count() {
  queue "$1" "$3" "$4" "${5:-$warm}" "${6:-$steady}"
  count_queued "$2"
}

# check_sums COUNT [PLACE]: dies unless COUNT transactions of the first in the last queue, or of the one in that place,
# returned what their tenants must see.
check_sums() {
  awk -v count="$1" '{ sum[NR - 1] = $2 } END { for (i = 0; i < count; i++) print sum[i % NR] }' "$work/tenants" |
    cmp -s - <(sed -n 's/^.*sum = "\([0-9]*\)".*/\1/p' "$work/answers.${2:-1}") ||
    die "a tenant sees other rows than its own"
}

# --- Over the wire

# start_counting: starts the server under callgrind as a whole; each backend writes what it executed to
# $work/backend.PID, and at each pg_sleep() what it executed since the last one to $work/backend.PID.NUMBER.
start_counting() {
  printf '#!/bin/sh\nexec valgrind --tool=callgrind --callgrind-out-file="%s/backend.%%p" --dump-before=pg_sleep "%s/postgres" "$@"\n' \
    "$work" "$PG_BIN" >"$work/counting"
  chmod 755 "$work/counting"
  as_server "$PG_BIN/pg_ctl" -D "$PGDATA" -p "$work/counting" -l "$work/counting.log" -w -t 120 start >/dev/null ||
    { tail -20 "$work/counting.log" >&2; die "the server did not start under callgrind"; }
  cluster_runs=1
}

# count_wire KEY STATEMENT WARM STEADY [OPTION…]: the instructions of a transaction in the extended protocol, as pgbench
# uses it with these OPTIONs: what varies is sent as parameters. Rolled back like the others. Needs start_counting.
count_wire() {
  local i values=() sent=${2//"'@'"/:t@} transaction parts
  say "counting instructions: $1"
  for ((i = 0; i < $3 + $4; i++)); do
    [ "$i" != "$3" ] || echo 'SELECT pg_sleep(0);'
    transaction=${sent//@/$i}
    printf '%s\n' "\set r $(row_of "$i")" 'BEGIN;' "${set_local//@/${tenants[i % ${#tenants[@]}]}}" \
      "${transaction//'#'/:r};" 'ROLLBACK;'
  done >"$work/wire"
  echo 'SELECT pg_sleep(0);' >>"$work/wire"
  for ((i = 0; i < $3 + $4; i++)); do values+=(-D "t$i=${tenants[i % ${#tenants[@]}]}"); done
  rm -f "$work"/backend.*
  PGOPTIONS='-c jit=off' "$PG_BIN/pgbench" -n -M extended -t 1 -f "$work/wire" "${values[@]}" "${@:5}" -U app postgres \
    >"$work/pgbench.log" 2>&1 || { tail -5 "$work/pgbench.log" >&2; die "pgbench failed"; }
  parts=("$work"/backend.*.2)
  cost[$1]=$(($(sed -n 's/^totals: //p' "${parts[0]}") / $4))
}
