"""A trial as patients by visits, with what an imputation model needs to know of every cell, seen or missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array, Flags, Ints
from respine.trial.analysis.mmrm.fit import Data, Fit, fit

STRATEGIES = ("missing-at-random", "jump-to-reference", "copy-reference", "copy-increments-in-reference")
ALIASES = {"mar": "missing-at-random", "j2r": "jump-to-reference", "jr": "jump-to-reference", "cr": "copy-reference",
           "cir": "copy-increments-in-reference"}  # fmt: skip


@dataclass(frozen=True)
class Wide:
    """n patients at m visits.

    ``y`` (n, m), NaN where missing; ``x`` (n, m, q) rows of the imputation model, ``x_reference`` the same with every patient
    in the reference arm; ``arm`` (n,) codes, 0 the reference; ``event`` (n,) the first visit (0..m-1) after the intercurrent
    event, m where there is none; ``strategy`` one of STRATEGIES; ``own_covariance`` a covariance matrix for each arm.
    """

    y: Array
    x: Array
    x_reference: Array
    arm: Ints
    event: Ints
    visits: tuple[str, ...]
    columns: tuple[str, ...]
    strategy: str = "missing-at-random"
    own_covariance: bool = False

    @property
    def after(self) -> Flags:
        """Cells at or after the intercurrent event, (n, m)."""
        return np.arange(self.y.shape[1]) >= self.event[:, None]

    @property
    def used(self) -> Flags:
        """Cells the imputation model learns from: seen, and before the event unless all data count alike."""
        seen = np.isfinite(self.y)
        return seen if self.strategy == "missing-at-random" else seen & ~self.after

    def without(self, patient: int) -> Wide:
        """The trial with one patient left out."""
        keep = np.arange(len(self.y)) != patient
        return self.only(np.flatnonzero(keep))

    def only(self, rows: Ints) -> Wide:
        """The trial of some patients, each as often as it is named."""
        return Wide(self.y[rows], self.x[rows], self.x_reference[rows], self.arm[rows], self.event[rows],
                    self.visits, self.columns, self.strategy, self.own_covariance)  # fmt: skip


def imputation_model(wide: Wide, reml: bool = True) -> Fit:
    """The unstructured mixed model of the cells in use. Raises NoCovariance."""
    i, j = np.nonzero(wide.used)
    present, subject = np.unique(i, return_inverse=True)
    arms = wide.arm[present]
    data = Data(
        wide.y[i, j], wide.x[i, j], subject.ravel().astype(np.int64), j.astype(np.int64), wide.visits, wide.columns,
        group=arms if wide.own_covariance else None,
        groups=tuple(str(a) for a in range(int(wide.arm.max()) + 1)) if wide.own_covariance else ("",),
    )  # fmt: skip
    return fit(data, "unstructured", reml)


def last_seen_event(y: Array) -> Ints:
    """The first of the missing visits that no visit follows, (n,); m where the last visit was seen."""
    seen = np.isfinite(y)
    m = y.shape[1]
    last = np.where(seen.any(axis=1), m - 1 - np.argmax(seen[:, ::-1], axis=1), -1)
    return np.asarray(last + 1, dtype=np.int64)
