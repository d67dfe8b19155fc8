"""Covariates measured now and then: values carried forward, carried backward, or on straight lines in between.

A covariate on straight lines is no input that rests between events: in its place stands a rule over three inputs,
level + slope * (t - since), which change at each measurement.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from respine.model.expression import sym
from respine.model.system import System

INTERPOLATIONS = ("LOCF", "NOCB", "linear")
LONG_AGO = -1e300  # before any start: what holds from the beginning


@dataclass(frozen=True)
class Step:
    """An input takes a new value; arrays (n_subjects,), time NaN for subjects it does not concern."""

    target: str
    time: np.ndarray
    value: np.ndarray


def check(interpolation: str) -> None:
    """Raises ValueError for an unknown way."""
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f'interpolation "{interpolation}" is unknown; write one of {", ".join(INTERPOLATIONS)}')


def line(name: str) -> tuple[str, str, str]:
    """The inputs that make up a covariate on straight lines."""
    return f"{name} level", f"{name} slope", f"{name} since"


def on_lines(system: System, names: Collection[str]) -> System:
    """The system with rules in place of some inputs. Raises ValueError for a name that is no input."""
    unknown = [name for name in names if name not in system.inputs]
    if unknown:
        raise ValueError(f'"{unknown[0]}" is no input of {system.name}, so it cannot follow a covariate')
    inputs = {name: value for name, value in system.inputs.items() if name not in names}
    rules = {}
    for name in names:
        level, slope, since = line(name)
        inputs |= {level: system.inputs[name], slope: 0.0, since: 0.0}
        rules[name] = ("add", sym(level), ("mul", sym(slope), ("sub", ("time",), sym(since))))
    return replace(system, inputs=inputs, rules={**rules, **system.rules})


def knots(times: Sequence[float], values: Sequence[float], name: str) -> tuple[list[float], list[float]]:
    """The measurements of one subject, those without a value left out. Raises ValueError where they cannot be meant."""
    kept = [(float(t), float(v)) for t, v in zip(times, values, strict=True) if not np.isnan(v)]
    for t, v in kept:
        if not (np.isfinite(t) and np.isfinite(v)):
            raise ValueError(f"{name} is {v:g} at {t:g}; write finite numbers, or nan as the value where there is none")
    for (t, _), (later, _) in pairwise(kept):
        if not later > t:
            raise ValueError(f"the times of {name} must ascend; {later:g} comes after {t:g}")
    return [t for t, _ in kept], [v for _, v in kept]


def course(name: str, times: Sequence[float], values: Sequence[float], way: str) -> list[tuple[float, str, float]]:
    """What one subject's inputs become, ``(time, input, value)`` in order."""
    if not times:
        return []
    if way == "LOCF":
        return [(LONG_AGO, name, values[0]), *((t, name, v) for t, v in zip(times[1:], values[1:], strict=True))]
    if way == "NOCB":
        return [(LONG_AGO, name, values[0]), *((t, name, v) for t, v in zip(times, values[1:], strict=False))]
    level, slope, since = line(name)
    changes = [(LONG_AGO, level, values[0])]
    for k, (t, v) in enumerate(zip(times, values, strict=True)):
        rise = (values[k + 1] - v) / (times[k + 1] - t) if k + 1 < len(times) else 0.0
        changes += [(t, level, v), (t, slope, rise), (t, since, t)]
    return changes


def steps(name: str, times: np.ndarray, values: np.ndarray, way: str, n_subjects: int) -> list[Step]:
    """The changes of all subjects, one step for the k-th change of each input."""
    check(way)
    times, values = np.asarray(times, float), np.asarray(values, float)
    if times.ndim not in (1, 2) or values.ndim not in (1, 2) or times.shape[-1:] != values.shape[-1:]:
        seen = f"times {times.shape} and values {values.shape} of {name} do not match"
        raise ValueError(f"{seen}; write (n,) or (n_subjects, n)")
    shape = (n_subjects, times.shape[-1])
    if any(a.ndim == 2 and a.shape != shape for a in (times, values)):
        raise ValueError(f"times {times.shape} and values {values.shape} of {name} are not for {n_subjects} subjects")
    rows = zip(np.broadcast_to(times, shape), np.broadcast_to(values, shape), strict=True)
    courses = [course(name, *knots(t, v, f"{name} of subject {s}"), way) for s, (t, v) in enumerate(rows)]
    steps = []
    for k in range(max((len(c) for c in courses), default=0)):
        target = next(
            c[k][1] for c in courses if k < len(c)
        )  # the same for all: each measurement makes the same changes
        changes = [c[k] if k < len(c) else (np.nan, target, np.nan) for c in courses]
        steps.append(Step(target, np.array([t for t, _, _ in changes]), np.array([v for _, _, v in changes])))
    return steps
