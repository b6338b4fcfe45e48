# For bench/run: the plots of its figures, by bench/plots/NAME.gnuplot from bench/results/NAME.tsv.
# shellcheck shell=bash disable=SC2154 # bench/run has the variables

# draw_plots: of the parts that were measured.
draw_plots() {
  local part
  for part in "${wanted[@]}"; do
    [ -e "$work/$part.tsv" ] || continue
    cp "$work/$part.tsv" "$top/bench/results/$part.tsv"
    gnuplot -e "data = '$top/bench/results/$part.tsv'; output = '$top/bench/results/$part.svg'" \
      "$top/bench/plots/style.gnuplot" "$top/bench/plots/$part.gnuplot" || die "no plot of $part"
  done
}
