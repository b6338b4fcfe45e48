# For bench/run: the ways to confine a query to a tenant (bench/lib/variants.sql), and the rows that they are compared
# on.
# shellcheck shell=bash disable=SC2154,SC2034 # bench/run has the variables

declare -A loaded=()  # what has been loaded, for parts that use the same rows
variants='handwritten protected setting subselect sql plpgsql'
# A variant's name as the title of a column, and of a row.
declare -A column title
while IFS='|' read -r variant name words; do column[$variant]=$name title[$variant]=$words; done <<'VARIANTS'
handwritten|by hand|hand-written `WHERE tenant_id = …` without RLS
protected|`protect()`|**`protect()`**
setting|`current_setting()`|policy with `current_setting(…)::uuid`
subselect|`(SELECT …)`|policy with `(SELECT current_setting(…)::uuid)`
sql|SQL function|policy with a STABLE SQL function
plpgsql|plpgsql|policy with a STABLE plpgsql function
generic||**`protect()`**, prepared: a plan for all tenants
fast||step 1: one policy, with `fast_tenant_uuid()`
current||step 2: one policy, with `current_tenant_uuid()`
VARIANTS

# columns: the names of the variants' columns, one a line.
columns() { for variant in $variants; do echo "${column[$variant]}"; done; }

# load ROWS SCHEMA [VARIANTS [SHARE [KIND]]]: see bench/lib/data.sql.
load() {
  say "loading $1 rows as $2"
  psql -X -q -v rows="$1" -v schema="$2" -v variants="${3:-$variants}" -v share="${4:-0}" -v kind="${5-}" \
    -f "$top/bench/lib/data.sql"
}

# prepare: the extension, the role of the application, 1,000 tenants, and the rows that most parts use.
prepare() {
  psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION rls_tenant;
CREATE ROLE app LOGIN;
SET rls_tenant.guard = off;
CREATE TABLE tenant AS SELECT number, md5('tenant ' || number)::uuid AS id FROM generate_series(1, 1000) number;
SQL
  psql -X -q -f "$top/bench/lib/variants.sql"
  load 20000 small "$variants fast current"
  psql -X -q -c 'VACUUM (FREEZE, ANALYZE)'
  # The tenants in the order in which transactions stand for them, and what each of them must see.
  psql -X -qAt -F ' ' -v ON_ERROR_STOP=1 >"$work/tenants" <<'SQL'
SELECT t.id, sum(h.amount) FROM tenant t JOIN small.handwritten h ON h.tenant_id = t.id
GROUP BY t.number, t.id ORDER BY t.number * 7 % 1000, t.number;
SQL
  mapfile -t tenants < <(cut -d ' ' -f 1 "$work/tenants")
  [ ${#tenants[@]} = 1000 ] || die "${#tenants[@]} tenants instead of 1,000"
}

# query SCHEMA VARIANT: the query that all variants run. @ stands for the tenant's id.
query() {
  local condition=
  [ "$2" != handwritten ] || condition=" WHERE tenant_id = '@'"
  echo "SELECT sum(amount) FROM $1.$2$condition"
}

set_local="SET LOCAL rls_tenant.tenant_id = '@';"

# lookup PROTOCOL SCHEMA VARIANT: sets $first, to be run once, and $statement, to be run in each transaction.
lookup() {
  first='' statement=$(query "$2" "$3")
  [ "$1" = prepared ] || return 0
  if [ "$3" = handwritten ]; then
    first="PREPARE q(uuid) AS ${statement/\'@\'/\$1};" statement="EXECUTE q('@')"
  else
    first="PREPARE q AS $statement;" statement="EXECUTE q"
  fi
}
