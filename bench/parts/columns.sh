# For bench/run: what a column rule costs an UPDATE, in instructions.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # bench/run has the variables; backquotes are Markdown's

column_variants='none nothing rule plpgsql'
column_cases='simple prepared changed bulk bulk_changed'

# columns_load: a table of 20,000 rows of 1,000 tenants for each variant, and one user who is an admin of all of them.
columns_load() {
  local variant
  psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
SET client_min_messages = warning;
SET rls_tenant.guard = off;
CREATE SCHEMA columns;
GRANT USAGE ON SCHEMA columns TO app;
CREATE TABLE columns.member AS SELECT 'ann'::text AS user_id, id AS tenant_id, 'admin'::text AS role FROM tenant;
CREATE INDEX ON columns.member (user_id);
SELECT rls_tenant.add_membership('tenant', 'columns.member', 'user_id', 'tenant_id', 'role') \g /dev/null
CREATE FUNCTION columns.restrict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.plan IS DISTINCT FROM OLD.plan AND NOT (rls_tenant.has_role(OLD.tenant_id, 'admin') AND rls_tenant.has_role(NEW.tenant_id, 'admin')) THEN
    RAISE insufficient_privilege USING MESSAGE = 'only role admin may change column plan';
  END IF;
  RETURN NULL;
END $$;
SQL
  for variant in $column_variants; do
    psql -X -q -v ON_ERROR_STOP=1 -v variant="$variant" <<'SQL'
SET rls_tenant.guard = off;
CREATE TABLE columns.:variant (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, amount integer NOT NULL, plan text NOT NULL DEFAULT 'free', body text NOT NULL)
  WITH (fillfactor = 50);
INSERT INTO columns.:variant SELECT id, tenant_id, amount, 'free', body FROM small.handwritten ORDER BY id;
GRANT ALL ON columns.:variant TO app;
VACUUM (FREEZE, ANALYZE) columns.:variant;
SQL
  done
  # The least that any trigger costs.
  cat >"$work/nothing.c" <<'C'
#include "postgres.h"
#include "fmgr.h"
PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(nothing);
Datum nothing(PG_FUNCTION_ARGS) { return PointerGetDatum(NULL); }
C
  gcc -O2 -shared -fPIC -I "$("$PG_CONFIG" --includedir-server)" -o "$work/nothing.so" "$work/nothing.c"
  psql -X -q -v ON_ERROR_STOP=1 -v nothing="$work/nothing" <<'SQL'
CREATE FUNCTION columns.nothing() RETURNS trigger LANGUAGE C AS :'nothing', 'nothing';
CREATE TRIGGER t AFTER INSERT OR UPDATE ON columns.nothing FOR EACH ROW EXECUTE FUNCTION columns.nothing();
CREATE TRIGGER t AFTER INSERT OR UPDATE ON columns.rule FOR EACH ROW
  EXECUTE FUNCTION rls_tenant.restrict_columns('plan', 'admin');
CREATE TRIGGER t AFTER INSERT OR UPDATE ON columns.plpgsql FOR EACH ROW EXECUTE FUNCTION columns.restrict();
SQL
}

# column_statement CASE VARIANT: the UPDATE; # stands for the id of a row.
column_statement() {
  local rows='id = #' set='amount = amount + 1'
  [[ $1 != bulk* ]] || rows='id BETWEEN 5001 AND 15000'
  [[ $1 != *changed ]] || set="plan = 'gold'"
  echo "UPDATE columns.$2 SET $set WHERE $rows"
}

columns_table() {
  local name variant cells first statement shown rounds
  local -A label=([none]='no trigger' [nothing]='an AFTER row trigger that returns at once' [rule]='**`restrict_columns()`**'
    [plpgsql]='the same rule in PL/pgSQL')
  table columns "Instructions per transaction with an \`UPDATE\` under a column rule" "" "one row, simple" ratio \
    "one row, prepared" ratio "one row, restricted column" ratio "10,000 rows" ratio "10,000 rows, restricted column" ratio
  for variant in $column_variants; do
    cells=()
    for name in $column_cases; do
      first='' statement=$(column_statement "$name" "$variant") rounds=("$warm" "$((steady / 2))")
      [[ $name != bulk* ]] || rounds=(1 3)
      [ "$name" != prepared ] || prepared_of "$statement"
      count "$name $variant" rls_tenant "$first" \
        "$(undone "SET LOCAL rls_tenant.user_id = 'ann';" "$(padded "$statement")")" "${rounds[@]}"
      shown=$(ratio "${cost[$name $variant]}" "${cost[$name none]}")
      [ "$variant" != rule ] || shown=$(judged "$shown" 1.1)
      cells+=("$(grouped "${cost[$name $variant]}")" "$shown")
    done
    row "${label[$variant]}" "${cells[@]}"
  done
}
