"""Numbers that more than one room must mean alike."""

from __future__ import annotations

SAME_MOMENT_H = 1e-6
"""Hours: two times closer than this (4 ms) are the same moment, for doses, visits, records and outputs."""

Z50 = 0.6744897501960817
"""Standard normal quantile of 0.75: a central 50 % interval reaches so many SD to each side."""

Z90 = 1.6448536269514722
"""Standard normal quantile of 0.95: a central 90 % interval reaches so many SD to each side."""

Z95 = 1.959963984540054
"""Standard normal quantile of 0.975: a central 95 % interval reaches so many SD to each side."""

SAME_MOMENT = 1e-11
"""The same for the engine, which knows no unit of time: two times closer than this share of them are the same moment."""
