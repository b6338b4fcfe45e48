# For bench/run: the plots of its figures.
# shellcheck shell=bash disable=SC2154 # bench/run has the variables

draw_plots() { :; }
