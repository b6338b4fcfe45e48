# shellcheck shell=bash
# tools/cluster.sh: what test/run, demo/run, bench/run and others have in common: a private copy of a PostgreSQL
# installation, a build of the extension inside that copy, and a private cluster. To be sourced; it sources
# tools/packages.sh.
#
# Only the working directory is written to (apart from packages that were missing): PostgreSQL finds its files relative
# to its programs, so a copy of them is an installation of our own, into which `make install` needs no rights and from
# which nothing has to be removed.

# shellcheck source=tools/packages.sh
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

# as_server COMMAND…: runs it as the user who owns the cluster: PostgreSQL refuses to run as root. In a directory that
# this user may read.
as_server() (
  cd /
  if [ "$(id -u)" = 0 ]; then
    exec runuser -u postgres -- "$@"
  else
    exec "$@"
  fi
)

# make_workdir: a private directory in $work that the server's user may enter; removed by leave().
make_workdir() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/rls_tenant.XXXXXX")
  [ "$(id -u)" != 0 ] || chown postgres "$work"
  chmod 711 "$work"
}

# make_prefix: copies the installation of $PG_CONFIG into $work/pg; afterwards PG_CONFIG and PG_BIN mean the copy. Real
# copies, no links: whatever a test writes there must not change the system's own files.
make_prefix() {
  local original=${PG_CONFIG:-/usr/lib/postgresql/$DEFAULT_MAJOR/bin/pg_config} prefix=$work/pg option directory
  [ -x "$original" ] || die "no such program: $original (PG_CONFIG)"
  original=$(cd "$("$original" --bindir)" && pwd)/pg_config
  PG_BIN=$prefix$("$original" --bindir)
  mkdir -p "$PG_BIN"
  cp "$("$original" --bindir)"/* "$PG_BIN/"
  for option in sharedir pkglibdir pkgincludedir; do
    directory=$("$original" --$option)
    [ -d "$directory" ] || continue
    mkdir -p "$prefix$directory"
    cp -RL "$directory/." "$prefix$directory/"
  done
  PG_CONFIG=$PG_BIN/pg_config
  PG_MAJOR=$("$PG_CONFIG" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
  export PG_CONFIG PG_BIN PG_MAJOR
}

# build: compile the tree (as it lies here, committed or not) in $work/src and install it into the private copy.
build() {
  mkdir -p "$work/src"
  (cd "$top" && git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar --null -T - -cf -) | tar -xf - -C "$work/src"
  if ! make -s -j2 -C "$work/src" PG_CONFIG="$PG_CONFIG" "$@" install >"$work/build.log" 2>&1; then
    cat "$work/build.log" >&2
    die "the build failed"
  fi
  [ "$(id -u)" != 0 ] || chown -R postgres "$work/src"
}

# start_cluster [LINE…]: initdb and start on a unix socket in $work; each LINE goes into postgresql.conf, and what the
# variable server_settings has. server_program: what is started instead of postgres.
start_cluster() {
  unset PGOPTIONS PGSERVICE PGPASSWORD PGSSLMODE PGHOSTADDR
  export PGHOST=$work PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGDATA=$work/data
  as_server "$PG_BIN/initdb" -D "$PGDATA" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
    >"$work/initdb.log" 2>&1 || { cat "$work/initdb.log" >&2; die "initdb failed"; }
  {
    echo "listen_addresses = ''"
    echo "unix_socket_directories = '$work'"
    echo "fsync = off"
    echo "full_page_writes = off"
    echo "max_prepared_transactions = 20"
    printf '%s\n' "$@" "${server_settings:-}"
  } >"$work/extra.conf"
  as_server sh -c "cat '$work/extra.conf' >>'$PGDATA/postgresql.conf'"
  as_server "$PG_BIN/pg_ctl" -D "$PGDATA" -l "$work/server.log" -w -t 60 ${server_program:+-p "$server_program"} \
    start >/dev/null || { cat "$work/server.log" >&2; die "the server did not start"; }
  cluster_runs=1
}

# stop_cluster: stop what start_cluster started.
stop_cluster() {
  [ "${cluster_runs:-0}" = 1 ] || return 0
  cluster_runs=0
  local server i
  server=$(head -n 1 "$PGDATA/postmaster.pid" 2>/dev/null) || server=
  as_server "$PG_BIN/pg_ctl" -D "$PGDATA" -m fast -w stop >/dev/null 2>&1 ||
    as_server "$PG_BIN/pg_ctl" -D "$PGDATA" -m immediate -w stop >/dev/null 2>&1 || true
  # pg_ctl waits until that file is gone; a server under callgrind then still writes what it has counted.
  for ((i = 0; i < 100; i++)); do
    if [ -z "$server" ] || [ ! -d "/proc/$server" ]; then break; fi
    sleep 0.1
  done
}

# leave: for `trap leave EXIT`: stop the cluster and remove the working directory, also on failure.
leave() {
  local status=$?
  stop_cluster
  if [ "${keep_workdir:-0}" = 1 ]; then return "$status"; fi
  [ -z "${work:-}" ] || rm -rf "$work"
  return "$status"
}
