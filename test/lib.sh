# shellcheck shell=bash
# test/lib.sh: what demo/run, test/run and bench/run share, to be sourced: Debian packages, a private copy of a
# PostgreSQL installation, a build of the extension inside that copy, and a private cluster.
#
# Nothing outside the working directory is written (but for packages that were missing): PostgreSQL finds its files
# relative to its programs, so a copy of the programs beside links to everything else is an installation of our own,
# into which `make install` needs no rights and from which nothing has to be removed.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DEFAULT_MAJOR=15

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Install the Debian packages that are missing; ask sudo only then.
need_packages() {
  local missing=() package sudo=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "these Debian packages are missing: ${missing[*]}"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "install these as root first: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  say "installing ${missing[*]}"
  # Nobody asked for the cluster "main" that a first PostgreSQL makes, nor for services that start by themselves.
  local log status=0
  # shellcheck disable=SC2016  # the inner shell expands these
  log=$("${sudo[@]}" sh -c '
    cluster=/etc/postgresql-common/createcluster.d/rls_tenant.conf policy=/usr/sbin/policy-rc.d own=
    [ -e "$policy" ] || own=$policy
    [ -e /usr/bin/pg_createcluster ] || own="$own $cluster"
    trap "rm -f $own" EXIT
    trap "exit 1" HUP INT TERM
    for file in $own; do
      mkdir -p "${file%/*}"
      case $file in
        "$policy") printf "#!/bin/sh\nexit 101\n" >"$file"; chmod 755 "$file" ;;
        *) echo "create_main_cluster = false" >"$file" ;;
      esac
    done
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"
    ' sh "${missing[@]}" 2>&1 </dev/null) || status=$?
  if [ "$status" != 0 ]; then
    tail -20 <<<"$log" >&2
    die "apt-get could not install ${missing[*]}"
  fi
}

# shellcheck disable=SC2034  # for those who source this
DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

# The later Debian release that has a PostgreSQL which this machine's has not.
later_release() {
  case $1 in
    17) echo trixie ;;
    18) echo forky ;;
    *) die "no Debian release is known here that has PostgreSQL $1 (17 and 18 are)" ;;
  esac
}

# The address from which this machine takes its own Debian; with an argument: the security updates of it.
debian_mirror() {
  local codename
  # shellcheck disable=SC1091
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")${1:-}
  # shellcheck disable=SC2016  # apt's own placeholders
  apt-get indextargets --format '$(CODENAME) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
    awk -v codename="$codename" '$1 == codename || $2 == codename {print $3; exit}'
}

# own_apt DIRECTORY LINE…: an apt of its own, which knows these sources alone and believes that nothing is installed.
own_apt() {
  local state=$1; shift
  mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/packages"
  : >"$state/status"
  printf '%s\n' "$@" >"$state/sources.list"
  {
    echo "Dir::State \"$state\";"
    echo "Dir::State::status \"$state/status\";"
    echo "Dir::Cache \"$state\";"
    echo "Dir::Etc::sourcelist \"$state/sources.list\";"
    echo 'Dir::Etc::sourceparts "/dev/null";'
    echo 'Dir::Etc::preferences "/dev/null";'
    echo 'Dir::Etc::preferencesparts "/dev/null";'
    echo 'Acquire::Languages "none";'
    echo 'APT::Install-Recommends "false";'
    echo "APT::Sandbox::User \"$(id -un)\";"
  } >"$state/apt.conf"
  export APT_CONFIG=$state/apt.conf
  apt-get update -qq
}

# The packages that building and running on Debian's own PostgreSQL takes.
need_postgresql() {
  need_packages make g++ "postgresql-$DEFAULT_MAJOR" "postgresql-server-dev-$DEFAULT_MAJOR"
}

# Run a command as the user who owns the cluster: PostgreSQL refuses to run as root, and to look at a directory that
# this user may not read.
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

# make_prefix: copy the installation of $PG_CONFIG into $work/pg; afterwards PG_CONFIG and PG_BIN mean the copy.
make_prefix() {
  local original=${PG_CONFIG:-/usr/lib/postgresql/$DEFAULT_MAJOR/bin/pg_config} prefix=$work/pg dir
  [ -x "$original" ] || die "no such program: $original (PG_CONFIG)"
  original=$(cd "$("$original" --bindir)" && pwd)/pg_config
  PG_BIN=$prefix$("$original" --bindir)
  mkdir -p "$PG_BIN"
  cp "$("$original" --bindir)"/* "$PG_BIN/"
  for dir in sharedir pkglibdir libdir pkgincludedir includedir includedir-server; do
    dir=$("$original" --$dir)
    [ -d "$dir" ] || continue
    [ ! -e "$prefix$dir" ] || continue
    mkdir -p "$(dirname "$prefix$dir")"
    case $dir in
      */share/* | */postgresql/* | */share | */pgsql/*) cp -rs "$dir" "$prefix$dir" ;;
      *) ln -s "$dir" "$prefix$dir" ;;
    esac
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

# start_cluster [LINE…]: initdb and start on a unix socket in $work; each LINE goes into postgresql.conf.
start_cluster() {
  unset PGOPTIONS PGSERVICE PGPASSWORD PGSSLMODE PGHOSTADDR
  export PGHOST=$work PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGDATA=$work/data
  as_server "$PG_BIN/initdb" -D "$PGDATA" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$work/initdb.log" 2>&1 ||
    { cat "$work/initdb.log" >&2; die "initdb failed"; }
  {
    echo "listen_addresses = ''"
    echo "unix_socket_directories = '$work'"
    echo "fsync = off"
    echo "full_page_writes = off"
    echo "max_prepared_transactions = 20"
    printf '%s\n' "$@"
  } >"$work/extra.conf"
  as_server sh -c "cat '$work/extra.conf' >>'$PGDATA/postgresql.conf'"
  as_server "$PG_BIN/pg_ctl" -D "$PGDATA" -l "$work/server.log" -w -t 60 start >/dev/null ||
    { cat "$work/server.log" >&2; die "the server did not start"; }
  cluster_runs=1
}

# stop_cluster: stop what start_cluster started.
stop_cluster() {
  [ "${cluster_runs:-0}" = 1 ] || return 0
  cluster_runs=0
  as_server "$PG_BIN/pg_ctl" -D "$PGDATA" -m fast -w stop >/dev/null 2>&1 ||
    as_server "$PG_BIN/pg_ctl" -D "$PGDATA" -m immediate -w stop >/dev/null 2>&1 || true
}

# leave: for `trap leave EXIT`: stop the cluster and remove the working directory, also on failure.
leave() {
  local status=$?
  stop_cluster
  if [ "${keep_workdir:-0}" = 1 ]; then return "$status"; fi
  [ -z "${work:-}" ] || rm -rf "$work"
  return "$status"
}
