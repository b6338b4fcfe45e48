# For bench/run: how many rows the planner expects, and how many there are, where one tenant has 30 % of them.
# shellcheck shell=bash disable=SC2154,SC2034,SC2004,SC2016 # bench/run has the variables; backquotes are Markdown's
# shellcheck disable=SC2028 # \echo is psql's

estimates_load() { load_scanned; }

# The tenant that has 30 %, and one of those that have a thousandth.
estimates_tenants() {
  local ids
  mapfile -t ids < <(psql -X -qAtc 'SELECT id FROM tenant WHERE number IN (1, 1000) ORDER BY number')
  declare -gA estimated=([30%]=${ids[0]} [0.1%]=${ids[1]})
}

# explained ROWS VARIANT TENANT: EXPLAIN as that tenant of what is prepared as q.
explained() {
  local arguments=
  [ "$2" != handwritten ] || arguments="('${estimated[$3]}')"
  in_transaction "${set_local/@/${estimated[$3]}}" "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE q$arguments;"
}

# estimate_script ROWS VARIANT FIRST: prepares a statement and runs it six times as the tenant FIRST, after which
# PostgreSQL may have settled on a plan for all; then once as each tenant.
estimate_script() {
  local i types='' condition=''
  if [ "$2" = handwritten ]; then types='(uuid)' condition=' WHERE tenant_id = $1'; fi
  echo 'SET jit = off; SET max_parallel_workers_per_gather = 0; SET ROLE app;'
  echo "PREPARE q$types AS SELECT id, amount FROM scanned_$1.$2$condition;"
  echo '\echo mark first'
  explained "$1" "$2" "$3"
  echo '\echo mark -'
  for i in 1 2 3 4 5; do explained "$1" "$2" "$3"; done
  for i in '30%' '0.1%'; do
    echo "\echo mark $i"
    explained "$1" "$2" "$i"
  done
}

# estimates_times: "FIRST TENANT ROWS VARIANT expected found plan" for each statement, into $work/estimates. TENANT is
# "first" for the plan that was made for that tenant itself.
estimates_times() {
  local rows variant first
  estimates_tenants
  for rows in $scan_sizes; do
    for variant in $variants; do
      for first in '30%' '0.1%'; do
        estimate_script "$rows" "$variant" "$first" | run_script
        # The rows of the plan's topmost node, unless that is one which only evaluates the condition.
        awk -v first="$first" -v rows="$rows" -v variant="$variant" '
          /^mark/ { mark = $2; waiting = 1; next }
          waiting && mark != "-" && match($0, /rows=[0-9]+ width/) {
            expected = substr($0, RSTART + 5, RLENGTH - 11)
            plan = $0; sub(/  \(cost.*/, "", plan); sub(/ (on|using) .*/, "", plan); sub(/^ *(-> *)?/, "", plan)
            match($0, /\(actual rows=[0-9.]+/); found = substr($0, RSTART + 13, RLENGTH - 13)
            print first, mark, rows, variant, expected, int(found), plan
            waiting = 0
          }' "$work/printed" >>"$work/estimates"
      done
    done
  done
}

# estimate FIRST TENANT ROWS VARIANT: the planner's rows, their q-error (how many times too many or too few), and the
# plan.
estimate() {
  awk -v key="$*" '
    $1 " " $2 " " $3 " " $4 == key {
      plan = $7; for (i = 8; i <= NF; i++) plan = plan " " $i
      q = $5 > $6 ? $5 / $6 : $6 / $5
      printf "%s (%.2f, %s)\n", $5, q, plan
    }' "$work/estimates" | sed -E ':again; s/^([0-9]+)([0-9]{3})( |,)/\1,\2\3/; t again'
}

estimates_table() {
  local rows variant first tenant cells
  for rows in $scan_sizes; do
    sized estimates "$rows"
    table estimates \
      "Rows expected by the planner of $(grouped "$rows"): a plan for the tenant that asks (times too many or too few; plan)" \
      "" "tenant with 30 %: $(grouped $((rows * 3 / 10)))" "tenant with 0.1 %: $(grouped $((rows / 1000)))"
    for variant in $variants; do
      row "${title[$variant]}" "$(estimate '30%' first "$rows" "$variant")" "$(estimate '0.1%' first "$rows" "$variant")"
    done
    table estimates "The same, prepared: a statement that one tenant has run six times, when another one runs it" "" \
      "by 30 %, then 0.1 %" "by 0.1 %, then 30 %"
    for variant in $variants; do
      row "${title[$variant]}" "$(estimate '30%' '0.1%' "$rows" "$variant")" "$(estimate '0.1%' '30%' "$rows" "$variant")"
    done
  done
}
