# Ratios on the registry of Debian's packages to the hand-written form, a panel a measure.
eval card(960, 900)
set output output
cases = 'lookup page aggregate join upsert update delete insert'
titles = '"package by name" "page of 20" "size by section" "join of three" "upsert" "UPDATE" "DELETE" "INSERT of 10,000"'
tenants = 'small median largest'
kinds = 'simple extended prepared processor'
panels = '"simple protocol" "extended protocol" "prepared" "processor time"'
array at_x[6] = [0.05, 0.17, 0.29, 0.45, 0.68, 0.83]
do for [s = 2:6] { eval entry(s, s, word(names, s), at_x[s]) }
set multiplot
set logscale x
set yrange [0.4:24.6]
set bmargin at screen 0.12
set label 1 'as a multiple of the hand-written WHERE' at screen 0.58, 0.07 center textcolor rgb ink
set tmargin at screen 0.95
do for [p = 1:4] {
  set lmargin at screen 0.20 + 0.2 * (p - 1)
  set rmargin at screen 0.20 + 0.2 * p - 0.02
  set title word(panels, p)
  set xrange [0.58:2.5]
  set xtics ('0.6' 0.6, '0.8' 0.8, '1' 1, '1.5' 1.5, '2' 2)
  set ytics ()
  do for [c = 1:8] { do for [t = 1:3] {
    label = c == 8 ? word(titles, c) : word(titles, c) . ', ' . word(tenants, t)
    if (c < 8 || t == 2) { set ytics add ((p == 1 ? label : '') 28 - c * 3 - t) }
  } }
  unset arrow
  set arrow 1 from 1, 0.4 to 1, 24.6 nohead linecolor rgb word(colours, 1) linewidth 1.6
  plot for [s = 2:6] data using (where(strcol(1) eq word(kinds, p) && strcol(4) eq word(variants, s), $5)): \
    (28 - place(strcol(2), cases) * 3 - place(strcol(3), tenants) + (4 - s) * 0.14) with points linestyle s
  unset label
}
unset multiplot
