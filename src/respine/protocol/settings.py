"""How accurately studies are solved, and what is watched meanwhile: one set for runs, fits, evidence and sensitivity."""

from __future__ import annotations

RUN_RTOL = 1e-5
"""Relative tolerance of a run: far below the differences between people that it is to show."""

FIT_RTOL = 1e-6
"""Relative tolerance where differences between parameter vectors decide, so that a fit ends at the same place each time."""

PRECISION = "float64"
NONNEGATIVE = True
"""Amounts and concentrations that turn negative end a person's simulation with a reason."""
