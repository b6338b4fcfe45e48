# For bench/run: a transaction that reads one tenant's rows by index.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # bench/run has the variables; backquotes are Markdown's

transaction_table() {
  local variant protocol cells shown first statement
  local -A target=([simple]=1.08 [prepared]=1.02)
  table transaction "Instructions per transaction that reads 20 of 20,000 rows by index" "" "simple protocol" ratio \
    "prepared" ratio
  for variant in $variants fast current; do
    cells=()
    for protocol in simple prepared; do
      lookup $protocol small "$variant"
      count "$variant $protocol" rls_tenant "$first" "$(in_transaction "$set_local" "$(padded "$statement")")"
      check_sums $((warm + steady))
      shown=$(ratio "${cost[$variant $protocol]}" "${cost[handwritten $protocol]}")
      [ "$variant" != protected ] || shown=$(judged "$shown" "${target[$protocol]}")
      cells+=("$(grouped "${cost[$variant $protocol]}")" "$shown")
    done
    row "${title[$variant]}" "${cells[@]}"
  done
}
