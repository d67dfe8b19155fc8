"""Ordinary least squares with contrasts: ANCOVA, and what imputation repeats many times."""

from __future__ import annotations

import numpy as np

from respine.trial.analysis.arrays import Array
from respine.trial.analysis.mmrm.fit import orthonormal
from respine.trial.analysis.mmrm.freedom import Contrast
from respine.trial.analysis.student import half_width, two_sided


class Linear:
    """Least squares of ``y`` (N,) on ``x`` (N, q); ``kept`` are the columns that could be told apart.

    ``robust`` takes MacKinnon and White's HC3 covariance (doi:10.1016/0304-4076(85)90158-7) in place of the usual.
    """

    def __init__(self, x: Array, y: Array, robust: bool = False) -> None:
        basis = orthonormal(x, y)
        self.kept = basis.kept
        self._r = basis.r
        self._qy = basis.qy
        self.df = len(y) - len(basis.kept)
        residual = basis.y_star * basis.scale
        if robust:
            leverage = (basis.q**2).sum(axis=1)
            score = basis.q * (residual / np.maximum(1 - leverage, 1e-12))[:, None]
            self._middle = score.T @ score
        else:
            self._middle = np.eye(len(basis.kept)) * (float(residual @ residual) / self.df if self.df > 0 else np.nan)

    def contrast(self, row: Array, level: float = 0.95, null: float = 0.0) -> Contrast:
        """Estimate, t test and interval of ``row @ coefficients``, row in the order of ``kept``."""
        lb = np.linalg.solve(self._r.T, row)
        estimate = float(lb @ self._qy)
        se = float(np.sqrt(lb @ self._middle @ lb))
        t = (estimate - null) / se if se > 0 else float("nan")
        half = half_width(level, self.df) * se
        return Contrast(estimate, se, float(self.df), t, two_sided(t, self.df), estimate - half, estimate + half)
