# For bench/run --quick: whether a ratio of instructions has grown by more than 5 % over the expected one.
# shellcheck shell=bash disable=SC2154,SC2034,SC2004 # bench/run has the variables

expected_ratios=$top/bench/expected_ratios

check_roughly() {
  partition_counts=128 registry_rows=500000
  partition_variants='handwritten protected' registry_variants=$partition_variants
}
check_load() { each load partitions registry; }

# queue_expected SUBJECT PROTOCOL VARIANT: one variant of an expected ratio, to be counted as cost[SUBJECT PROTOCOL
# VARIANT]. A subject is a schema of bench/lib/data.sql or bench/parts/partitions.sql, whose transactions read 20 rows,
# or a case of the statements, or of the registry for its median tenant.
queue_expected() {
  local first statement warm_up=$warm
  case $1 in
    small | parts_*)
      lookup "$2" "$1" "$3"
      [ "$1" = small ] || warm_up=1100  # until each partition is in the caches
      queue "$*" "$first" "$(in_transaction "$set_local" "$(padded "$statement")")" "$warm_up" "$steady"
      ;;
    registry_*) queue_registry "${1#registry_}" median "$3" "$2" ;;
    *) queue_statement "$1" "$3" "$2" ;;
  esac
  queued[-1]=$*
}

# check_ratios: one line for each expected ratio, in TAP.
check_ratios() {
  local subject protocol variant expected now number=0 failed=0 verdict place=0
  while read -r subject protocol expected; do
    for variant in handwritten protected; do queue_expected "$subject" "$protocol" "$variant"; done
  done <"$expected_ratios"
  count_queued rls_tenant
  echo "1..$(grep -c . "$expected_ratios")"
  while read -r subject protocol expected; do
    for variant in handwritten protected; do
      place=$((place + 1))
      case $subject in
        small) check_sums $((warm + steady)) "$place" ;;
        parts_*) check_sums $((1100 + steady)) "$place" ;;
      esac
    done
    number=$((number + 1)) verdict=ok
    now=$(ratio "${cost[$subject $protocol protected]}" "${cost[$subject $protocol handwritten]}")
    if awk -v now="$now" -v expected="$expected" 'BEGIN { exit now + 0 <= 1.05 * expected ? 1 : 0 }'; then
      verdict='not ok' failed=1
    fi
    echo "$verdict $number - instructions, $subject $protocol: $now of the hand-written condition (expected $expected)"
  done <"$expected_ratios"
  return $failed
}
