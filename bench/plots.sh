# For bench/run: the plots of its figures, by bench/plots/PART.gnuplot from bench/results/NAME.tsv.
# shellcheck shell=bash disable=SC2154 # bench/run has the variables

# draw_plots: of the parts that were measured.
draw_plots() {
  local part name
  for part in "${wanted[@]}"; do
    name=$(plot_name "$part")
    [ -e "$work/$name.tsv" ] || continue
    cp "$work/$name.tsv" "$top/bench/results/$name.tsv"
    gnuplot -e "data = '$top/bench/results/$name.tsv'; output = '$top/bench/results/$name.svg'" \
      "$top/bench/plots/style.gnuplot" "$top/bench/plots/$part.gnuplot" || die "no plot of $part"
  done
}
