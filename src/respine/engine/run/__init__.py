"""Many subjects at once: the loop that drives the kernels, equal subjects, conserved totals."""
