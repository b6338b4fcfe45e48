# For bench/run: real data: the demo's registry of Debian packages, with more tenants and more rows.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # bench/run has the variables; backquotes are Markdown's

registry_rows=${REGISTRY_ROWS:-1000000} registry_variants=$variants registry_rounds=101
registry_roughly() { registry_rows=${REGISTRY_ROWS:-500000} registry_rounds=15; }
registry_largely() { registry_rows=${REGISTRY_ROWS:-10000000}; }
registry_cases='lookup page aggregate join upsert update delete insert'
declare -A registry_title=(
  [lookup]='a package by its name'
  [page]='page of 20 packages, in order'
  [aggregate]='size of the packages, by section'
  [join]='join of publisher, packages, dependencies'
  [upsert]='`INSERT … ON CONFLICT DO UPDATE` of a package'
  [update]='`UPDATE` of a package'
  [delete]='`DELETE` of a package'
  [insert]='`INSERT` of 10,000 packages'
)
# Who asks: 10,000 new rows are the same for every tenant.
registry_tenants() { if [ "$1" = insert ]; then echo median; else echo small median largest; fi; }

# Three tenants: the one that is named, a package of it, and how many packages and dependencies it has.
declare -A registry_tenant registry_package registry_size
registry_load() {
  local name id package packages dependencies
  [ -z "${loaded[registry]-}" ] || return 0
  loaded[registry]=1
  say "loading $registry_rows rows of the registry"
  (cd "$top/demo/data" &&
    psql -X -q -v rows="$registry_rows" -v variants="$registry_variants" -f "$top/bench/parts/registry.sql")
  while IFS='|' read -r name id package packages dependencies; do
    registry_tenant[$name]=$id registry_package[$name]=$package
    registry_size[$name]="$packages packages, $(grouped "$dependencies") dependencies"
  done < <(psql -X -qAt -v ON_ERROR_STOP=1 <<'SQL'
WITH
  sized AS (
    SELECT *, row_number() OVER (ORDER BY packages + dependencies, tenant_id) AS place, count(*) OVER () AS tenants
    FROM (SELECT tenant_id, count(*) AS packages, min(name) AS package FROM handwritten.packages GROUP BY 1) p
    JOIN (SELECT tenant_id, count(*) AS dependencies FROM handwritten.dependencies GROUP BY 1) d USING (tenant_id)
  )
SELECT v.name, tenant_id, package, packages, dependencies
FROM sized JOIN (VALUES ('small', 0.02), ('median', 0.5), ('largest', 1)) v (name, part) ON place = ceil(tenants * part);
SQL
  )
  [ ${#registry_tenant[@]} = 3 ] || die "the registry has no tenants"
}

# registry_statement CASE VARIANT: the statement, in which @ stands for the tenant and # for the name of the package.
registry_statement() {
  local own='' also='' packages=$2.packages
  if [ "$2" = handwritten ]; then own=" WHERE tenant_id = '@'" also=" AND tenant_id = '@'"; fi
  case $1 in
    lookup) echo "SELECT version, size FROM $packages WHERE name = '#'$also" ;;
    page) echo "SELECT name, version, size FROM $packages$own ORDER BY name LIMIT 20" ;;
    aggregate) echo "SELECT section, count(*), sum(size) FROM $packages$own GROUP BY section ORDER BY section" ;;
    join)
      echo "SELECT u.name, p.name AS package, count(*) FROM $2.publishers u JOIN $packages p USING (tenant_id)" \
        "JOIN $2.dependencies d USING (tenant_id, package_id)$own GROUP BY 1, 2 ORDER BY 3 DESC, 2 LIMIT 20"
      ;;
    upsert)
      echo "INSERT INTO $packages AS p VALUES ('@'::uuid, -1, '#', '2', 'misc', 'optional', 1, 1, 'new') ON CONFLICT (tenant_id, name)" \
        "DO UPDATE SET size = p.size + excluded.size ${own:+WHERE p.tenant_id = '@' }RETURNING size"
      ;;
    update) echo "UPDATE $packages SET size = size + 1 WHERE name = '#'$also RETURNING size" ;;
    delete) echo "DELETE FROM $packages WHERE name = '#'$also RETURNING size" ;;
    insert) echo "INSERT INTO $packages SELECT '@'::uuid, -n, 'new/' || n, '1', 'misc', 'optional', 1, 1, 'new' FROM generate_series(1, 10000) n" ;;
  esac
}

# registry_text CASE TENANT VARIANT: the same with the values in it.
registry_text() {
  local statement
  statement=$(registry_statement "$1" "$3")
  statement=${statement//@/${registry_tenant[$2]}}
  echo "${statement//'#'/${registry_package[$2]}}"
}

# What changes rows is undone, so that each statement finds the same rows.
registry_transaction() {
  case $1 in upsert | update | delete | insert) undone "${@:2}" ;; *) in_transaction "${@:2}" ;; esac
}

