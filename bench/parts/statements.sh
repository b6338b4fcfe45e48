# For bench/run: the statements of an application, one a transaction, in instructions.
#
# Three protocols: simple; prepared, once a session; and extended, which most drivers use unless they are told to
# prepare: each statement is parsed, bound to its values and executed. Single-user mode has only the first, and PREPARE;
# the third is counted in a backend that pgbench talks to.
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

# statement_of CASE VARIANT [SCHEMA]: the statement, in which @ stands for the tenant and # for the id of one of its
# rows. What differs between the variants is the tenant's condition, written by hand or in policies.
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

# statement_rounds CASE SCHEMA: how many transactions warm up, and how many count.
statement_rounds() {
  case $1.$2 in
    insert.*) echo 1 1 ;;
    *.grown_2000000) echo 3 6 ;;
    *.grown_*) echo 10 20 ;;
    *) echo 20 50 ;;
  esac
}

# queue_statement CASE VARIANT PROTOCOL [SCHEMA]: to be counted as cost[CASE VARIANT PROTOCOL SCHEMA].
queue_statement() {
  local first='' statement rounds
  statement=$(statement_of "$1" "$2" "${4:-small}")
  read -ra rounds <<<"$(statement_rounds "$1" "${4:-small}")"
  [ "$3" = simple ] || prepared_of "$statement"
  queue "$1 $2 $3 ${4:-small}" "$first" "$(undone "$set_local" "$(padded "$statement" 330)")" "${rounds[@]}"
}

# same_answers CASE COUNT: dies unless the next COUNT variants of the queue, the hand-written one first, gave the same
# answers.
same_answers() {
  local i hand=$work/answers.hand
  for ((i = answered + 1; i <= answered + $2; i++)); do
    sed -n 's/^.* = "\(.*\)".*(typeid.*/\1/p' "$work/answers.$i" | grep -v '^$' >"$work/answers.variant" || true
    [ $i != $((answered + 1)) ] || cp "$work/answers.variant" "$hand"
    # An INSERT without RETURNING gives no rows.
    [ "$1" = insert ] || [ -s "$hand" ] || die "$1 gave no rows"
    cmp -s "$hand" "$work/answers.variant" || die "$1: variant $((i - answered)) gives other rows"
  done
  answered=$((answered + $2))
}

# count_statements PROTOCOL CASES VARIANTS [SCHEMA]: all of them.
count_statements() {
  local name variant rounds answered=0 schema=${4:-small}
  for name in $2; do
    for variant in $3; do
      if [ "$1" = extended ]; then
        read -ra rounds <<<"$(statement_rounds "$name" "$schema")"
        count_wire "$name $variant $1 $schema" "$(statement_of "$name" "$variant" "$schema")" "${rounds[@]}"
      else
        queue_statement "$name" "$variant" "$1" "$schema"
      fi
    done
  done
  [ "$1" != extended ] || return 0
  count_queued rls_tenant
  for name in $2; do same_answers "$name" "$(wc -w <<<"$3")"; done
}

statements_table() {
  local name variant protocol cells shown names
  local -A protocol_title=([simple]='simple protocol' [prepared]='prepared'
    [extended]='extended protocol, over the wire')
  mapfile -t names < <(columns)
  for protocol in simple extended prepared; do
    table statements "Instructions per transaction with one statement, on 20,000 rows: ${protocol_title[$protocol]}" \
      "" "${names[@]}"
    if [ $protocol = extended ]; then start_counting; fi
    count_statements $protocol "$statement_cases" "$variants"
    if [ $protocol = extended ]; then stop_cluster; fi
    for name in $statement_cases; do
      cells=()
      for variant in $variants; do
        shown=$(ratio "${cost[$name $variant $protocol small]}" "${cost[$name handwritten $protocol small]}")
        plotted statements "$protocol" "$name" "$variant" "$shown"
        case $variant in
          handwritten) shown=$(grouped "${cost[$name handwritten $protocol small]}") ;;
          protected) shown=$(judged "$shown" 1.03) ;;
        esac
        cells+=("$shown")
      done
      row "${case_title[$name]}" "${cells[@]}"
    done
  done
}
