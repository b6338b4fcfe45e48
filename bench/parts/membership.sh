# For bench/run: what memberships cost. The rows are made by bench/parts/membership.sql and
# bench/parts/membership_cases.sql.
# shellcheck shell=bash disable=SC2154,SC2028 # bench/run has the variables; \echo is psql's

wire_rounds=200 slow_rounds=9 case_rounds=21 flat_rounds=15 fill_rounds=41 bulk_rounds=7
member_rows=1000000 case_rows=100000 large_rows=0 bulk_rows=100000 case_timeout=20000
counted=1  # whether instructions are
membership_roughly() {
  wire_rounds=40 slow_rounds=3 case_rounds=5 flat_rounds=5 fill_rounds=9 bulk_rounds=3
  member_rows=100000 case_rows=10000 bulk_rows=10000 case_timeout=500 counted=0
}
membership_largely() { large_rows=10000000; }

# --- Running scripts

# What every script begins with.
member_settings='SET jit = off; SET max_parallel_workers_per_gather = 0; SET synchronize_seqscans = off;'
member_settings+=' SET search_path = members;'

# as_user USER STATEMENT…: a transaction of the role app for that user.
as_user() {
  printf '%s\n' "BEGIN; SET LOCAL rls_tenant.user_id = '$1'; SET LOCAL ROLE app;" "${@:2}" 'COMMIT;'
}

# --- One user's rows over the wire

declare -A member_title=(
  [handwritten]="hand-written \`tenant_id IN (five constants)\` without RLS"
  [protected]="**\`protect(…, membership => 'tenant')\`**"
  [array]="policy with \`tenant_id = ANY (ARRAY(SELECT …))\`"
  [exists]="policy with \`EXISTS (SELECT …)\`"
)

# wire_query COLUMNS PREFIX VARIANT USER
wire_query() {
  local condition=
  [ "$3" != handwritten ] || condition=" WHERE tenant_id IN (${constants[$4]})"
  echo "SELECT $1 FROM \"$2$3\"$condition;"
}

# The same, for rows that are fetched but not printed.
unprinted() { wire_query "$@" | sed 's:;$: \\g /dev/null:'; }

# wire_script PREFIX KEY ROUNDS VARIANTS QUERY: 20 users in turn; in round 0 each of them warms up.
wire_script() {
  local round user variant order=$4
  echo "$member_settings"
  for ((user = 1; user <= 20; user++)); do
    echo "\\echo mark sums"
    for variant in $4; do
      as_user $user "$(wire_query 'sum(amount)' "$1" "$variant" $user)" "$(unprinted "$5" "$1" "$variant" $user)"
    done
  done
  for ((round = 1; round <= $3; round++)); do
    user=$((1 + round % 20))
    for variant in $order; do
      as_user $user "$(marked "$2.$variant" "\\timing on
$(unprinted "$5" "$1" "$variant" $user)
\\timing off")"
    done
    order=$(turned "$order")
  done
}

# wire_times PREFIX KEY: the wall-clock time of each variant.
wire_times() {
  say "reading users' rows over the wire: $2"
  local variants key rounds
  for variants in 'handwritten protected array' 'protected exists'; do
    key=$2 rounds=$wire_rounds
    [ "$variants" != 'protected exists' ] || key=$2.slow rounds=$slow_rounds
    wire_script "$1" "$key" "$rounds" "$variants" 'id, amount, body' | run_script
    # What is printed before the first round are the sums, of the variants in turn.
    awk -v variants="$(wc -w <<<"$variants")" '
      /^mark/ { counts = $2 == "sums"; first = "" }
      counts && /^[0-9]/ { if (first == "") first = $0; if ($0 != first) exit 1; sums++ }
      END { if (sums != 20 * variants) exit 1 }' "$work/printed" || die "the variants see different rows"
    keep_printed 'Time: '
  done
}