# registry_times: the processor time of each statement; the variants take turns.
registry_times() {
  local name tenant variant round order
  say "asking the registry, $registry_rounds rounds"
  for name in $registry_cases; do
    for tenant in $(registry_tenants "$name"); do
      order=$registry_variants
      {
        echo "SET jit = off; SET max_parallel_workers_per_gather = 0; $stats_on SET ROLE app;"
        for ((round = 0; round <= registry_rounds; round++)); do
          registry_transaction "$name" "${set_local/@/${registry_tenant[$tenant]}}" "$(
            for variant in $order; do
              marked "$(mark $round "registry.$name.$tenant.$variant")" "$(registry_text "$name" "$tenant" "$variant");"
            done
          )"
          order=$(turned "$order")
        done
      } | run_script
      keep_processor
      # Whole answers, each of them after a mark.
      awk '/^mark/ { if (answer != "") print answer; answer = ""; next } { answer = answer "\\n" $0 }' "$work/printed" |
        sort -u >"$work/different"
      # An INSERT without RETURNING gives no rows.
      [ "$(wc -l <"$work/different")" = "$([ "$name" = insert ] && echo 0 || echo 1)" ] ||
        die "$name $tenant: the variants see different rows"
    done
  done
  psql -X -q -c VACUUM  # what was undone has left dead rows, which the instructions would count
}

# registry_rounds_of CASE TENANT: how many transactions warm up, and how many count.
registry_rounds_of() {
  case $1.$2 in
    join.largest) echo 1 1 ;;  # a thousand million instructions
    insert.* | *.largest) echo 1 2 ;;
    *) echo 10 30 ;;
  esac
}

# queue_registry CASE TENANT VARIANT PROTOCOL: to be counted as cost[CASE TENANT VARIANT PROTOCOL].
queue_registry() {
  local first='' statement rounds id=${registry_tenant[$2]}
  statement=$(registry_text "$1" "$2" "$3")
  read -ra rounds <<<"$(registry_rounds_of "$1" "$2")"
  if [ "$4" = prepared ]; then
    if [[ $statement == *"'$id'"* ]]; then
      first="PREPARE q(uuid) AS ${statement//"'$id'"/\$1};" statement="EXECUTE q('$id')"
    else
      first="PREPARE q AS $statement;" statement='EXECUTE q'
    fi
  fi
  queue "$1 $2 $3 $4" "SET max_parallel_workers_per_gather = 0; $first" \
    "$(registry_transaction "$1" "${set_local/@/$id}" "$(padded "$statement" 420)")" "${rounds[@]}"
}

# count_registry_wire CASE TENANT VARIANT: the extended protocol, as cost[CASE TENANT VARIANT extended].
count_registry_wire() {
  local statement rounds tenants=("${registry_tenant[$2]}")
  statement=$(registry_statement "$1" "$3")
  read -ra rounds <<<"$(registry_rounds_of "$1" "$2")"
  count_wire "$1 $2 $3 extended" "${statement//"'#'"/:p}" "${rounds[@]}" -D "p=${registry_package[$2]}"
}

registry_table() {
  local kind name tenant variant cells shown names many
  local -A kind_title=([processor]='ms of the processor by hand, and ratios' [simple]='instructions, simple protocol'
    [prepared]='instructions, prepared' [extended]='instructions, extended protocol, over the wire')
  mapfile -t names < <(columns)
  many=$(grouped "$registry_rows")
  sized registry "$registry_rows"
  for kind in simple prepared; do
    for name in $registry_cases; do
      for tenant in $(registry_tenants "$name"); do
        for variant in $registry_variants; do queue_registry "$name" "$tenant" "$variant" $kind; done
      done
    done
    count_queued rls_tenant
  done
  start_counting
  for name in $registry_cases; do
    for tenant in $(registry_tenants "$name"); do
      for variant in $registry_variants; do count_registry_wire "$name" "$tenant" "$variant"; done
    done
  done
  stop_cluster
  for kind in simple extended prepared processor; do
    table registry "Registry of 50,000 tenants and $many rows: ${kind_title[$kind]}" "" "${names[@]}"
    for name in $registry_cases; do
      for tenant in $(registry_tenants "$name"); do
        cells=()
        for variant in $registry_variants; do
          if [ $kind = processor ]; then
            shown=$(times_as "registry.$name.$tenant.$variant" "registry.$name.$tenant.handwritten")
          else
            shown=$(ratio "${cost[$name $tenant $variant $kind]}" "${cost[$name $tenant handwritten $kind]}")
          fi
          plotted registry "$kind" "$name" "$tenant" "$variant" "$shown"
          case $variant.$kind in
            handwritten.processor) shown=$(ms "registry.$name.$tenant.handwritten" 3) ;;
            handwritten.*) shown=$(grouped "${cost[$name $tenant handwritten $kind]}") ;;
            protected.*) shown=$(judged "$shown" 1.03) ;;
          esac
          cells+=("$shown")
        done
        row "${registry_title[$name]}: $tenant tenant" "${cells[@]}"
      done
    done
  done
  line
  line "The small tenant has ${registry_size[small]}, the median one ${registry_size[median]}," \
    "the largest ${registry_size[largest]}." \
    "The milliseconds are medians of $registry_rounds rounds."
}
