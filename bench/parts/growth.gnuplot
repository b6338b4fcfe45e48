# Instructions of an application's statements as the rows grow.
eval card(960, 520)
set output output
cases = 'lookup page aggregate join upsert update delete insert'
titles = '"point lookup" "page of 20 rows" "aggregate" "join of three" "upsert" "UPDATE" "DELETE" "INSERT of 10,000"'
do for [s = 1:3] { eval entry(s, s, word(names, s), 0.22 + 0.2 * s) }
set multiplot
set logscale xy
set xtics ('20k' 20000, '200k' 200000, '2M' 2000000)
set ytics ('200k' 2e5, '500k' 5e5, '1M' 1e6, '2M' 2e6, '5M' 5e6, '10M' 1e7, '20M' 2e7, '50M' 5e7, '100M' 1e8, '200M' 2e8, '500M' 5e8, '1G' 1e9)
set label 1 'rows of the table, of 1,000 tenants' at screen 0.52, 0.105 center textcolor rgb ink
set label 2 'instructions per transaction' at screen 0.022, 0.55 center rotate textcolor rgb ink
do for [c = 1:8] {
  column = (c - 1) % 4
  line = (c - 1) / 4
  set lmargin at screen 0.085 + 0.232 * column
  set rmargin at screen 0.085 + 0.232 * column + 0.18
  set tmargin at screen 0.93 - 0.42 * line
  set bmargin at screen 0.93 - 0.42 * line - 0.31
  set title word(titles, c) offset 0,-0.6
  set autoscale
  stats data using (where(strcol(1) eq word(cases, c), $4)) nooutput
  set xrange [13000:3100000]
  set yrange [STATS_min / 1.6 : STATS_max < STATS_min * 4 ? STATS_min * 6 : STATS_max * 1.6]
  plot for [s in '3 2 1'] data using (where(strcol(1) eq word(cases, c) && strcol(2) eq word(variants, int(s)), $3)):4 \
    with linespoints linestyle int(s)
  unset label
}
unset multiplot