# wire_table PREFIX KEY ROWS
wire_table() {
  local variant protocol first statement pad=600 query cells key
  table membership "A user's rows: 5 of 10,000 tenants, $(grouped "$3") rows" "" \
    "ms over the wire, median of $wire_rounds" ratio "instructions, simple protocol" ratio prepared ratio
  for variant in handwritten protected array; do
    cells=("$(ms "$2.$variant" 3)" "$(times_as "$2.$variant" "$2.handwritten")")
    [ $variant != protected ] || cells[1]=$(judged "${cells[1]}" 1.05)
    for protocol in simple prepared; do
      [ $counted = 1 ] || { cells+=("" ""); continue; }
      first="$member_settings" query=$(wire_query 'sum(amount)' "$1" $variant 7)
      statement=$query
      if [ $protocol = prepared ]; then first+=" PREPARE q AS $query" statement='EXECUTE q;'; fi
      key="$2 $variant $protocol"
      count "$key" rls_tenant "$first" \
        "$(in_transaction "SET LOCAL rls_tenant.user_id = '7';" "$(padded "${statement%;}" $pad)")" 20 50
      [ "$(sed -n 's/^.*sum = "\([0-9]*\)".*/\1/p' "$work/answers" | sort | uniq -c | awk '{ print $1 }')" = 70 ] ||
        die "the sums differ"
      cells+=("$(grouped "${cost[$key]}")" "$(ratio "${cost[$key]}" "${cost[$2 handwritten $protocol]}")")
    done
    row "${member_title[$variant]}" "${cells[@]}"
  done
  row "${member_title[exists]} (median of $slow_rounds)" "$(ms "$2.slow.exists" 3)" \
    "$(times_as "$2.slow.exists" "$2.handwritten")" "" "" "" ""
  line
  line "\`EXISTS\` takes $(awk -v r="$(times_as "$2.slow.exists" "$2.slow.protected")" 'BEGIN {
    printf "**%.0f times** as long as the protected table (target 30: %s)", r, (r >= 30 ? "held" : "missed") }'), side by side with it."
}

# --- The published cases

# case_statement RELATION VARIANT USER MARK
case_statement() {
  printf '%s\n' "BEGIN; SET LOCAL rls_tenant.user_id = '$3';" \
    "SELECT set_config('request.jwt.claims', '{\"sub\": \"$3\"}', true) \\g /dev/null" "SET LOCAL ROLE variant_$2;" \
    "$(marked "$4" "SELECT sum(amount) FROM cases.$1;")" 'COMMIT;'
}

