# For bench/run: transactions that read one tenant's rows of a partitioned table.
# shellcheck shell=bash disable=SC2154,SC2034 # bench/run has the variables

partition_counts='8 128' partition_variants=$variants
partitions_largely() { partition_counts='8 128 1024'; }

# partitions_load: tables with so many partitions, each in a schema parts_N.
partitions_load() {
  local count
  for count in $partition_counts; do
    say "loading 20000 rows into $count partitions"
    psql -X -q -v rows=20000 -v partitions="$count" -v schema="parts_$count" -v variants="$partition_variants" \
      -f "$top/bench/parts/partitions.sql"
  done
}

# partition_rounds VARIANT: how many transactions warm up, so that each relation that the variant uses is in the caches,
# and how many count. A plan that names one partition takes a tenant of each; the others open all of them every time.
partition_rounds() {
  case $1 in
    handwritten | protected) echo '1100 200' ;;
    *) echo '5 10' ;;
  esac
}

# count_partitions COUNT PROTOCOL: counts all variants as cost[VARIANT COUNT PROTOCOL].
count_partitions() {
  local variant rounds first statement place=0
  for variant in $partition_variants; do
    lookup "$2" "parts_$1" "$variant"
    read -ra rounds <<<"$(partition_rounds "$variant")"
    queue "$variant $1 $2" "$first" "$(in_transaction "$set_local" "$(padded "$statement")")" "${rounds[@]}"
  done
  count_queued rls_tenant
  for variant in $partition_variants; do
    read -ra rounds <<<"$(partition_rounds "$variant")"
    place=$((place + 1))
    check_sums $((rounds[0] + rounds[1])) $place
  done
}

partitions_table() {
  local count variant protocol cells shown
  for count in $partition_counts; do
    for protocol in simple prepared; do
      count_partitions "$count" $protocol
      for variant in $partition_variants; do
        plotted partitions "$protocol" "$count" "$variant" \
          "$(ratio "${cost[$variant $count $protocol]}" "${cost[handwritten $count $protocol]}")"
      done
    done
  done
  for count in $partition_counts; do
    [ "$count" -le 128 ] || large[partitions]='--large '
    table partitions \
      "Instructions per transaction that reads 20 of 20,000 rows of a table of $(grouped "$count") partitions" \
      "" "simple protocol" ratio prepared ratio
    for variant in $partition_variants; do
      cells=()
      for protocol in simple prepared; do
        shown=$(ratio "${cost[$variant $count $protocol]}" "${cost[handwritten $count $protocol]}")
        [ "$variant" != protected ] || shown=$(judged "$shown" 1.03)
        cells+=("$(grouped "${cost[$variant $count $protocol]}")" "$shown")
      done
      row "${title[$variant]}" "${cells[@]}"
    done
  done
  large[partitions]=  # all are in one plot
}
