"""Absolute tolerances by the model's own scale, where the user gives none.

The default, a thousandth of the relative tolerance, suits amounts of about one. A state in mol that never rises above
1e-9 would be free to be anything, so that

* a state that starts below `SMALL` is held to its start,
* in a model whose starts and doses all lie below, the states that start at zero are held to the largest of these,
* a state that starts at zero under a root, a logarithm or a power below one is held much closer: the slope there is
  infinite, and what is lost at the beginning is multiplied,
* a state that starts at zero and is fed is held to the size from which on its rate is another (equations/growth.py),
* a state that multiplies itself and has no other source is held by the relative tolerance alone: it may fall to 1e-20 and
  come back.

Scales come from the typical start values and from a subject's own doses, never from other subjects.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from respine.engine.dosing.records import Records
from respine.engine.dosing.schedule import Schedule
from respine.engine.equations.growth import first_sizes, multiply_themselves
from respine.engine.equations.specialise import start_values
from respine.engine.solution import Solution
from respine.engine.status import Status
from respine.model.system import System

OF_RTOL = 1e-3  # absolute tolerance of a state of size one, as a share of the relative one
SMALL = 1e-4  # scale from which on that serves: there it is ten times the relative tolerance
ROOTED = 1e-6  # share of the tolerance for a state that starts at zero under a root
ALONE = 1e-20  # scale of a state that multiplies itself: nothing else brings it back
STEP = 1e3  # scales of subjects are told apart by this factor
LEAST = 1e-290
TINY = 1e-60  # what is smaller than this, and fails, fails for lack of room for its tolerance


@dataclass(frozen=True)
class OwnScales:
    """Sizes of the typical start of each state, and what they say of its scale."""

    starts: Mapping[str, float]
    first: Mapping[str, float] = field(default_factory=dict)  # of states that start at zero and are fed
    multiply: frozenset[str] = frozenset()

    def of_subjects(self, schedule: Schedule | Records, initial: Mapping[str, float | np.ndarray]) -> np.ndarray:
        """The scale of what starts at zero, (n_subjects,): 1, or less where all starts and doses of a subject are small."""
        typical = max((size for s, size in self.starts.items() if s not in initial), default=0.0)
        if typical >= SMALL:
            return np.ones(schedule.n_subjects)
        amounts = np.maximum(typical, schedule.largest)
        for value in initial.values():
            amounts = np.maximum(amounts, np.abs(value))
        with np.errstate(divide="ignore"):
            level = STEP ** np.floor(np.log(amounts) / np.log(STEP) + 1e-9)
        return np.where((amounts > 0) & (amounts < SMALL), level, 1.0)

    def of_states(
        self, level: float, rooted: Collection[str], initial: Mapping[str, float | np.ndarray], rtol: float
    ) -> dict[str, float]:
        """The scale of every state, below 1 where it is small, for subjects of one ``level``."""
        sizes = {}
        for s, size in self.starts.items():
            size = abs(float(initial[s])) if np.ndim(initial.get(s, np.zeros(1))) == 0 else size
            sizes[s] = size if 0 < size < SMALL else 1.0
            if size <= 10 * OF_RTOL * rtol and sizes[s] == 1.0:
                sizes[s] = level * (ROOTED if s in rooted else 1.0)
            if s in self.first and s not in initial and s not in rooted:
                sizes[s] = min(sizes[s], self.first[s])
            if s in self.multiply:
                sizes[s] = min(sizes[s], ALONE)
        return sizes

    def tolerances(
        self,
        states: Sequence[str],
        absolute: np.ndarray,
        level: float,
        rooted: Collection[str],
        initial: Mapping[str, float | np.ndarray],
        rtol: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Absolute tolerances by scale, and the scales, (n_states,) each."""
        sizes = self.of_states(level, rooted, initial, rtol)
        scale = np.array([sizes.get(s, 1.0) for s in states])
        return np.maximum(absolute * scale, LEAST), scale


def describe_atol(states: Sequence[str], absolute: np.ndarray, scale: np.ndarray) -> float | dict[str, float]:
    """The absolute tolerance, or that of the states that have one of their own scale and of all others."""
    own = {s: float(value) for s, value, size in zip(states, absolute, scale, strict=True) if size < 1.0}
    others = [float(value) for value, size in zip(absolute, scale, strict=True) if size >= 1.0]
    if not own:
        return others[0] if len(set(others)) == 1 else dict(zip(states, map(float, absolute), strict=True))
    return own | ({"others": others[0]} if others else {})


