"""What happens to the subjects of a run and when they are read, with all that must be at known times put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from respine.engine.dosing.events_table import CYCLE_START, EventTable, Readings
from respine.engine.dosing.moments import Moments
from respine.engine.dosing.steady_state import in_closed_form
from respine.engine.equations.linear import linear_form
from respine.engine.equations.specialise import RATE_PREFIX, Equations, rate_slope
from respine.engine.events.time_modes import TimeModes
from respine.engine.request import Request, Setup


@dataclass(frozen=True)
class Timetable:
    """Events and readings of all subjects; ``sure`` that no jump at a known time is missed."""

    events: EventTable
    readings: Readings
    slope_slots: np.ndarray  # (n_slow, n_sensitivities) slow number that holds the slope of an infusion rate, or -1
    first_rate: int  # the first infusion rate among the slow values
    sure: bool


def timetable(
    setup: Setup, equations: Equations, request: Request, starts: np.ndarray, modes: TimeModes | None,
    *, steady: bool = True,
) -> Timetable:  # fmt: skip
    """Events by the numbers of the live states and slow values; ``starts`` as `start_states` gives them.

    ``steady``: set steady states in closed form where the equations are linear; without it they are left as intervals to repeat.
    """
    slow = {name: k for k, name in enumerate(equations.slow)}
    first_rate = len(slow) - sum(name.startswith(RATE_PREFIX) for name in slow)
    rates = {name.removeprefix(RATE_PREFIX): k for name, k in slow.items() if name.startswith(RATE_PREFIX)}
    states = {name: k for k, name in enumerate(equations.states)}
    slots = np.full((len(slow), len(setup.sensitivities)), -1, np.int64)
    for state, k in rates.items():
        for number, name in enumerate(setup.sensitivities):
            slots[k, number] = slow.get(rate_slope(state, name), -1)
    schedule, start, times, sure = request.schedule, request.start, request.times, True
    moments = Moments.of_run(start, times, after=request.after)
    events = schedule.table(states, slow, rates, setup.sensitivities, moments)
    readings = schedule.readings(times, events, after=request.after)
    p = setup.extended(request.parameters)
    if modes:
        numbers = {**setup.values, **{name: p[:, k] for k, name in enumerate(setup.free)}}
        events, readings, sure = modes.put_in(events, readings, slow, numbers, start)
    if steady and (events.kind == CYCLE_START).any() and not setup.sensitivities:
        flows = {k: states[s] for s, k in rates.items()}
        events, readings = _steady_states(setup, equations, p, starts, events, readings, flows, first_rate)
    return Timetable(events, readings, slots, first_rate, sure)


def rest_of_slow(setup: Setup, equations: Equations) -> np.ndarray:
    """What the slow values after the free parameters start from, (n_slow - n_free,)."""
    return np.array([setup.values.get(name, 0.0) for name in equations.slow[len(setup.free) :]], float)


def _steady_states(
    setup: Setup, equations: Equations, parameters: np.ndarray, starts: np.ndarray, events: EventTable, readings: Readings,
    flows: Mapping[int, int], first_rate: int,
) -> tuple[EventTable, Readings]:  # fmt: skip
    """Events and readings with steady states in closed form where the equations are linear."""
    linear = linear_form(equations, setup.values)
    if linear is None:
        return events, readings
    rest = rest_of_slow(setup, equations)
    slow = np.hstack([parameters, np.broadcast_to(rest, (len(parameters), len(rest)))])
    return in_closed_form(events, readings, linear, slow, flows, starts, first_rate)
