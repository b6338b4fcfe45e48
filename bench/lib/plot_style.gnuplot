# What all plots have in common: a light card that is legible on light and dark pages, and for each variant a colour
# that the colour-blind can tell (Okabe and Ito's), with a shape of its own.
ink = '#24292f'
faint = '#d0d7de'
set border 3 linecolor rgb '#8c959f'
set tics nomirror out scale 0.5 textcolor rgb ink
set grid xtics ytics linecolor rgb faint linewidth 0.6
set xlabel textcolor rgb ink
set ylabel textcolor rgb ink
set title textcolor rgb ink font 'sans-serif,13'
set datafile separator "\t"
set datafile missing NaN
unset key
variants = 'handwritten protected setting subselect sql plpgsql'
names = '"by hand" "protect()" "current_setting()" "(SELECT current_setting())" "SQL function" "plpgsql function"'
colours = '#57606a #0072b2 #e69f00 #009e73 #cc79a7 #d55e00'
shapes = '6 7 5 9 13 11'
array size[6] = [1.3, 1.0, 0.8, 0.9, 0.9, 0.9]
do for [i = 1:6] {
  set style line i linecolor rgb word(colours, i) pointtype int(word(shapes, i)) pointsize size[i] linewidth 1.8
}
card(width, height) = sprintf("set terminal svg size %d,%d dynamic noenhanced font 'sans-serif,12' background rgb '#ffffff'", width, height)
# place(word, list): where it stands in the list, from 1.
place(w, list) = (at = 0, sum [i = 1:words(list)] (word(list, i) eq w ? (at = i, 0) : 0), at)
# where(condition, value): the value, or nothing.
where(condition, value) = condition ? value : NaN
# entry(number, style, name, x): of the legend, at the foot of the card.
entry(n, s, name, x) = sprintf("set label %d '%s' at screen %f, 0.04 left offset 1,0 textcolor rgb ink point linestyle %d", 100 + n, name, x, s)