def below_tolerance(
    names: Sequence[str], values: np.ndarray, absolute: Mapping[str, float], own: OwnScales | None
) -> list[str]:
    """The states among outputs ``names`` that stay below their absolute tolerance, or multiply themselves from below it.

    ``values`` (..., n_times, n_outputs).
    """
    largest = _largest(values)
    return [
        name
        for k, name in enumerate(names)
        if name in absolute
        and (
            0 < largest[k] <= absolute[name]
            or (own is not None and name in own.multiply and _comes_back(np.abs(values[..., k]), absolute[name]))
        )
    ]


def _largest(values: np.ndarray) -> np.ndarray:
    """The largest size of each output of ``values`` (..., n_times, n_outputs), (n_outputs,); 0 where it has no number."""
    if not values.size:
        return np.zeros(values.shape[-1])
    rows = values.reshape(-1, values.shape[-2] * values.shape[-1])  # over subjects first: long rows are quick
    top, bottom = rows.max(axis=0, initial=0.0), rows.min(axis=0, initial=0.0)
    size = np.maximum(top, -bottom).reshape(values.shape[-2:])
    lost = np.isnan(size).any(axis=0)  # somebody has no number there
    largest = size.max(axis=0, initial=0.0)
    largest[lost] = np.nanmax(np.abs(values[..., lost]), axis=tuple(range(values.ndim - 1)), initial=0.0)
    return largest


def _comes_back(size: np.ndarray, tolerance: float) -> bool:
    """Whether anybody's state lies below the tolerance, not at zero, and above it later."""
    low = np.logical_or.accumulate((size < tolerance) & (size > 0), axis=-1)
    return bool((low & (size > tolerance)).any())


def told_of_size(solution: Solution, sizes: Mapping[str, float]) -> Solution:
    """The solution with failures of a model whose smallest state has no room for a tolerance named as such.

    ``sizes``: scales of states, as ``OwnScales.of_states`` gives them.
    """
    size, state = min(((size, name) for name, size in sizes.items()), default=(1.0, ""))
    if size >= TINY or not solution.failures:
        return solution
    of_steps = (Status.NOT_FINITE, Status.STEP_FLOOR, Status.STEP_BUDGET)
    failures = [
        replace(f, status=Status.TOO_SMALL, state=state, value=size) if f.status in of_steps else f
        for f in solution.failures
    ]
    status = solution.status.copy()
    for failure in failures:
        status[failure.subject] = failure.status
    return replace(solution, failures=failures, status=status)


def own_scales(system: System, values: Mapping[str, float], start: float) -> OwnScales:
    """Sizes of typical starts; ``values``: parameters and inputs."""
    with np.errstate(all="ignore"):
        typical = start_values(system, {k: v for k, v in values.items() if k not in system.states}, start)
    sizes = {s: abs(float(v)) for s, v in typical.items()}
    starts = {s: size if np.isfinite(size) else 1.0 for s, size in sizes.items()}
    first = first_sizes(system, {k: v for k, v in values.items() if k not in system.states}, typical, start)
    return OwnScales(starts, first, multiply_themselves(system))


def joined(parts: Sequence[tuple[np.ndarray, Solution]], schedule: Schedule | Records) -> Solution:
    """Solutions of groups of subjects, each with the subjects' numbers, as one."""
    n, (_, first) = schedule.n_subjects, parts[0]
    if isinstance(schedule, Records):
        count = np.array([len(records) for records in schedule.subjects])
        begin = np.cumsum(count) - count
        rows = [np.concatenate([begin[s] + np.arange(count[s]) for s in own]) for own, _ in parts]
        total, times = int(count.sum()), schedule.own_times
    else:
        rows, total, times = [own for own, _ in parts], n, first.times

    def put(arrays: Sequence[np.ndarray], places: Sequence[np.ndarray], length: int) -> np.ndarray:
        whole = np.empty((length, *arrays[0].shape[1:]), arrays[0].dtype)
        for array, place in zip(arrays, places, strict=True):
            whole[place] = array
        return whole

    subjects = [own for own, _ in parts]
    solutions = [solution for _, solution in parts]
    failures = [replace(f, subject=int(own[f.subject])) for own, part in parts for f in part.failures]
    low = list(dict.fromkeys(name for part in solutions for name in part.settings.get("below_atol", ())))  # type: ignore[attr-defined]
    settings = {
        **first.settings,
        "atol": [part.settings["atol"] for part in solutions],
        **({"below_atol": low} if low else {}),
    }
    gradients = [part.gradients for part in solutions if part.gradients is not None]
    return Solution(
        put([part.values for part in solutions], rows, total), times, first.outputs,
        put([part.status for part in solutions], subjects, n), put([part.steps for part in solutions], subjects, n),
        sorted(failures, key=lambda f: f.subject), sum(part.seconds for part in solutions), settings,
        put(gradients, rows, total) if gradients else None, first.sensitivities,
    )  # fmt: skip
