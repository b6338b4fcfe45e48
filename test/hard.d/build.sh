# shellcheck shell=bash
# test/hard.d/build.sh: PostgreSQL with its assertions, from Debian's sources; to be sourced by test/hard.

# contrib's modules that our tests, PostgreSQL's own and the random walks load.
CONTRIB=(btree_gist citext file_fdw hstore pg_stat_statements pgcrypto postgres_fdw spi)

# What building takes (neither JIT nor readline, which no test needs), and what the parts take.
# shellcheck disable=SC2034  # for test/hard
TOOLS=(gcc g++ make bison flex perl pkg-config libicu-dev valgrind python3-psycopg2 sqlsmith postgresql-common
  libtap-parser-sourcehandler-pgtap-perl libdbd-pg-perl)

# build_postgresql MAJOR DIRECTORY: builds it in DIRECTORY/source and installs it in DIRECTORY/installed, if it is not
# there. Frame pointers: so that fail_allocation.c knows cheaply whose allocation it is. USE_VALGRIND: so that memcheck
# knows each piece of a memory context; without memcheck it costs next to nothing.
build_postgresql() {
  local major=$1 directory=$2 source start=$SECONDS options=()
  [ ! -e "$directory/complete" ] || return 0
  rm -rf "${directory:?}"/{source,installed}
  mkdir -p "$directory"
  source=$(get_sources "$major" "$directory/source")
  [ "$major" -ge 16 ] || options+=(--with-icu)
  say "building PostgreSQL $major with assertions"
  (
    cd "$source"
    nice -n 19 ./configure -q --prefix="$directory/installed" --enable-cassert --enable-debug --without-readline \
      --without-zlib "${options[@]}" CFLAGS='-O1 -g -fno-omit-frame-pointer' CXXFLAGS='-O1 -g -fno-omit-frame-pointer' \
      CPPFLAGS=-DUSE_VALGRIND
    nice -n 19 make -s -j2 -C src/backend generated-headers
    nice -n 19 make -s -j2 -C src install
    for module in "${CONTRIB[@]}"; do nice -n 19 make -s -j2 -C "contrib/$module" install; done
  ) >"$directory/build.log" 2>&1 || { tail -n 30 "$directory/build.log" >&2; die "PostgreSQL $major could not be built"; }
  install_pgtap "$major" "$directory"
  touch "$directory/complete"
  say "built in $((SECONDS - start)) s"
}

# install_pgtap MAJOR DIRECTORY: pgTAP is SQL alone, so Debian's files serve this build, too.
install_pgtap() {
  local major=$1 directory=$2 lines=()
  mapfile -t lines < <(debian_lines deb "$major")
  mkdir -p "$directory/apt"
  (
    own_apt "$directory/apt" "${lines[@]}"
    cd "$directory/apt/packages"
    apt-get download -qq "postgresql-$major-pgtap"
    dpkg-deb -x postgresql-*-pgtap_*.deb .
    cp usr/share/postgresql/*/extension/pgtap* "$("$directory/installed/bin/pg_config" --sharedir)/extension/"
  ) >"$directory/apt.log" 2>&1 || { cat "$directory/apt.log" >&2; die "pgTAP for PostgreSQL $major could not be had"; }
  rm -rf "$directory/apt"
}
