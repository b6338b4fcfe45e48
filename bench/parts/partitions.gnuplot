# Ratios on partitioned tables to the hand-written form, as the partitions become more.
eval card(960, 440)
set output output
protocols = 'simple prepared'
panels = '"simple protocol" "prepared"'
array at_x[6] = [0.05, 0.17, 0.29, 0.45, 0.68, 0.83]
do for [s = 1:6] { eval entry(s, s, word(names, s), at_x[s]) }
set multiplot
set logscale xy
set xrange [6:1400]
set yrange [0.7:400]
set xtics (8, 128, 1024)
set ytics ('1' 1, '3' 3, '10' 10, '30' 30, '100' 100, '300' 300)
set bmargin at screen 0.25
set tmargin at screen 0.90
set label 1 'partitions' at screen 0.53, 0.135 center textcolor rgb ink
do for [p = 1:2] {
  set lmargin at screen 0.10 + 0.46 * (p - 1)
  set rmargin at screen 0.10 + 0.46 * p - 0.06
  set title word(panels, p)
  if (p == 1) { set ylabel 'instructions, as a multiple of by hand' } else { unset ylabel }
  plot for [s = 6:1:-1] data using (where(strcol(1) eq word(protocols, p) && strcol(3) eq word(variants, s), $2)):4 \
    with linespoints linestyle s
  unset label
}
unset multiplot
