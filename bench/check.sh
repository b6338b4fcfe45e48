# For bench/run --check: whether a ratio of instructions has grown by more than 5 % over the recorded one.
# shellcheck shell=bash disable=SC2154,SC2034,SC2004 # bench/run has the variables

recorded=$top/bench/recorded

check_quickly() { partition_counts=128 registry_rows=500000 partition_sides='handwritten protected' registry_sides=$partition_sides; }
check_load() { each load partitions registry; }

# measured SUBJECT PROTOCOL: counts both sides of a recorded ratio as cost[SIDE SUBJECT PROTOCOL]. A subject is a schema of
# bench/data.sql or bench/partitions.sql, whose transactions read 20 rows, or a case of the statements or of the registry.
measured() {
  local side first statement warm_up=$warm
  for side in handwritten protected; do
    case $1 in
      small | parts_*)
        lookup "$2" "$1" "$side"
        [ "$1" = small ] || warm_up=1100  # until each partition is in the caches
        count "$side $1 $2" rls_tenant "$first" "$(in_transaction "$set_local" "$(padded "$statement")")" "$warm_up" "$steady"
        check_sums $((warm_up + steady))
        ;;
      registry_*)
        queue_registry "${1#registry_}" median "$side" "$2"
        count_queued rls_tenant
        cost[$side $1 $2]=${cost[${1#registry_} median $side $2]}
        ;;
      *)
        queue_statement "$1" "$side" "$2"
        count_queued rls_tenant
        cost[$side $1 $2]=${cost[$1 $side $2 small]}
        ;;
    esac
  done
}

# check_ratios: one line for each recorded ratio, in TAP.
check_ratios() {
  local subject protocol before now number=0 failed=0 verdict
  echo "1..$(grep -c . "$recorded")"
  while read -r subject protocol before; do
    number=$((number + 1)) verdict=ok
    measured "$subject" "$protocol"
    now=$(ratio "${cost[protected $subject $protocol]}" "${cost[handwritten $subject $protocol]}")
    if awk -v now="$now" -v before="$before" 'BEGIN { exit now + 0 <= 1.05 * before ? 1 : 0 }'; then
      verdict='not ok' failed=1
    fi
    echo "$verdict $number - instructions, $subject $protocol: $now of the hand-written condition (recorded $before)"
  done <"$recorded"
  return $failed
}
