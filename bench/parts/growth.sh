# For bench/run: how the statements of an application grow with the rows: 20 a tenant, 200 and 2,000.
# shellcheck shell=bash disable=SC2154,SC2034,SC2004 # bench/run has the variables

growth_sizes='20000 200000 2000000' growth_variants='handwritten protected setting'
growth_roughly() { growth_sizes='20000 200000'; }

growth_load() {
  local rows
  for rows in $growth_sizes; do load "$rows" "grown_$rows" "$growth_variants"; done
}

# exponent CASE VARIANT: of what power of the rows the instructions are, from the fewest rows to the most.
exponent() {
  local few=${growth_sizes%% *} many=${growth_sizes##* }
  awk -v few="${cost[$1 $2 simple grown_$few]}" -v many="${cost[$1 $2 simple grown_$many]}" -v times=$((many / few)) \
    'BEGIN { x = log(many / few) / log(times); print sprintf("%.3f", (x < 0 && x > -0.0005) ? 0 : x) }'
}

growth_table() {
  local name variant rows cells head=()
  for rows in $growth_sizes; do head+=("by hand, $(grouped "$rows") rows" "\`protect()\`"); done
  table growth "Growth: instructions per transaction with 20, 200 and 2,000 rows a tenant, simple protocol" "" "${head[@]}" \
    "exponent by hand" "\`protect()\`" "\`current_setting()\`"
  for rows in $growth_sizes; do count_statements simple "$statement_cases" "$growth_variants" "grown_$rows"; done
  for name in $statement_cases; do
    cells=()
    for rows in $growth_sizes; do
      for variant in $growth_variants; do
        plotted growth "$name" "$variant" "$rows" "${cost[$name $variant simple grown_$rows]}"
      done
      cells+=("$(grouped "${cost[$name handwritten simple grown_$rows]}")"
        "$(judged "$(ratio "${cost[$name protected simple grown_$rows]}" "${cost[$name handwritten simple grown_$rows]}")" 1.03)")
    done
    for variant in $growth_variants; do cells+=("$(exponent "$name" "$variant")"); done
    row "${case_title[$name]}" "${cells[@]}"
  done
}
