# For bench/run --check: whether a ratio of instructions has grown by more than 5 % over the recorded one.
# shellcheck shell=bash disable=SC2154,SC2034 # bench/run has the variables

recorded=$top/bench/recorded

# measured NAME: the ratio of that name (SCHEMA PROTOCOL), protect() to the hand-written condition.
measured() {
  local schema=${1% *} protocol=${1#* } side first statement warm_up=$warm
  [ "$schema" = small ] || warm_up=1100  # until each partition is in the caches
  for side in handwritten protected; do
    lookup "$protocol" "$schema" "$side"
    count "$side $1" rls_tenant "$first" "$(in_transaction "$set_local" "$(padded "$statement")")" "$warm_up" "$steady"
    check_sums $((warm_up + steady))
  done
  ratio "${cost[protected $1]}" "${cost[handwritten $1]}"
}

# check_ratios: one line for each recorded ratio, in TAP.
check_ratios() {
  local name before now number=0 failed=0 verdict
  echo "1..$(grep -c . "$recorded")"
  while read -r schema protocol before; do
    name="$schema $protocol" number=$((number + 1)) verdict=ok
    measured "$name" >"$work/ratio"  # not in a subshell, which would lose the costs
    now=$(tail -n 1 "$work/ratio")
    if awk -v now="$now" -v before="$before" 'BEGIN { exit now + 0 <= 1.05 * before ? 1 : 0 }'; then
      verdict='not ok' failed=1
    fi
    echo "$verdict $number - instructions, $name: $now of the hand-written condition (recorded $before)"
  done <"$recorded"
  return $failed
}
