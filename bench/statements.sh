# For bench/run: the statements of an application, one a transaction, in instructions.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # bench/run has the variables; backquotes are Markdown's

statement_sides='handwritten protected setting'
statement_cases='lookup page join upsert update delete insert'
declare -A case_title=(
  [lookup]='point lookup by primary key'
  [page]='page of 20 rows, in order'
  [join]='join of three tables'
  [upsert]='`INSERT … ON CONFLICT DO UPDATE`'
  [update]='`UPDATE` of a row'
  [delete]='`DELETE` of a row'
  [insert]='`INSERT` of 10,000 rows'
)

# statements_load: tables with rights to write them.
statements_load() {
  psql -X -q -v ON_ERROR_STOP=1 -c 'GRANT ALL ON ALL TABLES IN SCHEMA small TO app'
}

# statement_of CASE SIDE: the statement, in which @ stands for the tenant and # for the id of one of its rows. What differs
# between the sides is the tenant's condition, written by hand or in policies.
statement_of() {
  local table=small.$2 own='' also='' key="'@'::uuid"
  if [ "$2" = handwritten ]; then own=" WHERE tenant_id = '@'" also=" AND tenant_id = '@'"; fi
  case $1 in
    lookup) echo "SELECT amount FROM $table WHERE id = #$also" ;;
    page) echo "SELECT id, amount FROM $table$own ORDER BY id LIMIT 20" ;;
    join)
      echo "SELECT sum(a.amount + b.amount + c.amount) AS sum FROM $table a JOIN $table b USING (tenant_id, id)" \
        "JOIN $table c USING (tenant_id, id)$own"
      ;;
    upsert)
      echo "INSERT INTO $table AS t VALUES (#, $key, 5, 'new') ON CONFLICT (id) DO UPDATE SET amount = excluded.amount" \
        "${own:+WHERE t.tenant_id = '@' }RETURNING amount"
      ;;
    update) echo "UPDATE $table SET amount = amount + 1 WHERE id = #$also RETURNING amount" ;;
    delete) echo "DELETE FROM $table WHERE id = #$also RETURNING amount" ;;
    insert)
      echo "INSERT INTO $table SELECT n, $key, 1, 'new' FROM generate_series(100001, 110000) n"
      ;;
  esac
}

# prepared_of STATEMENT: sets $first and $statement so that it is prepared once, with what varies as parameters.
prepared_of() {
  local types='' arguments='' text=$1
  if [[ $text == *'#'* ]]; then types=bigint arguments='#' text=${text//'#'/\$1}; fi
  if [[ $text == *@* ]]; then
    local number=1
    [ -z "$types" ] || number=2
    types+="${types:+, }uuid" arguments+="${arguments:+, }'@'"
    text=${text//"'@'::uuid"/\$$number}
    text=${text//"'@'"/\$$number}
  fi
  first="PREPARE q${types:+($types)} AS $text;" statement="EXECUTE q${arguments:+($arguments)}"
}

# Everything is undone, so that each transaction finds the same rows.
undone() { printf '%s\n' 'BEGIN;' "$@" 'ROLLBACK;'; }

statements_table() {
  local name side protocol cells first statement shown rounds
  table statements "Instructions per transaction with one statement, on 20,000 rows" "" "by hand, simple" \
    "\`protect()\`" "\`current_setting()\`" "by hand, prepared" "\`protect()\`" "\`current_setting()\`"
  for name in $statement_cases; do
    cells=()
    rounds=("$warm" "$((steady / 2))")
    [ "$name" != insert ] || rounds=(2 4)
    for protocol in simple prepared; do
      for side in $statement_sides; do
        first='' statement=$(statement_of "$name" "$side")
        [ $protocol = simple ] || prepared_of "$statement"
        count "$name $side $protocol" rls_tenant "$first" \
          "$(undone "$set_local" "$(padded "$statement" 330)")" "${rounds[@]}"
        sed -n 's/^.* = "\(.*\)".*(typeid.*/\1/p' "$work/answers" | grep -v '^$' >"$work/answers.$side" || true
        [ "$name" = insert ] || [ -s "$work/answers.$side" ] || die "$name $side gave no rows"
        cmp -s "$work/answers.handwritten" "$work/answers.$side" || die "$name: $side gives other rows"
        shown=$(ratio "${cost[$name $side $protocol]}" "${cost[$name handwritten $protocol]}")
        case $side in
          handwritten) shown=$(grouped "${cost[$name handwritten $protocol]}") ;;
          protected) shown=$(judged "$shown" 1.03) ;;
        esac
        cells+=("$shown")
      done
    done
    row "${case_title[$name]}" "${cells[@]}"
  done
}
