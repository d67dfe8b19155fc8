"""The problems every solver is given: equations, doses, people and the times at which all states are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from respine import model, population
from respine.model.expression import num

if TYPE_CHECKING:
    from respine import engine

HERE = Path(__file__).parent
WEEK = 168.0
Dose = tuple[str, float, float, float]  # state, time, amount, duration (0 = all at once)


@dataclass(frozen=True)
class Problem:
    """One model under one dosing, for any number of subjects; times in hours from 0."""

    name: str
    title: str
    system: model.System
    doses: tuple[Dose, ...]
    times: np.ndarray
    vary: tuple[str, ...]
    draw: Callable[[int], np.ndarray]  # subjects -> (subjects, len(vary)); the first rows do not depend on how many

    @property
    def states(self) -> tuple[str, ...]:
        return self.system.states

    def starts(self, parameters: np.ndarray) -> np.ndarray:
        """Start states (subjects, states), which may depend on the parameters."""
        from respine.engine.equations.specialise import start_values

        values = {**self.system.parameters, **self.system.inputs, **dict(zip(self.vary, parameters.T, strict=True))}
        known = start_values(self.system, values)
        return np.stack([np.broadcast_to(known[s], (len(parameters),)) for s in self.states], axis=1).astype(float)

    @cached_property
    def sbml(self) -> str:
        """What the peers that read SBML are given; starts are plain numbers, which each peer sets per subject."""
        typical = np.array([[self.system.parameters[p] for p in self.vary]])
        starts = {s: num(v) for s, v in zip(self.states, self.starts(typical)[0], strict=True)}
        return model.to_sbml(replace(self.system, initial=starts), doses=self.doses)

    def schedule(self, n: int) -> engine.Schedule:
        """The doses for respine."""
        from respine import engine

        schedule = engine.Schedule(n)
        for state, time, amount, duration in self.doses:
            schedule.dose(state, time=time, amount=amount, duration=duration)
        return schedule


def twice_a_week(weeks: int) -> list[float]:
    """Monday and Thursday mornings."""
    return [week * WEEK + 9.0 + half for week in range(weeks) for half in (0.0, 84.0)]


def _spread(
    name: str, typical: np.ndarray, deviation: np.ndarray, limits: tuple[float, float] = (-3.0, 3.0)
) -> Callable:
    """Log-normal people around typical values; subject k has the same numbers however many there are."""

    def draw(n: int) -> np.ndarray:
        spread = population.normals(1, f"benchmark {name}", 0, n, len(typical))
        np.clip(spread, *limits, out=spread)
        spread *= deviation
        np.exp(spread, out=spread)  # in place: the memory of a run is measured
        spread *= typical
        return spread

    return draw


def _antimony(name: str) -> model.System:
    import antimony

    antimony.clearPreviousLoads()
    if antimony.loadAntimonyFile(str(HERE / f"{name}.ant")) < 0:
        raise ValueError(antimony.getLastError())
    return model.load_sbml(antimony.getSBMLString(name))


def standin() -> Problem:
    """33 states, 12 infusions of 40 minutes in six weeks, 60 days."""
    system = _antimony("standin")
    vary = [
        "CL", "V1", "V2", "Q2", "ke0", "kon", "koff", "kcl", "kbg", "ngaba", "kglu", "kins", "kat", "ebg", "nbg", "kdb",
        "kmton", "keon", "kp", "ksb", "kst", "ktr", "acirc", "stress", "nfb", "kil", "ktn", "nspi", "esy", "kco",
    ]  # fmt: skip
    deviation = np.array([0.08 if p.startswith("n") else 0.25 for p in vary])
    typical = np.array([system.parameters[p] for p in vary])
    doses = [
        (state, time, 38.0 * share, 40 / 60)
        for time in twice_a_week(6)
        for state, share in (("Adep", 0.08), ("A1", 0.92))
    ]

    def draw(n: int) -> np.ndarray:
        people = _spread("standin", typical, deviation)(n)
        rhythm = vary.index("acirc")
        people[:, rhythm] = np.minimum(people[:, rhythm], 0.98)  # above 1 a production turns negative
        return people

    title, times = "33-state stand-in, 12 infusions, 60 days", np.linspace(0, 1440, 241)
    return Problem("standin", title, system, tuple(doses), times, tuple(vary), draw)


def human() -> Problem:
    """respine's own human model with every chain and mechanism: twelve infusions of racemic ketamine in six weeks."""
    system = model.load("human")
    system = replace(system, inputs={**system.inputs, "stress": 1.0})
    doses = [(f"{form}_ketamine_central", time, 20.0, 40 / 60) for time in twice_a_week(6) for form in "sr"]
    people = population.sample(population.load("mdd"), system, range(1), 1, draw_parameters=False)
    vary = tuple(people.parameters)

    def draw(n: int) -> np.ndarray:
        drawn = population.sample(population.load("mdd"), system, range(n), 1, draw_parameters=False)
        return drawn.parameters[list(vary)].to_numpy(float)

    title = f"full human model ({len(system.states)} states), 12 infusions, 6 weeks"
    return Problem("human", title, system, tuple(doses), np.linspace(0, 6 * WEEK, 169), vary, draw)


def pk() -> Problem:
    """Six states, 28 daily tablets with saturable elimination."""
    system = _antimony("pk")
    vary = ("ka", "CL", "Vc", "Q", "Vp", "Vmax", "Km", "kin", "IC50")
    doses = tuple(("depot", 24.0 * day + 8.0, 100.0, 0.0) for day in range(28))
    typical = np.array([system.parameters[p] for p in vary])
    return Problem("pk", "6-state PK/PD model, 28 daily doses", system, doses, np.linspace(0, 29 * 24, 233), vary,
                   _spread("pk", typical, np.full(len(vary), 0.3)))  # fmt: skip


def linear() -> Problem:
    """Four states without saturation, 28 daily tablets: what a closed form exists for."""
    system = _antimony("linear")
    vary = ("ka", "CL", "Vc", "Q", "Vp")
    doses = tuple(("depot", 24.0 * day + 8.0, 100.0, 0.0) for day in range(28))
    typical = np.array([system.parameters[p] for p in vary])
    return Problem("linear", "linear two-compartment PK, 28 daily doses", system, doses, np.linspace(0, 29 * 24, 233), vary,
                   _spread("linear", typical, np.full(len(vary), 0.3)))  # fmt: skip


PROBLEMS: dict[str, Callable[[], Problem]] = {"standin": standin, "human": human, "pk": pk, "linear": linear}