# case_times: first each bare form once, with a timeout; those that are fast take part in the rounds.
case_times() {
  local subject relation asker user variant order round kind key
  say "the published cases"
  while IFS='|' read -r subject relation asker user <&3; do
    order=
    while IFS='|' read -r variant kind <&4; do
      key=case.$asker.$variant
      if [ "$kind" = bare ]; then
        { echo "$member_settings $stats_on SET statement_timeout = $case_timeout;"
          case_statement "$relation" "$variant" "$user" "$key"
        } | psql -X -qAt -f - >"$work/printed" 2>"$work/stats"
        keep_processor
        if [ ! -e "$work/$key" ]; then echo "$case_timeout" >"$work/$key"; fi
        [ "$(median <"$work/$key" | cut -d . -f 1)" -lt 400 ] || continue
        rm "$work/$key"
      fi
      order+="${order:+ }$variant"
    done 4< <(psql -X -qAtc "SELECT number, kind FROM cases.variant WHERE subject = $subject ORDER BY number")
    {
      echo "$member_settings $stats_on"
      for ((round = 0; round <= case_rounds; round++)); do
        for variant in $order; do case_statement "$relation" "$variant" "$user" "$(mark $round "case.$asker.$variant")"; done
        order=$(turned "$order")
      done
    } | run_script
    [ "$(grep -v '^mark' "$work/printed" | sort -u | wc -l)" = 1 ] || die "the variants of subject $subject see different rows"
    keep_processor
  done 3< <(psql -X -qAtc "SELECT s.number, s.relation, s.number || '.' || a.number, a.user_id
    FROM cases.subject s JOIN cases.asker a ON a.subject = s.number ORDER BY s.number, a.number")
  psql -X -qAtc "SELECT s.number, s.title, string_agg(a.title, ';' ORDER BY a.number)
    FROM cases.subject s JOIN cases.asker a ON a.subject = s.number GROUP BY s.number ORDER BY s.number" >"$work/subjects"
  psql -X -qAtc "SELECT subject, number, kind, policy FROM cases.variant ORDER BY number" >"$work/variants"
}

# best_rewritten SUBJECT ASKER: the key of the rewritten form with the least median.
best_rewritten() {
  awk -F '|' -v s="$1" '$1 == s && $3 == "rewritten" { print $2 }' "$work/variants" | while read -r variant; do
    echo "$(median <"$work/case.$1.$2.$variant") case.$1.$2.$variant"
  done | sort -n | head -n 1 | cut -d ' ' -f 2
}

case_table() {
  local subject title titles askers asker variant kind policy cells key shown rows
  while IFS='|' read -r subject title askers <&3; do
    IFS=';' read -ra titles <<<"$askers"
    cells=()
    for asker in "${titles[@]}"; do cells+=("ms of processor, $asker" ratio); done
    rows=$case_rows
    [ "$subject" != 6 ] || rows=$member_rows
    table membership "Published cases: $title ($(grouped "$rows") rows)" "policy" "${cells[@]}"
    while IFS='|' read -r _ variant kind policy <&4; do
      cells=()
      for ((asker = 1; asker <= ${#titles[@]}; asker++)); do
        key=case.$subject.$asker.$variant
        shown=$(times_as "$key" "$(best_rewritten "$subject" $asker)")
        [ "$kind" != ours ] || shown=$(judged "$shown" 1.00)
        if [ "$(cat "$work/$key")" = "$case_timeout" ]; then cells+=("> $case_timeout" ""); else cells+=("$(ms "$key")" "$shown"); fi
      done
      row "$kind: \`$policy\`" "${cells[@]}"
    done 4< <(grep "^$subject|" "$work/variants")
  done 3<"$work/subjects"
}

# --- A scan without an index

# flat_query TABLE COLUMN GROUPS VARIANT
flat_query() {
  if [ "$4" = ours ]; then
    echo "SELECT sum(amount) FROM members.$1 WHERE rls_tenant.is_member($2, 'flat $2')"
  else
    echo "SELECT sum(amount) FROM members.$1 WHERE $2 = ANY ('${arrays[$2.$3]}'::$4[])"
  fi
}

declare -A flat_type=([u]=uuid [b]=bigint [t]=text)
flat_times() {
  local column groups variant order round key
  say "scanning without an index"
  for column in u b t; do
    for groups in 5 500; do
      order="${flat_type[$column]} ours"
      {
        echo "$member_settings $stats_on"
        for ((round = 0; round <= flat_rounds; round++)); do
          for variant in $order; do
            key=flat.$column.$groups.${variant/#${flat_type[$column]}/hand}
            as_user $groups "$(marked "$(mark $round "$key")" "$(flat_query flat $column $groups "$variant");")"
          done
          order=$(turned "$order")
        done
      } | run_script
      [ "$(grep -v '^mark' "$work/printed" | sort -u | wc -l)" = 1 ] || die "the variants see different rows"
      keep_processor
    done
  done
}

flat_table() {
  local column groups variant key target cells
  table membership "Sequential scan of $(grouped "$member_rows") rows, each checked" "" \
    "\`= ANY (constant array)\`, ms of processor" "**\`is_member()\`**" "ratio, median of $flat_rounds" \
    "instructions per row" "\`is_member()\`" ratio
  for groups in 5 500; do
    target=1.6
    [ $groups = 5 ] || target=1.0
    for column in u b t; do
      cells=("" "" "")
      for variant in "${flat_type[$column]}" ours; do
        [ $counted = 1 ] || continue
        key="flat $column $groups ${variant/#${flat_type[$column]}/hand}"
        # Prepared, so that the transactions of both variants are equally long.
        count "$key" rls_tenant "$member_settings PREPARE q AS $(flat_query flat_small $column $groups "$variant")" \
          "$(in_transaction "SET LOCAL rls_tenant.user_id = '$groups';" 'EXECUTE q;')" 7 3
      done
      [ $counted = 0 ] || cells=("$((${cost[flat $column $groups hand]} / 50000))" "$((${cost[flat $column $groups ours]} / 50000))"
        "$(ratio "${cost[flat $column $groups ours]}" "${cost[flat $column $groups hand]}")")
      row "${flat_type[$column]}, user in $groups groups" \
        "$(ms "flat.$column.$groups.hand" 1)" "$(ms "flat.$column.$groups.ours" 1)" \
        "$(judged "$(times_as "flat.$column.$groups.ours" "flat.$column.$groups.hand")" $target)" \
        "${cells[@]}"
    done
  done
}

# --- Queries, plans and changes

# fill_times: a check whose groups are cached; one that has to query (cache size 0); one after somebody's membership has
# changed; and the same query by hand.
fill_times() {
  local user round
  local check="SELECT rls_tenant.is_member(members.tenant(1), 'wide');"
  local question="SELECT members.tenant(1) = ANY (ARRAY(SELECT m.group_id FROM members.wide_member m WHERE m.user_id ="
  say "checking users in many groups"
  {
    echo "$member_settings $stats_on"
    for ((round = 0; round <= fill_rounds; round++)); do
      for user in 5 500 50000; do
        as_user $user "$check" "$check" "$check"  # to be sure that its groups are cached
        as_user $user "$(marked "$(mark $round fill.$user.cached)" "$check")"
        as_user $user "SET rls_tenant.membership_cache_size = 0;" "$check"
        as_user 0 "$check"
        as_user $user "$(marked "$(mark $round fill.$user.queried)" "$check")"
        as_user $user "$(marked "$(mark $round fill.$user.hand)" "$question $user));")"
        echo "SET rls_tenant.membership_cache_size = '4MB'; UPDATE wide_member SET role = 'editor' WHERE user_id = 0;"
        as_user $user "$(marked "$(mark $round fill.$user.changed)" "$check")"
      done
    done
  } | run_script
  keep_processor
  # The first check of each of 1,000 transactions.
  {
    echo "$member_settings"
    as_user 500 "$check"
    echo '\echo mark before'
    echo 'SELECT queries FROM rls_tenant.membership_cache();'
    echo '\echo mark checks'
    for ((round = 0; round < 1000; round++)); do as_user 500 "$check"; done
    echo '\echo mark after'
    echo 'SELECT queries FROM rls_tenant.membership_cache();'
  } | run_script
  [ "$(awk '/^mark/ { mark = $2 } mark == "checks" && $0 == "t"' "$work/printed" | wc -l)" = 1000 ] || die "a check was not answered"
  awk '/^mark/ { mark = $2; next } mark == "before" { before = $1 } mark == "after" { print $1 - before }' "$work/printed" >"$work/queries"
}

fill_table() {
  local user name grown
  local -A label=(
    [cached]="first check of a transaction, groups cached"
    [hand]="\`SELECT … = ANY (ARRAY(SELECT group_id …))\` by hand"
    [queried]="first check, when it has to query"
    [changed]="first check after some membership has changed"
  )
  table membership "One check as a statement: ms of processor, median of $fill_rounds" "" "user in 5 groups" "in 500" \
    "in 50,000"
  for name in cached hand queried changed; do
    row "${label[$name]}" "$(ms fill.5.$name 3)" "$(ms fill.500.$name 3)" "$(ms fill.50000.$name 3)"
  done
  grown=$(cat "$work/queries")
  line
  line "The first checks of 1,000 transactions of a user whose groups are cached ran **$grown queries** (target 0:" \
    "$([ "$grown" = 0 ] && echo held || echo missed)), by \`rls_tenant.membership_cache()\`."
}

# plan_times: as EXPLAIN says.
plan_times() {
  local user round variant order='handwritten protected array'
  say "planning for users in many groups"
  {
    echo "$member_settings"
    for user in 5 500 50000; do
      echo "SELECT array_agg(group_id) AS u$user FROM wide_member WHERE user_id = $user \\gset"
    done
    for ((round = 0; round <= slow_rounds; round++)); do
      for user in 5 500 50000; do
        for variant in $order; do
          as_user $user "$(marked "$(mark $round plan.$user."$variant")" \
            "EXPLAIN (SUMMARY) SELECT sum(amount) FROM planned_$variant$(
            [ "$variant" != handwritten ] || echo " WHERE tenant_id = ANY (:'u$user')");")"
        done
      done
      order=$(turned "$order")
    done
  } | run_script
  keep_printed 'Planning Time: '
}

plan_table() {
  local variant
  table membership "Planning time: ms by EXPLAIN, median of $slow_rounds" "" "user in 5 groups" ratio "in 500" ratio \
    "in 50,000" ratio
  for variant in handwritten protected array; do
    row "${member_title[$variant]/IN (five constants)/= ANY (constant array)}" \
      "$(ms plan.5.$variant 3)" "$(times_as plan.5.$variant plan.5.handwritten)" \
      "$(ms plan.500.$variant 3)" "$(times_as plan.500.$variant plan.500.handwritten)" \
      "$(ms plan.50000.$variant 1)" "$(times_as plan.50000.$variant plan.50000.handwritten)"
  done
}

# bulk_times: many memberships in one statement, each followed by the next.
bulk_times() {
  local round variant order='plain source'
  say "changing many memberships"
  {
    echo "$member_settings $stats_on"
    for ((round = 0; round <= bulk_rounds; round++)); do
      for variant in $order; do
        marked "$(mark $round bulk."$variant".insert)" \
          "INSERT INTO bulk_$variant SELECT n, tenant(1 + n % 1000), 'editor' FROM generate_series(1, $bulk_rows) n;"
        marked "$(mark $round bulk."$variant".update)" "UPDATE bulk_$variant SET role = 'reader';"
        marked "$(mark $round bulk."$variant".delete)" "DELETE FROM bulk_$variant;"
        echo "TRUNCATE bulk_$variant; CHECKPOINT;"
      done
      order=$(turned "$order")
    done
  } | run_script
  keep_processor
}

bulk_table() {
  local name
  table membership "Changing $(grouped "$bulk_rows") memberships: ms of processor, median of $bulk_rounds" "" \
    "without the trigger" "with it" ratio
  for name in insert update delete; do
    row "\`${name^^}\`" "$(ms bulk.plain.$name 0)" "$(ms bulk.source.$name 0)" \
      "$(times_as bulk.source.$name bulk.plain.$name)"
  done
}

# --- All of it

declare -A constants arrays
membership_times() {
  local user list column groups
  say "loading $member_rows rows for memberships"
  psql -X -q -v rows="$member_rows" -f "$top/bench/parts/membership.sql"
  psql -X -q -v rows="$member_rows" -v small="$case_rows" -f "$top/bench/parts/membership_cases.sql"
  while IFS='|' read -r user list; do constants[$user]=$list; done < <(psql -X -qAtc \
    "SELECT user_id, string_agg(quote_literal(tenant_id), ', ') FROM members.member WHERE user_id <= 20 GROUP BY user_id")
  for column in u b t; do
    for groups in 5 500; do
      arrays[$column.$groups]=$(psql -X -qAtc "SELECT array_agg($column) FROM members.flat_member WHERE user_id = $groups")
    done
  done
  wire_times '' wire
  if [ "$large_rows" != 0 ]; then
    say "loading $large_rows rows for memberships"
    psql -X -q -v ON_ERROR_STOP=1 -c "SET search_path = members" -c "SET rls_tenant.guard = off" \
      -c "SET maintenance_work_mem = '1GB'" -c "CALL load('large_', $large_rows)" -c 'VACUUM (FREEZE, ANALYZE)'
    wire_times large_ large
  fi
  case_times
  flat_times
  fill_times
  plan_times
  bulk_times
}

membership_table() {
  wire_table '' wire "$member_rows"
  if [ "$large_rows" != 0 ]; then
    sized membership "$large_rows"
    wire_table large_ large "$large_rows"
    sized membership "$member_rows"
  fi
  case_table
  flat_table
  fill_table
  plan_table
  bulk_table
}
