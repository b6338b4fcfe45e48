# Transactions per second through PgBouncer, and the server's processor time for each, to the hand-written form.
eval card(960, 620)
set output output
kinds = 'tps cpu'
panels = '"transactions per second" "processor time per transaction"'
many = '10000 50000'
totals = '"10,000 tenants" "50,000 tenants"'
bars = 'handwritten context protected setting'
titles = '"WHERE alone" "WHERE, and SET LOCAL" "protect(), and SET LOCAL" "current_setting(), and SET LOCAL"'
pens = '1 4 2 3'
array at_x[4] = [0.09, 0.24, 0.46, 0.70]
do for [s = 1:4] { eval entry(s, int(word(pens, s)), word(titles, s), at_x[s]) }
set multiplot
set xrange [0.5:4.5]
set yrange [0.6:1.4]
set xtics ('1' 1, '2' 2, '8' 3, '64' 4)
set ytics 0.1
set label 1 'clients' at screen 0.53, 0.085 center textcolor rgb ink
set label 2 'as a multiple of the hand-written WHERE with SET LOCAL' at screen 0.022, 0.55 center rotate textcolor rgb ink
clients(n) = n == 1 ? 1 : n == 2 ? 2 : n == 8 ? 3 : 4
do for [k = 1:2] { do for [m = 1:2] {
  set lmargin at screen 0.09 + 0.46 * (m - 1)
  set rmargin at screen 0.09 + 0.46 * m - 0.05
  set tmargin at screen 0.95 - 0.43 * (k - 1)
  set bmargin at screen 0.95 - 0.43 * (k - 1) - 0.33
  set title word(panels, k) . ', ' . word(totals, m) offset 0,-0.5
  unset arrow
  set arrow 1 from 0.5, 1 to 4.5, 1 nohead linecolor rgb word(colours, 1) linewidth 1.2
  plot for [s = 1:4] data using (where(strcol(1) eq word(kinds, k) && strcol(2) eq word(many, m) && strcol(4) eq word(bars, s), \
    clients($3) + (s - 2.5) * 0.14)):6 with points linestyle int(word(pens, s))
  unset label
} }
unset multiplot
