# shellcheck shell=bash
# tools/sources.sh: PostgreSQL's sources and packages as Debian has them, for test/core and test/hard. To be sourced after
# tools/packages.sh.

# debian_lines KIND MAJOR: what apt has to know to get packages (deb) or sources (deb-src) of that PostgreSQL: the places
# that this machine has its own from, or else the release from which tools/unpack_postgresql takes it.
debian_lines() {
  if [ "$2" = "$DEFAULT_MAJOR" ]; then
    apt-cache madison "postgresql-$2" | awk -F ' *[|] *' -v start="$1 [signed-by=$DEBIAN_KEYS]" '
      {split($3, place, " "); sub("/.*", "", place[2]); print start, place[1], place[2], "main"}' | sort -u
  else
    echo "$1 [signed-by=$DEBIAN_KEYS] $(debian_mirror) $(later_release "$2") main"
  fi
}

# get_sources MAJOR DIRECTORY: unpacks the newest sources that can be had into the directory, which is empty, and prints
# where they lie.
get_sources() {
  local major=$1 directory=$2 lines=()
  mapfile -t lines < <(debian_lines deb-src "$major")
  say "getting the sources of PostgreSQL $major"
  mkdir -p "$directory/apt"
  (
    own_apt "$directory/apt" "${lines[@]}"
    cd "$directory"
    for version in $(apt-cache showsrc --only-source "postgresql-$major" | awk '$1 == "Version:" {print $2}' | sort -rV); do
      ! apt-get source -qq --download-only "postgresql-$major=$version" || exit 0
    done
    exit 1
  ) >"$directory/apt.log" 2>&1 || { cat "$directory/apt.log" >&2; die "apt-get could not get them"; }
  tar -xf "$directory"/*.orig.tar.* -C "$directory"
  rm -rf "$directory"/apt "$directory"/*.tar.* "$directory"/*.dsc
  echo "$directory"/postgresql-*/
}
