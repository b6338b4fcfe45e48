# For bench/run: sequential scans of all rows, of which one tenant's count, by one process and in parallel.
# shellcheck shell=bash disable=SC2154,SC2034,SC2004 # bench/run has the variables

scan_sizes=1000000 scan_sides="$sides kept"
declare -A loaded=()  # what parts share
declare -A scan_rounds=([1000000]=31 [10000000]=5)
scan_roughly() { scan_rounds[1000000]=5; }
scan_largely() { scan_sizes+=' 10000000'; }

scan_settings='SET enable_indexscan = off; SET enable_bitmapscan = off; SET jit = off; SET synchronize_seqscans = off;'
in_parallel='SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;'
in_one_process='SET max_parallel_workers_per_gather = 0;'

# load_scanned: the tables of these sizes, in which one tenant has 30 % of the rows; bench/estimates.sh wants them, too.
load_scanned() {
  local rows
  for rows in $scan_sizes; do
    [ -n "${loaded[scanned_$rows]-}" ] || load "$rows" "scanned_$rows" '' 30 UNLOGGED
    loaded[scanned_$rows]=1
  done
}
scan_load() { load_scanned; }

# scan_query SCHEMA SIDE: what all sides run. The side "kept" is protect() again, with a plan that does not hold the value: that of a
# statement that was prepared as $scan_prepared says.
scan_query() { if [ "$2" = kept ]; then echo 'EXECUTE kept'; else query "$1" "$2"; fi; }
scan_prepared() { echo "PREPARE kept AS $(query "$1" protected);"; }

# scan_script ROWS MODE SETTINGS: the sides in turn, for a tenant of a thousandth of the rows.
scan_script() {
  local round side order=$scan_sides id=${tenants[0]}
  echo "$scan_settings $3 $stats_on SET ROLE app;"
  scan_prepared "scanned_$1"
  in_transaction "${set_local/@/$id}" "$(
    for ((round = 0; round <= ${scan_rounds[$1]}; round++)); do
      for side in $order; do
        marked "$(mark $round "scan.$1.$2.$side")" "\\timing on
$(scan_query "scanned_$1" "$side" | sed "s/@/$id/");
\\timing off"
      done
      order=$(turned "$order")
    done
  )"
}

# scan_times: of one process the processor's milliseconds, of several the wall clock's, since the server's statistics leave
# out the workers.
scan_times() {
  local rows side
  for rows in $scan_sizes; do
    say "scanning $rows rows, ${scan_rounds[$rows]} rounds"
    scan_script "$rows" single "$in_one_process" | run_script
    keep_processor
    [ "$(grep '^[0-9]' "$work/printed" | sort -u | wc -l)" = 1 ] || die "the sides see different rows"
    for side in $scan_sides; do
      {
        echo "$scan_settings $in_parallel SET ROLE app;"
        scan_prepared "scanned_$rows"
        in_transaction "${set_local/@/${tenants[0]}}" \
          "EXPLAIN (ANALYZE, COSTS OFF) $(scan_query "scanned_$rows" "$side" | sed "s/@/${tenants[0]}/");"
      } | run_script
      grep -q 'Workers Launched: [12]' "$work/printed" || die "no parallel scan: $side"
    done
    scan_script "$rows" parallel "$in_parallel" | run_script
    keep_printed 'Time: '
  done
}

scan_table() {
  local rows side per_row base_per_row single parallel cells
  for side in $scan_sides; do
    count "scan $side" rls_tenant "$scan_settings $in_one_process $(scan_prepared small)" \
      "$(in_transaction "$set_local" "$(padded "$(scan_query small "$side")")")" 2 5
    check_sums 7
  done
  for rows in $scan_sizes; do
    sized scan "$rows"
    table scan "Sequential scan of $(grouped "$rows") rows" "" "ms of processor, least of ${scan_rounds[$rows]}" \
      "ratio, median" "ms in parallel, least" "ratio, median" "instructions per row (of 20,000)" ratio
    for side in $scan_sides; do
      per_row=$((${cost[scan $side]} / 20000)) base_per_row=$((${cost[scan handwritten]} / 20000))
      single=$(times_as "scan.$rows.single.$side" "scan.$rows.single.handwritten")
      parallel=$(times_as "scan.$rows.parallel.$side" "scan.$rows.parallel.handwritten")
      if [[ $side == protected || $side == kept ]]; then single=$(judged "$single" 1.05) parallel=$(judged "$parallel" 1.05); fi
      row "${title[$side]}" "$(printf %.1f "$(least "$work/scan.$rows.single.$side")")" "$single" \
        "$(printf %.1f "$(least "$work/scan.$rows.parallel.$side")")" "$parallel" \
        "$(grouped "$per_row")" "$(ratio "$per_row" "$base_per_row")"
    done
  done
}
