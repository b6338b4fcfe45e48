# For bench/run: scripts for psql whose statements take turns, and the times of these statements.
# shellcheck shell=bash disable=SC2154,SC2034 # bench/run has the variables
# shellcheck disable=SC2028 # \echo is psql's

# What makes the server send the processor time of each statement, and how to read it: "MARK MILLISECONDS" for each
# statement, where MARK is what \warn said last.
stats_on='SET log_statement_stats = on; SET client_min_messages = log;'
processor_times() { awk '/ s elapsed$/ { print mark, 1000 * ($2 + $5) } /^mark / { mark = $2 }' "$1"; }

# marked MARK STATEMENT: a statement whose figures go to $work/MARK. mark ROUND MARK: no mark in round 0, which warms
# up.
marked() { printf '\\warn mark %s\n\\echo mark %s\n%s\n\\warn mark -\n\\echo mark -\n' "$1" "$1" "$2"; }
mark() { if [ "$1" = 0 ]; then echo -; else echo "$2"; fi; }

# run_script: runs psql on stdin; what it prints goes to $work/printed and $work/stats.
run_script() {
  psql -X -qAt -v ON_ERROR_STOP=1 -f - >"$work/printed" 2>"$work/stats" ||
    { tail -3 "$work/stats" >&2; die "a script failed"; }
}

# keep_processor: keeps the processor time of each marked statement, in milliseconds. keep_printed PATTERN: keeps the
# word that follows PATTERN in the lines that were printed after the mark.
keep_processor() { processor_times "$work/stats" | awk -v work="$work" '$1 != "-" { print $2 >>(work "/" $1) }'; }
keep_printed() {
  awk -v work="$work" -v pattern="$1" '
    /^mark / { mark = $2 }
    index($0, pattern) == 1 && mark != "-" {
      split(substr($0, length(pattern) + 1), word, " ")
      print word[1] >>(work "/" mark)
    }' "$work/printed"
}

# turned LIST: the list, in which the first word has become the last.
turned() { if [[ $1 == *' '* ]]; then echo "${1#* } ${1%% *}"; else echo "$1"; fi; }

ms() { median <"$work/$1" | xargs printf "%.${2:-2}f"; }
# The median of the rounds' ratios where there are as many, else the ratio of the medians.
times_as() {
  if [ "$(wc -l <"$work/$1")" = "$(wc -l <"$work/$2")" ]; then
    paired_ratio "$work/$1" "$work/$2"
  else
    ratio "$(median <"$work/$1")" "$(median <"$work/$2")"
  fi
}
