# For bench/run: transactions that have nothing to do with the extension.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # bench/run has the variables; backquotes are Markdown's

hooks_table() {
  local name first statement with without
  local -A label=(
    [nothing]="\`BEGIN; COMMIT\`"
    [constant]="\`SELECT 1\`"
    [prepared]="${title[handwritten]}, prepared"
  )
  table hooks "Instructions per transaction that neither sets nor reads a context" "" "library not loaded" loaded \
    difference ratio
  for name in nothing constant prepared; do
    first='' statement=
    case $name in
      constant) statement='SELECT 1;' ;;
      prepared) lookup prepared small handwritten && statement+=';' ;;
    esac
    count "$name, not loaded" '' "$first" "$(in_transaction "$statement")"
    count "$name, loaded" rls_tenant "$first" "$(in_transaction "$statement")"
    without=${cost[$name, not loaded]} with=${cost[$name, loaded]}
    row "${label[$name]}" "$(grouped "$without")" "$(grouped "$with")" "$((with - without))" "$(ratio "$with" "$without")"
  done
}
