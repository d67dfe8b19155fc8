"""Targets read from the typical subject of a study: levels, ratios, areas and whole published curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from respine.fit import curves
from respine.fit.recipe import Free, Target, experiment
from respine.protocol import resolve
from respine.protocol.output_times import output_times
from respine.protocol.settings import FIT_RTOL
from respine.protocol.typical import TypicalStudy, typical_parameters
from respine.study import load

LAG_STEP = 0.05  # h between the points from which a lag is read
WINDOWED = ("mean", "peak", "area", "time-of-peak", "lag")


class TypicalTargets:
    """All targets of one study that are read from its typical subjects."""

    def __init__(self, study: str, targets: Sequence[Target], free: Sequence[Free], threads: int | None = None,
                 *, rtol: float = FIT_RTOL) -> None:  # fmt: skip
        self.targets = list(targets)
        self.held = dict(targets[0].held)  # the same for all targets of a group
        protocol = resolve(load(experiment(study)))
        loaded, system = protocol.study, protocol.system
        names = [f.name for f in free if f.place.field == "value" and f.moves(system)]
        wanted = [
            t
            for target in targets
            for t in (target.at, target.begin, target.until, target.of, *target.times)
            if np.isfinite(t)
        ]
        for target in targets:
            if target.how == "lag":
                wanted += np.arange(target.begin, target.until, LAG_STEP).tolist()
        windows = any(target.how in WINDOWED or not (np.isfinite(target.at) or target.times) for target in targets)
        open_end = any(
            not np.isfinite(target.until) for target in targets if not (np.isfinite(target.at) or target.times)
        )
        grid = np.unique([loaded.start, *(output_times(protocol) if windows else []), *wanted])
        grid = (
            grid if open_end else grid[grid <= max(wanted) + 1e-9]
        )  # later than asked for costs time and nothing else
        arms = dict.fromkeys(a for target in targets for a in (target.arm, target.against, target.healthy) if a)
        outputs = dict.fromkeys(name for target in targets for name in (target.output, target.after) if name)
        vary = [*(n for n in names if n not in self.held), *self.held]
        self.solved = TypicalStudy(
            protocol, list(outputs), grid, vary=vary, arms=list(arms), threads=threads, rtol=rtol
        )
        ignored = [id for id in self.held for arm in arms if id in typical_parameters(protocol.arm(arm))]
        if ignored:
            raise ValueError(
                f"{study}: population or arm set {', '.join(ignored)}; a recipe cannot hold it at another value"
            )

    def predict(self, vectors: Mapping[str, np.ndarray], n: int) -> list[np.ndarray]:
        """For each target ``(n,)``, or ``(n, n_points)`` for a curve (the logarithm of model over reference)."""
        columns = [np.full(n, self.held[id]) if id in self.held else vectors[id] for id in self.solved.vary]
        table = np.column_stack(columns) if columns else np.zeros((n, 0))
        values = self.solved.predict(table)
        return [self._read(target, values) for target in self.targets]

    def _read(self, target: Target, values: np.ndarray) -> np.ndarray:
        course = self._course(values, target.arm, target.output)
        if target.how == "curve":
            reference = curves.reference(target.curve, np.asarray(target.times))
            return np.log(np.maximum(self._at(course, target.times), 1e-12) / reference)
        value = self._read_out(target, course)
        if target.how == "lag":
            return value - self._read_out(target, self._course(values, target.arm, target.after))
        if target.how == "share":  # of the same subject at another time
            return value / self._at(course, [target.of])[:, 0]
        if target.how not in ("ratio", "percent", "change", "restored"):
            return value
        other = (
            self._read_out(target, self._course(values, target.against, target.output))
            if target.against
            else np.ones(1)
        )
        if target.how == "change":
            return value - other
        if target.how == "restored":
            healthy = (
                self._read_out(target, self._course(values, target.healthy, target.output)) if target.healthy else 1.0
            )
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray((value - other) / (healthy - other))
        return value / other * (100.0 if target.how == "percent" else 1.0)

    def _course(self, values: np.ndarray, arm: str, output: str) -> np.ndarray:
        return values[:, self.solved.arms.index(arm), :, self.solved.outputs.index(output)]

    def _at(self, course: np.ndarray, times: Sequence[float]) -> np.ndarray:
        index = np.searchsorted(self.solved.times, np.asarray(times) - 1e-9)
        return course[:, index]

    def _read_out(self, target: Target, course: np.ndarray) -> np.ndarray:
        """One number a vector from a course ``(n, n_times)``: at a time, or of a window."""
        grid = self.solved.times
        if target.how in WINDOWED or not np.isfinite(target.at):
            first = target.begin if np.isfinite(target.begin) else 0.0
            last = target.until if np.isfinite(target.until) else grid[-1]
            inside = (grid >= first - 1e-9) & (grid <= last + 1e-9)
            window, moments = course[:, inside], grid[inside]
            if target.how == "peak":
                return np.asarray(window.max(axis=1))
            if target.how == "time-of-peak":
                return moments[np.argmax(window, axis=1)]
            if target.how == "lag":
                return half_rise(moments, window)
            area = np.trapezoid(window, moments, axis=1)
            return np.asarray(area if target.how == "area" else area / (moments[-1] - moments[0]))
        return np.asarray(self._at(course, [target.at])[:, 0])


def half_rise(moments: np.ndarray, window: np.ndarray) -> np.ndarray:
    """When each course ``(n, n_times)`` first has half of its greatest rise over its first value, by interpolation ``(n,)``."""
    rise = window - window[:, :1]
    half = rise.max(axis=1) / 2
    after = np.maximum(1, np.argmax(rise >= half[:, None], axis=1))
    rows = np.arange(len(rise))
    low, high = rise[rows, after - 1], rise[rows, after]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(high > low, (half - low) / (high - low), 0.0)
    return np.asarray(moments[after - 1] + part * (moments[after] - moments[after - 1]))
