# For bench/run: the statements of an application, one a transaction, in instructions.
#
# Three protocols: simple; prepared, once a session; and extended, which most drivers speak unless they are told to prepare:
# each statement is parsed, bound to its values and executed. Single-user mode knows only the first, and PREPARE; the third is
# counted in a backend that pgbench talks to.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # bench/run has the variables; backquotes are Markdown's

statement_cases='lookup page aggregate join upsert update delete insert'
declare -A case_title=(
  [lookup]='point lookup by primary key'
  [page]='page of 20 rows, in order'
  [aggregate]='aggregate of all rows, grouped'
  [join]='join of three tables'
  [upsert]='`INSERT … ON CONFLICT DO UPDATE`'
  [update]='`UPDATE` of a row'
  [delete]='`DELETE` of a row'
  [insert]='`INSERT` of 10,000 rows'
)

# statement_of CASE SIDE [SCHEMA]: the statement, in which @ stands for the tenant and # for the id of one of its rows. What differs
# between the sides is the tenant's condition, written by hand or in policies.
statement_of() {
  local table=${3:-small}.$2 own='' also='' key="'@'::uuid"
  if [ "$2" = handwritten ]; then own=" WHERE tenant_id = '@'" also=" AND tenant_id = '@'"; fi
  case $1 in
    lookup) echo "SELECT amount FROM $table WHERE id = #$also" ;;
    page) echo "SELECT id, amount FROM $table$own ORDER BY id LIMIT 20" ;;
    aggregate) echo "SELECT amount % 10 AS digit, count(*), sum(id) FROM $table$own GROUP BY 1 ORDER BY 1" ;;
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
      echo "INSERT INTO $table SELECT n, $key, 1, 'new' FROM generate_series(10000001, 10010000) n"
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

# statement_rounds CASE SCHEMA: how many transactions warm up, and how many count.
statement_rounds() {
  case $1.$2 in
    insert.*) echo 2 4 ;;
    *.grown_2000000) echo 5 10 ;;
    *.grown_*) echo 20 40 ;;
    *) echo 100 200 ;;
  esac
}

# count_statement CASE SIDE PROTOCOL [SCHEMA]: counts it as cost[CASE SIDE PROTOCOL SCHEMA], and sees to it that its answers are
# those of the hand-written one, which comes first.
count_statement() {
  local first='' statement rounds key="$1 $2 $3 ${4:-small}"
  statement=$(statement_of "$1" "$2" "${4:-small}")
  read -ra rounds <<<"$(statement_rounds "$1" "${4:-small}")"
  if [ "$3" = extended ]; then
    count_wire "$key" "$statement" "${rounds[@]}"
    return
  fi
  [ "$3" = simple ] || prepared_of "$statement"
  count "$key" rls_tenant "$first" "$(undone "$set_local" "$(padded "$statement" 330)")" "${rounds[@]}"
  sed -n 's/^.* = "\(.*\)".*(typeid.*/\1/p' "$work/answers" | grep -v '^$' >"$work/answers.$2" || true
  [ "$1" = insert ] || [ -s "$work/answers.$2" ] || die "$1 $2 gave no rows"
  cmp -s "$work/answers.handwritten" "$work/answers.$2" || die "$1: $2 gives other rows"
}

statements_table() {
  local name side protocol cells shown names
  local -A protocol_title=([simple]='simple protocol' [prepared]='prepared' [extended]='extended protocol, over the wire')
  mapfile -t names < <(columns)
  for protocol in simple extended prepared; do
    table statements "Instructions per transaction with one statement, on 20,000 rows: ${protocol_title[$protocol]}" "" "${names[@]}"
    if [ $protocol = extended ]; then start_counting; fi
    for name in $statement_cases; do
      cells=()
      for side in $sides; do
        count_statement "$name" "$side" $protocol
        shown=$(ratio "${cost[$name $side $protocol small]}" "${cost[$name handwritten $protocol small]}")
        plotted statements "$protocol" "$name" "$side" "$shown"
        case $side in
          handwritten) shown=$(grouped "${cost[$name handwritten $protocol small]}") ;;
          protected) shown=$(judged "$shown" 1.03) ;;
        esac
        cells+=("$shown")
      done
      row "${case_title[$name]}" "${cells[@]}"
    done
    if [ $protocol = extended ]; then stop_cluster; fi
  done
}
