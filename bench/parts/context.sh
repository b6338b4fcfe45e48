# For bench/run: setting the context.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # bench/run has the variables; backquotes are Markdown's

# alone NAME PROTOCOL: what a call costs beyond a SELECT of the same id.
alone() { echo $((${cost[$1 $2]} - ${cost[nothing $2]})); }

context_table() {
  local name protocol first statement cells
  local -A call=(
    [nothing]="SELECT '@'::text"
    [set_context]="SELECT rls_tenant.set_context('@'::uuid)"
    [set_config]="SELECT set_config('rls_tenant.tenant_id', '@'::text, true)"
    [unchecked]="SELECT set_config('app.tenant', '@'::text, true)"
  )
  local -A label=(
    [nothing]="\`SELECT\` of the id"
    [set_context]="**\`set_context(uuid)\`**"
    [set_config]="\`set_config('rls_tenant.tenant_id', …, true)\`"
    [unchecked]="\`set_config('app.tenant', …, true)\`, a setting that nobody checks"
  )
  table context "Instructions per transaction that only sets the context" "" "simple protocol" "the call alone" \
    ratio prepared "the call alone" ratio
  for name in set_config set_context unchecked nothing; do
    for protocol in simple prepared; do
      first='' statement=${call[$name]}
      if [ $protocol = prepared ]; then
        first="PREPARE q AS ${statement/\'@\'/\$1};" statement="EXECUTE q('@')"
      fi
      count "$name $protocol" rls_tenant "$first" "$(in_transaction "$(padded "$statement")")"
    done
  done
  for name in set_config set_context unchecked; do
    cells=()
    for protocol in simple prepared; do
      cells+=("$(grouped "${cost[$name $protocol]}")" "$(grouped "$(alone $name $protocol)")"
        "$(ratio "$(alone $name $protocol)" "$(alone set_config $protocol)")")
      [ $name != set_context ] || cells[-1]=$(judged "${cells[-1]}" 2)
    done
    row "${label[$name]}" "${cells[@]}"
  done
  row "${label[nothing]}" "$(grouped "${cost[nothing simple]}")" "" "" "$(grouped "${cost[nothing prepared]}")" "" ""
  for name in rls_tenant.tenant_id app.tenant; do
    count "$name" rls_tenant '' "$(in_transaction "$(padded "SET LOCAL $name = '@'")")"
    row "\`SET LOCAL $name = …\`" "$(grouped "${cost[$name]}")" "" "" "" "" ""
  done
}
