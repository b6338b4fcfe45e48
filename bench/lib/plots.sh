# For bench/run: the plots of its figures, by bench/parts/PART.gnuplot from bench/results/NAME.tsv.
# shellcheck shell=bash disable=SC2154 # bench/run has the variables

# draw_plots: the plots of the parts that were measured.
draw_plots() {
  local part name
  for part in "${wanted[@]}"; do
    name=$(plot_name "$part")
    [ -e "$work/$name.tsv" ] || continue
    cp "$work/$name.tsv" "$top/bench/results/$name.tsv"
    gnuplot -e "data = '$top/bench/results/$name.tsv'; output = '$top/bench/results/$name.svg'" \
      "$top/bench/lib/plot_style.gnuplot" "$top/bench/parts/$part.gnuplot" || die "no plot of $part"
  done
}
