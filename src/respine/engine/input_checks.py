"""What cannot be meant is refused before anything is solved: names, times, tolerances, threads."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence

import numpy as np

from respine.engine.dosing.covariates import line
from respine.engine.dosing.moments import Moments
from respine.engine.dosing.records import Records
from respine.engine.tolerances import OF_RTOL
from respine.model.expression import Expr
from respine.model.system import System

SMALLEST_RTOL = 1e-14


def check_one_clock(system: System, records: Records) -> None:
    """Raises ValueError where a subject's time goes back although the equations depend on it."""
    subject = records.goes_back
    if subject is None:
        return
    covariates = {name for name in system.rules if all(part in system.inputs for part in line(name))}  # move along
    formulas = (*system.rates.items(), *system.rules.items())
    timed = next((name for name, expr in formulas if _mentions_time(expr) and name not in covariates), None)
    if timed is not None:
        raise ValueError(f"the time of subject {subject} goes back at a reset, but {timed} of {system.name} depends on "
                         "the time itself; make two subjects of it, or let the time go on")  # fmt: skip


def _mentions_time(expr: Expr) -> bool:
    return expr[0] == "time" or (expr[0] not in ("num", "sym") and any(map(_mentions_time, expr[1:])))


def checked_times(times: Sequence[float] | np.ndarray, start: float) -> np.ndarray:
    """Output times ``(n_times,)``, ascending. Raises ValueError for others."""
    moments = np.ascontiguousarray(times, float)
    if moments.ndim != 1 or len(moments) == 0:
        raise ValueError("times must be a list of at least one time")
    if not np.isfinite(moments).all() or not np.isfinite(start):
        raise ValueError("times and start must be finite numbers")
    if np.any(np.diff(moments) < 0):
        k = int(np.flatnonzero(np.diff(moments) < 0)[0])
        raise ValueError(f"times must ascend; {moments[k + 1]:g} comes after {moments[k]:g}")
    if moments[0] < start and abs(moments[0] - start) <= Moments(start).tolerance(moments[0]):
        moments = np.maximum(moments, start)
    if moments[0] < start:
        raise ValueError(f"the first time {moments[0]:g} lies before the start {start:g}")
    return moments


def tolerances_of(system: System, rtol: float, atol: float | Mapping[str, float] | None) -> np.ndarray:
    """Absolute tolerance of every state, (n_states,)."""
    if not (np.isfinite(rtol) and 0 < rtol < 1):
        raise ValueError(f"rtol is {rtol:g}; it must lie between 0 and 1, for example 1e-5")
    if rtol < SMALLEST_RTOL:
        raise ValueError(f"rtol is {rtol:g}; numbers of 64 bits cannot do better than {SMALLEST_RTOL:g}")
    if isinstance(atol, Mapping):
        check_known(atol, system.states, "atol state", system)
        tolerances = np.array([atol.get(s, OF_RTOL * rtol) for s in system.states], float)
    else:
        tolerances = np.full(len(system.states), OF_RTOL * rtol if atol is None else atol, float)
    if not (np.isfinite(tolerances).all() and (tolerances > 0).all()):
        raise ValueError("atol must be positive: with 0 a state at rest at zero could never be solved")
    return tolerances


def thread_count(threads: int | None, subjects: int) -> int:
    """Threads to use for so many subjects. Raises ValueError below one."""
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}; at least 1 is needed")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(threads or available, (subjects + 7) // 8))


def check_known(names: Sequence[str] | Mapping[str, object], known: Sequence[str] | Mapping[str, object], role: str,
           system: System) -> None:  # fmt: skip
    """Raises ValueError for names that the system does not have, with the nearest."""
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, list(known), n=3)
            some = ", ".join(list(known)[:30]) + (f" and {len(known) - 30} more" if len(known) > 30 else "")
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {some or 'none'}"
            raise ValueError(f'"{name}" is no {role} of {system.name}; {hint}')


def check_once(names: Sequence[str], role: str) -> None:
    """Raises ValueError for a name that stands twice."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'{role} "{name}" is named twice')
