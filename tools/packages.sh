# shellcheck shell=bash
# tools/packages.sh: the Debian packages that our scripts need, and how they are installed. To be sourced.

# shellcheck disable=SC2034  # for the scripts that source this file
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DEFAULT_MAJOR=15

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# --- Which packages

# To build for Debian's own PostgreSQL, and to run it.
# shellcheck disable=SC2034  # for the scripts that source this file
POSTGRESQL_PACKAGES=(make g++ "postgresql-$DEFAULT_MAJOR" "postgresql-server-dev-$DEFAULT_MAJOR")

# test_packages PART…: what test/run needs for these parts (or PART/NAME), one package a line.
test_packages() {
  local parts=" ${*%%/*} " packages=()
  if [ -z "${PG_CONFIG:-}" ]; then
    packages+=("${POSTGRESQL_PACKAGES[@]}" "postgresql-$DEFAULT_MAJOR-pgtap")
    # Tools that are used beside the extension; another PostgreSQL's tests go without.
    if [[ $parts == *' tap '* ]]; then packages+=("postgresql-$DEFAULT_MAJOR"-{partman,pgaudit,pgq3,repack}); fi
  else
    packages+=(make g++ postgresql-common)  # the last makes the user postgres
  fi
  if [[ $parts == *' pgtap '* ]]; then packages+=(libtap-parser-sourcehandler-pgtap-perl); fi
  if [[ $parts == *' tap '* ]]; then
    packages+=(perl libdbd-pg-perl libxml-libxml-perl pgbouncer clang shellcheck binutils
      python3-alembic python3-django python3-psycopg2 gunicorn
      python3-fastapi python3-sqlalchemy python3-asyncpg uvicorn
      default-jdk-headless libpostgresql-jdbc-java libhikaricp-java libgoogle-gson-java)
    command -v node >/dev/null || packages+=(nodejs npm)  # a machine may have its own
  fi
  printf '%s\n' "${packages[@]}"
}

# --- How they are installed

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# apt_get ARGUMENT…: apt-get as root, which waits up to ten minutes for another process that holds one of its locks: a
# fresh machine is often busy with upgrading itself. For dpkg's lock apt-get can wait; for those of the package lists
# and of the downloaded packages it cannot. Prints what apt-get printed only if that failed.
apt_get() {
  local attempt status output
  for ((attempt = 1; attempt <= 60; attempt++)); do
    status=0
    output=$(as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive \
      apt-get -qq -o DPkg::Lock::Timeout=600 "$@" 2>&1 </dev/null) || status=$?
    if [ "$status" = 0 ] || ! grep -qE 'Could not get lock .*/(lists|archives)/lock' <<<"$output"; then break; fi
    [ "$attempt" != 1 ] || say "waiting for another process that uses apt"
    sleep 10
  done
  [ "$status" = 0 ] || tail -n 20 <<<"$output" >&2
  return "$status"
}

# need_packages PACKAGE…: installs those that are missing; only then it asks for rights. A script calls it once, with
# all that it needs, so that a user without these rights is told of all at once.
need_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "these Debian packages are missing: ${missing[*]}"
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "install these as root first: apt-get install ${missing[*]}"
  say "installing ${missing[*]}"
  install_packages "${missing[@]}" || die "apt-get could not install ${missing[*]}"
}

# install_packages PACKAGE…: installs packages, but neither the cluster "main" that a first PostgreSQL would make, nor
# services that would start by themselves. What tells Debian so is removed afterwards.
install_packages() (
  cluster=/etc/postgresql-common/createcluster.d/rls_tenant.conf policy=/usr/sbin/policy-rc.d files=()
  trap '[ ${#files[@]} = 0 ] || as_root rm -f "${files[@]}"' EXIT
  trap 'exit 1' HUP INT TERM
  if [ ! -e "$policy" ]; then
    files+=("$policy")
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  if [ ! -e /usr/bin/pg_createcluster ]; then
    files+=("$cluster")
    as_root mkdir -p "${cluster%/*}"
    as_root tee "$cluster" >/dev/null <<<'create_main_cluster = false'
  fi
  apt_get update && apt_get install -y --no-install-recommends "$@"
)

# --- Packages of other Debian releases, and sources

# shellcheck disable=SC2034  # for the scripts that source this file
DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

# The later Debian release that has a PostgreSQL which this machine's release does not have.
later_release() {
  case $1 in
    17) echo trixie ;;
    18) echo forky ;;
    *) die "no Debian release is known here that has PostgreSQL $1 (17 and 18 are)" ;;
  esac
}

# The address from which this machine takes its own Debian; with the argument -security: the security updates of it.
debian_mirror() {
  local codename
  # shellcheck disable=SC1091
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")${1:-}
  # shellcheck disable=SC2016  # apt's own placeholders
  apt-get indextargets --format '$(CODENAME) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
    awk -v codename="$codename" '$1 == codename || $2 == codename {print $3; exit}'
}

# own_apt DIRECTORY LINE…: a separate apt with its files in DIRECTORY, which knows only these sources and believes that
# no package is installed. From then on the shell's apt-get is this one.
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
