"""What is solved: the system's formulas as one graph, cut down to what a run needs, and their derivatives."""
