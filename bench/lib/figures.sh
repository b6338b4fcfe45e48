# For bench/run: figures, and the tables that show them, which are kept in bench/results/figures.md.
# shellcheck shell=bash disable=SC2154 # bench/run has the variables

least() { sort -n "$1" | head -n 1; }
median() { sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }
# paired_ratio FILE BASE: the median of the rounds' ratios, which drifts less than the ratio of the medians.
paired_ratio() { paste "$1" "$2" | awk '{ print $1 / $2 }' | median | xargs printf %.3f; }
grouped() { sed -E ':again; s/([0-9])([0-9]{3})($|,)/\1,\2\3/; t again' <<<"$1"; }

# judged RATIO TARGET: the ratio, its target, and whether it holds.
judged() {
  awk -v r="$1" -v t="$2" 'BEGIN { printf "**%s** (target %s: %s)", r, t, r + 0 <= t + 0 ? "held" : "missed" }'
}

line() { printf '%s\n' "$*" >>"$work/figures.md"; }
row() { line "|$(printf ' %s |' "$@")"; }

# plotted PLOT FIELD…: a line of the data of a plot; see bench/lib/plots.sh.
plotted() { printf '%s\n' "$(IFS=$'\t'; echo "${*:2}")" >>"$work/$(plot_name "$1").tsv"; }
plot_name() { echo "$1${large[$1]:+_large}"; }

# sized PART ROWS: how many rows the next tables of a part are about; those of the most rows are made by another
# command.
declare -A large=()
sized() { large[$1]=; [ "$2" -le 1000000 ] || large[$1]='--large '; }

processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)

# table PART TITLE COLUMN…: begins a table, with the command that makes it and the processor; its first column is text,
# the others are figures.
table() {
  line
  line "### $2"
  line
  line "\`bash bench/run ${large[$1]-}$1\` on $processor"
  line
  row "${@:3}"
  line "|---|$(printf -- '---:|%.0s' "${@:4}")"
}

# sections FILE COMMAND: the tables that a command makes.
sections() {
  awk -v part="$2" 'BEGIN { RS = "\n### " }
    NR > 1 && index($0, "`bash bench/run " part "`") { sub(/\n+$/, ""); printf "\n### %s\n", $0 }' "$1"
}

# keep_figures: writes the tables to bench/results/figures.md; those that were not measured stay.
keep_figures() {
  local kept=$top/bench/results/figures.md part made from
  mkdir -p "$top/bench/results"
  touch "$kept"
  {
    printf '# Figures\n\n%s\n' "$(head -n 1 "$work/figures.md")"
    echo 'What they mean is told in [doc/performance.md](../../doc/performance.md).'
    for part in $parts; do
      for made in "$part" "--large $part"; do
        from=$kept
        if grep -qF "\`bash bench/run $made\`" "$work/figures.md"; then from=$work/figures.md; fi
        sections "$from" "$made"
      done
    done
  } >"$work/merged.md"
  cat "$work/merged.md" >"$kept"
}
