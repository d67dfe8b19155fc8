"""The typical subject of a study: no variability, no uncertainty, every covariate at its middle; fast for many
parameter vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from respine import engine, model
from respine import study as studies
from respine.engine.equations.specialise import specialise
from respine.model.expression import symbols
from respine.model.system import System
from respine.population import People
from respine.population.distributions import ByGroup
from respine.run.grid import output_times
from respine.study import treatments
from respine.study.people import fixed_covariates
from respine.study.schema import Dose, Study

RTOL = 1e-6


def typical(
    study: Study | str | Path, outputs: Sequence[str], times: Sequence[float] | np.ndarray | None = None,
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


class TypicalStudy:
    """A study made ready to predict its typical subjects for many parameter vectors.

    ``arms``, ``times`` (hours) and ``outputs`` are the axes of what ``predict`` returns; ``failures`` says in words
    what could not be solved in its last call. Machine code is made once; schedules once per number of vectors, unless a
    dose depends on a varied parameter (an absorbed fraction, a lag).
    """

    def __init__(
        self, study: Study | str | Path, outputs: Sequence[str], times: Sequence[float] | np.ndarray | None = None,
        vary: Sequence[str] = (), *, system: System | None = None, arms: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:  # fmt: skip
        self.study = study if isinstance(study, Study) else studies.load(study)
        self.system = system or model.load(self.study.model)
        self.outputs, self.vary = tuple(outputs), tuple(vary)
        self.arms = tuple(self.study.arms) if arms is None else tuple(arms)
        self.times = np.unique(output_times(self.study) if times is None else np.asarray(times, float))
        self.begin = min(studies.begins(self.study), float(self.times[0]))
        self.threads, self.failures = threads, []
        self._own = {arm: typical_parameters(self.study, arm, self.system) for arm in self.arms}
        columns = dict.fromkeys([*self.vary, *(id for own in self._own.values() for id in own)])
        self._columns = tuple(columns)
        self._solver = engine.build(self.system, outputs=self.outputs, vary=self._columns)
        self._whole: engine.Solver | None = None
        self._fixed_doses = {arm: not set(dose_symbols(self.study, arm)) & set(self.vary) for arm in self.arms}
        self._schedules: dict[tuple[str, int], engine.Schedule] = {}

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
        found = np.full((len(values), len(self.arms), len(self.times), len(self.outputs)), np.nan)
        for a, arm in enumerate(self.arms):
            table = self._table(arm, values)
            solution = self._solve(arm, table)
            found[:, a] = solution.values
            found[np.asarray(solution.status) != 0, a] = np.nan
            self.failures += [f"arm {arm}, vector {f.subject}: {f.reason}" for f in solution.failures]
        return found

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

    def _solve(self, arm: str, table: np.ndarray) -> engine.Solution:
        schedule = self._schedule(arm, table)
        solver = self._solver
        if not specialise(self.system, solver.ask(schedule), solver.values).states:  # nothing moves in a vehicle arm
            if self._whole is None:
                options = engine.Options(keep_all=True, nonnegative=True)
                self._whole = engine.build(self.system, outputs=self.outputs, vary=self._columns, options=options)
            solver = self._whole
        return solver.solve(table, schedule, self.times, start=self.begin, rtol=RTOL, threads=self.threads)

    def _schedule(self, arm: str, table: np.ndarray) -> engine.Schedule:
        key = (arm, len(table))
        if key in self._schedules and self._fixed_doses[arm]:
            return self._schedules[key]
        people = typical_people(self.study, arm, len(table), dict(zip(self._columns, table.T, strict=True)))
        made = studies.schedule(self.study, arm, people, self.system)
        if self._fixed_doses[arm]:
            self._schedules[key] = made
        return made


def typical_covariates(study: Study, arm: str) -> dict[str, Any]:
    """The covariates of the typical subject of an arm: medians, the commonest word, what the arm fixes; its history."""
    middle, fixed = np.array([0.5]), fixed_covariates(study.arms[arm])
    found: dict[str, Any] = {}
    for name, one in study.people.covariates.items():
        if name not in fixed and not isinstance(one, ByGroup):
            found[name] = _commonest(one) if _is_words(one, middle) else one.values(middle)[0]
    for name, one in study.people.covariates.items():
        if name not in fixed and isinstance(one, ByGroup):
            group = one.groups[str(found.get(one.by, fixed.get(one.by)))]
            found[name] = group.values(middle)[0]
    found |= fixed
    for i, phase in enumerate(study.people.history):
        suffix = "" if i == 0 else f"_{i + 1}"
        found[f"history_h{suffix}"] = phase.lasts.values(middle)[0]
        for input, level in phase.inputs.items():
            found[f"history_{input}{suffix}"] = level.values(middle)[0]
    return found


def typical_parameters(study: Study, arm: str, system: System) -> dict[str, float]:
    """What the population, the arm and the typical covariates set in the model, by parameter."""
    found = {id: float(one.value) for id, one in study.people.parameters.items()} | dict(study.arms[arm].parameters)
    for name, value in typical_covariates(study, arm).items():
        if name in system.parameters and not isinstance(value, str):
            found[name] = float(value)
    return found


def typical_people(study: Study, arm: str, n: int, parameters: Mapping[str, np.ndarray] | None = None) -> People:
    """``n`` copies of the typical subject of an arm, with these parameter columns ``(n,)``."""
    import pandas

    one = typical_covariates(study, arm)
    covariates = {"subject": np.arange(n)} | {name: np.full(n, value) for name, value in one.items()}
    return People(pandas.DataFrame(covariates), pandas.DataFrame(dict(parameters or {}), index=range(n)),
                  np.zeros(n, np.int64))  # fmt: skip


def _is_words(one: Any, middle: np.ndarray) -> bool:
    return one.values(middle).dtype == object


def _commonest(one: Any) -> str:
    """The word most people have, from the distribution itself."""
    words, counts = np.unique(one.values(np.linspace(0.0005, 0.9995, 1000)).astype(str), return_counts=True)
    return str(words[counts.argmax()])


def dose_symbols(study: Study, arm: str) -> set[str]:
    """Parameters that the arm's doses are computed from (absorbed fraction, lag, length, level)."""
    one = study.arms[arm]
    found: set[str] = set()
    for dose in (*one.doses, *one.co_medication):
        found |= _symbols_of(dose, study)
    return found


def _symbols_of(dose: Dose, study: Study) -> set[str]:
    route = treatments.drug(dose.drug).species[study.people.species][dose.route]
    formulas = [f for into in route.into for f in (into.fraction, into.later, into.lag, into.duration)]
    formulas += [f for sets in route.sets for f in (sets.level, sets.lasts)]
    return {name for formula in formulas if formula is not None for name in symbols(formula)}
