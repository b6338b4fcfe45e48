# For bench/run: sequential scans of all rows, by one process and in parallel, for one tenant.
# shellcheck shell=bash disable=SC2154,SC2034,SC2004 # bench/run has the variables

scan_sizes=1000000 scan_variants="$variants generic"
declare -A scan_rounds=([1000000]=31 [10000000]=5)
scan_roughly() { scan_rounds[1000000]=5; }
scan_largely() { scan_sizes+=' 10000000'; }

scan_settings='SET enable_indexscan = off; SET enable_bitmapscan = off; SET jit = off; SET synchronize_seqscans = off;'
in_parallel='SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;'
in_one_process='SET max_parallel_workers_per_gather = 0;'

# load_scanned: the tables of these sizes, in which one tenant has 30 % of the rows; bench/parts/estimates.sh uses them,
# too.
load_scanned() {
  local rows
  for rows in $scan_sizes; do
    [ -n "${loaded[scanned_$rows]-}" ] || load "$rows" "scanned_$rows" '' 30 UNLOGGED
    loaded[scanned_$rows]=1
  done
}
scan_load() { load_scanned; }

# scan_query SCHEMA VARIANT: what all variants run. The variant "generic" is protect() again, with a plan that does not
# contain the tenant: that of the statement that scan_prepared prepares.
scan_query() { if [ "$2" = generic ]; then echo 'EXECUTE generic'; else query "$1" "$2"; fi; }
scan_prepared() { echo "PREPARE generic AS $(query "$1" protected);"; }

# scan_script ROWS MODE SETTINGS: the variants in turn, for a tenant of a thousandth of the rows.
scan_script() {
  local round variant order=$scan_variants id=${tenants[0]}
  echo "$scan_settings $3 $stats_on SET ROLE app;"
  scan_prepared "scanned_$1"
  in_transaction "${set_local/@/$id}" "$(
    for ((round = 0; round <= ${scan_rounds[$1]}; round++)); do
      for variant in $order; do
        marked "$(mark $round "scan.$1.$2.$variant")" "\\timing on
$(scan_query "scanned_$1" "$variant" | sed "s/@/$id/");
\\timing off"
      done
      order=$(turned "$order")
    done
  )"
}

# scan_times: processor time of one process, and wall-clock time of several, since the server's statistics leave out the
# workers.
scan_times() {
  local rows variant
  for rows in $scan_sizes; do
    say "scanning $rows rows, ${scan_rounds[$rows]} rounds"
    scan_script "$rows" single "$in_one_process" | run_script
    keep_processor
    [ "$(grep '^[0-9]' "$work/printed" | sort -u | wc -l)" = 1 ] || die "the variants see different rows"
    for variant in $scan_variants; do
      {
        echo "$scan_settings $in_parallel SET ROLE app;"
        scan_prepared "scanned_$rows"
        in_transaction "${set_local/@/${tenants[0]}}" \
          "EXPLAIN (ANALYZE, COSTS OFF) $(scan_query "scanned_$rows" "$variant" | sed "s/@/${tenants[0]}/");"
      } | run_script
      grep -q 'Workers Launched: [12]' "$work/printed" || die "no parallel scan: $variant"
    done
    scan_script "$rows" parallel "$in_parallel" | run_script
    keep_printed 'Time: '
  done
}

scan_table() {
  local rows variant per_row base_per_row single parallel cells
  for variant in $scan_variants; do
    count "scan $variant" rls_tenant "$scan_settings $in_one_process $(scan_prepared small)" \
      "$(in_transaction "$set_local" "$(padded "$(scan_query small "$variant")")")" 2 5
    check_sums 7
  done
  for rows in $scan_sizes; do
    sized scan "$rows"
    table scan "Sequential scan of $(grouped "$rows") rows" "" "ms of processor, least of ${scan_rounds[$rows]}" \
      "ratio, median" "ms in parallel, least" "ratio, median" "instructions per row (of 20,000)" ratio
    for variant in $scan_variants; do
      per_row=$((${cost[scan $variant]} / 20000)) base_per_row=$((${cost[scan handwritten]} / 20000))
      single=$(times_as "scan.$rows.single.$variant" "scan.$rows.single.handwritten")
      parallel=$(times_as "scan.$rows.parallel.$variant" "scan.$rows.parallel.handwritten")
      if [[ $variant == protected || $variant == generic ]]; then
        single=$(judged "$single" 1.05) parallel=$(judged "$parallel" 1.05)
      fi
      row "${title[$variant]}" "$(printf %.1f "$(least "$work/scan.$rows.single.$variant")")" "$single" \
        "$(printf %.1f "$(least "$work/scan.$rows.parallel.$variant")")" "$parallel" \
        "$(grouped "$per_row")" "$(ratio "$per_row" "$base_per_row")"
    done
  done
}
