"""The typical subject of a study: no variability, no uncertainty, every covariate at its middle; fast for many
parameter vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.model.expression import symbols
from respine.model.system import System
from respine.population import People, Population
from respine.population.distributions import ByGroup
from respine.protocol.arm import Arm
from respine.protocol.output_times import output_times
from respine.protocol.people import fixed_covariates
from respine.protocol.protocol import Protocol, resolve
from respine.protocol.settings import FIT_RTOL
from respine.study import load
from respine.study.schema import Arm as AskedArm
from respine.study.schema import Study

if TYPE_CHECKING:
    from respine import engine


def typical(
    study: Protocol | Study | str | Path, outputs: Sequence[str], times: Sequence[float] | np.ndarray | None = None,
    parameters: Mapping[str, float] | None = None, system: System | None = None,
) -> dict[str, dict[str, np.ndarray]]:  # fmt: skip
    """Outputs of the typical subject of every arm, ``{arm: {output: (n_times,)}}``.

    ``times`` hours (the study's own grid when left out); ``parameters`` replace typical values of the model, not those
    that the population or the arm sets. Raises ValueError for unknown names or an arm that cannot be solved, InputError
    for a study that cannot be used.
    """
    given = dict(parameters or {})
    prepared = TypicalStudy(study, outputs, times, vary=tuple(given), system=system)
    values = prepared.predict(np.array([list(given.values())], float).reshape(1, len(given)))
    if prepared.failures:
        raise ValueError("; ".join(prepared.failures))
    return {
        arm: {output: values[0, a, :, k] for k, output in enumerate(prepared.outputs)}
        for a, arm in enumerate(prepared.arms)
    }


def _protocol(study: Protocol | Study | str | Path, system: System | None) -> Protocol:
    if isinstance(study, Protocol):
        return study
    return resolve(study if isinstance(study, Study) else load(study), system=system)


class TypicalStudy:
    """A study made ready to predict its typical subjects for many parameter vectors.

    ``arms``, ``times`` (hours) and ``outputs`` are the axes of what ``predict`` returns; ``failures`` says in words
    what could not be solved in its last call. Machine code is made once; schedules once per number of vectors, unless a
    dose depends on a varied parameter (an absorbed fraction, a lag).
    """

    def __init__(
        self, study: Protocol | Study | str | Path, outputs: Sequence[str], times: Sequence[float] | np.ndarray | None = None,
        vary: Sequence[str] = (), *, system: System | None = None, arms: Sequence[str] | None = None,
        threads: int | None = None, rtol: float = FIT_RTOL,
    ) -> None:  # fmt: skip
        self.rtol = rtol
        self.protocol = _protocol(study, system)
        self.system, self.study = self.protocol.system, self.protocol.study
        self.outputs, self.vary = tuple(outputs), tuple(vary)
        self.arms = tuple(self.study.arms) if arms is None else tuple(arms)
        self.times = np.unique(output_times(self.protocol) if times is None else np.asarray(times, float))
        self.begin = min(self.protocol.begin, float(self.times[0]))
        self.threads, self.failures = threads, []
        self._own = {name: typical_parameters(self.protocol.arm(name)) for name in self.arms}
        columns = dict.fromkeys([*self.vary, *(id for own in self._own.values() for id in own)])
        self._columns = tuple(columns)
        self._fixed_doses = {name: not dose_symbols(self.protocol.arm(name)) & set(self.vary) for name in self.arms}
        self._schedules: dict[tuple[str, int], engine.Schedule] = {}
        self._nothing_moves: dict[str, bool] = {}

    failures: list[str]

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Outputs ``(n, n_arms, n_times, n_outputs)`` for parameter vectors ``values`` ``(n, len(vary))``.

        A vector that cannot be solved gives NaN in the arm concerned and a sentence in ``failures``. A value that the
        population or an arm sets itself (a knocked-out arm) is not touched by ``values``. Raises ValueError for an
        array of another shape.
        """
        values = np.asarray(values, float)
        if values.ndim != 2 or values.shape[1] != len(self.vary):
            raise ValueError(f"values have shape {values.shape}; {len(self.vary)} columns are wanted: {self.vary}")
        self.failures = []
        predicted = np.full((len(values), len(self.arms), len(self.times), len(self.outputs)), np.nan)
        for a, arm in enumerate(self.arms):
            table = self._table(arm, values)
            solution = self._solve(arm, table)
            predicted[:, a] = solution.values
            predicted[np.asarray(solution.status) != 0, a] = np.nan
            self.failures += [f"arm {arm}, vector {f.subject}: {f.reason}" for f in solution.failures]
        return predicted

    def _table(self, arm: str, values: np.ndarray) -> np.ndarray:
        """One column for every parameter the solver varies, ``(n, len(columns))``."""
        own, at = self._own[arm], {id: k for k, id in enumerate(self.vary)}
        columns = []
        for id in self._columns:
            if id in own:
                columns.append(np.full(len(values), own[id]))
            elif id in at:
                columns.append(values[:, at[id]])
            else:
                columns.append(np.full(len(values), self.system.parameters[id]))
        return np.column_stack(columns) if columns else np.zeros((len(values), 0))

    def _solve(self, name: str, table: np.ndarray) -> engine.Solution:
        arm = self.protocol.arm(name)
        people = typical_people(arm, len(table), dict(zip(self._columns, table.T, strict=True)))
        schedule = self._schedule(arm, people)
        solver = self.protocol.solver(self.outputs, self._columns)
        if name not in self._nothing_moves:  # in a vehicle arm; what is given is the same for all vectors
            self._nothing_moves[name] = not solver.live_states(schedule)
        nothing_moves = self._nothing_moves[name]
        return arm.solve(
            people, self.outputs, self.times, vary=self._columns, begin=self.begin, schedule=schedule, rtol=self.rtol,
            threads=self.threads, keep_all=nothing_moves,
        )  # fmt: skip

    def _schedule(self, arm: Arm, people: People) -> engine.Schedule:
        key = (arm.name, len(people))
        if key in self._schedules and self._fixed_doses[arm.name]:
            return self._schedules[key]
        made = arm.schedule(people)
        if self._fixed_doses[arm.name]:
            self._schedules[key] = made
        return made


def typical_covariates(population: Population, arm: AskedArm) -> dict[str, Any]:
    """The covariates of the typical subject of an arm: medians, the commonest word, what the arm fixes; its history."""
    middle, fixed = np.array([0.5]), fixed_covariates(arm)
    typical: dict[str, Any] = {}
    for name, covariate in population.covariates.items():
        if name not in fixed and not isinstance(covariate, ByGroup):
            typical[name] = _commonest(covariate) if _is_words(covariate, middle) else covariate.values(middle)[0]
    for name, covariate in population.covariates.items():
        if name not in fixed and isinstance(covariate, ByGroup):
            group = covariate.groups[str(typical.get(covariate.by, fixed.get(covariate.by)))]
            typical[name] = group.values(middle)[0]
    typical |= fixed
    for i, phase in enumerate(population.history):
        suffix = "" if i == 0 else f"_{i + 1}"
        typical[f"history_h{suffix}"] = phase.lasts.values(middle)[0]
        for input, level in phase.inputs.items():
            typical[f"history_{input}{suffix}"] = level.values(middle)[0]
    return typical


def typical_parameters(arm: Arm) -> dict[str, float]:
    """What the population, the study, the arm and the typical covariates set in the model, by parameter."""
    protocol = arm.protocol
    values = {id: float(override.value) for id, override in protocol.population.parameters.items()}
    values |= {**protocol.study.parameters, **arm.asked.parameters}
    for name, value in typical_covariates(protocol.population, arm.asked).items():
        if name in protocol.system.parameters and not isinstance(value, str):
            values[name] = float(value)
    return values


def typical_people(arm: Arm, n: int, parameters: Mapping[str, np.ndarray] | None = None) -> People:
    """``n`` copies of the typical subject of an arm, with these parameter columns ``(n,)``."""
    import pandas

    typical = typical_covariates(arm.protocol.population, arm.asked)
    covariates = {"subject": np.arange(n)} | {name: np.full(n, value) for name, value in typical.items()}
    return People(pandas.DataFrame(covariates), pandas.DataFrame(dict(parameters or {}), index=range(n)),
                  np.zeros(n, np.int64))  # fmt: skip


def _is_words(covariate: Any, middle: np.ndarray) -> bool:
    return covariate.values(middle).dtype == object


def _commonest(covariate: Any) -> str:
    """The word most people have, from the distribution itself."""
    words, counts = np.unique(covariate.values(np.linspace(0.0005, 0.9995, 1000)).astype(str), return_counts=True)
    return str(words[counts.argmax()])


def dose_symbols(arm: Arm) -> set[str]:
    """Parameters that the arm's doses are computed from (absorbed fraction, lag, length, level)."""
    names: set[str] = set()
    for planned in arm.planned:
        route = planned.route
        formulas = [f for into in route.into for f in (into.fraction, into.later, into.lag, into.duration)]
        formulas += [f for sets in route.sets for f in (sets.level, sets.lasts)]
        names |= {name for formula in formulas if formula is not None for name in symbols(formula)}
    return names
