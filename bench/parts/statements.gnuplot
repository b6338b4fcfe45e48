# Ratios of an application's statements to the hand-written form, a panel a protocol.
eval card(960, 470)
set output output
cases = 'lookup page aggregate join upsert update delete insert'
titles = '"point lookup" "page of 20 rows" "aggregate" "join of three" "upsert" "UPDATE" "DELETE" "INSERT of 10,000"'
protocols = 'simple extended prepared'
panels = '"simple protocol" "extended protocol" "prepared"'
array at_x[6] = [0.05, 0.17, 0.29, 0.45, 0.68, 0.83]
do for [s = 2:6] { eval entry(s, s, word(names, s), at_x[s]) }
set multiplot
set logscale x
set xrange [0.92:2.1]
set yrange [0.4:8.6]
set xtics ('1' 1, '1.1' 1.1, '1.25' 1.25, '1.5' 1.5, '2' 2)
set bmargin at screen 0.21
set tmargin at screen 0.90
set label 1 'instructions, as a multiple of the hand-written WHERE' at screen 0.56, 0.105 center textcolor rgb ink
do for [p = 1:3] {
  set lmargin at screen 0.15 + 0.285 * (p - 1)
  set rmargin at screen 0.15 + 0.285 * p - 0.02
  set title word(panels, p)
  set ytics ()
  if (p == 1) { do for [c = 1:8] { set ytics add (word(titles, c) 9 - c) } } else { do for [c = 1:8] { set ytics add ('' 9 - c) } }
  unset arrow
  set arrow 1 from 1, 0.4 to 1, 8.6 nohead linecolor rgb word(colours, 1) linewidth 1.6
  plot for [s = 2:6] data using (where(strcol(1) eq word(protocols, p) && strcol(3) eq word(variants, s), $4)): \
    (9 - place(strcol(2), cases) + (4 - s) * 0.13) with points linestyle s
  unset label
}
unset multiplot
