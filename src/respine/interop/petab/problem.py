"""A PEtab problem as an objective: simulations, log likelihood, priors, gradient, fit, and export of what was fitted."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.interop.petab.densities import TRANSFORMS, measured
from respine.interop.petab.experiment import NotAtRest, Simulator
from respine.interop.petab.tables import Measurement, Tables, read_tables
from respine.model import LIMITS, Limits, reader
from respine.model.content import Content
from respine.model.expression import Expr, evaluate, symbols
from respine.model.source import from_file

RTOL, CLOSE = 1e-9, 1e-11  # of solves, and of solves whose differences are taken
STEPS = (3e-4, 3e-5, 3e-6)  # of differences, on the scale of a parameter, of its size there (at least 1)
FIT_STEP = 1e-4
_BACK: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "lin": lambda x: x,
    "log": np.exp,
    "log10": lambda x: np.power(10.0, x),
}


@dataclass(frozen=True)
class Evaluation:
    """The objective at n parameter vectors: ``log_likelihood``, ``chi2``, ``log_prior`` (n,); ``simulated`` (n, n_rows).

    All are NaN for a vector that cannot be solved; ``failures`` says why, by the number of the vector.
    """

    log_likelihood: np.ndarray
    chi2: np.ndarray
    log_prior: np.ndarray
    simulated: np.ndarray
    failures: Mapping[int, str]

    @property
    def log_posterior(self) -> np.ndarray:
        return self.log_likelihood + self.log_prior


@dataclass(frozen=True)
class Fit:
    """A fit: ``estimates`` by name (on the linear scale), the objective, whether the search says it has converged."""

    estimates: Mapping[str, float]
    log_likelihood: float
    log_posterior: float
    converged: bool
    evaluations: int


def read_petab(path: str | Path, *, limits: Limits = LIMITS) -> PetabProblem:
    """A PEtab problem, version 1 or 2, from its YAML file; its model is SBML.

    Raises InputError with every fault of its tables, each with file and line, and what respine does not read by name.
    """
    path = Path(path)
    tables = read_tables(path)
    source = replace(from_file(tables.model, limits), language="SBML")
    return PetabProblem(path, tables, reader.read(source, limits))


class PetabProblem:
    """See `read_petab`. Parameter vectors hold the ``estimated`` parameters on the linear scale."""

    def __init__(self, path: Path, tables: Tables, content: Content) -> None:
        self.path, self.tables, self.content = path, tables, content
        self.estimated = tuple(p.id for p in tables.parameters.values() if p.estimate)
        self.fixed = {p.id: p.nominal for p in tables.parameters.values() if not p.estimate}
        self._simulators: dict[str, Simulator] = {}
        self._check_names()

    def __repr__(self) -> str:
        t = self.tables
        return (f"PEtab {t.version} problem {self.path.name}: {len(self.estimated)} parameters to estimate, "
                f"{len(t.experiments)} experiments, {len(t.measurements)} measurements")  # fmt: skip

    @property
    def nominal(self) -> np.ndarray:
        """The parameter table's values of the estimated parameters."""
        return np.array([self.tables.parameters[name].nominal for name in self.estimated])

    # ---- evaluation --------------------------------------------------------------------------------------------------
    def evaluate(
        self, vectors: np.ndarray | None = None, *, rtol: float = RTOL, tangent_at: np.ndarray | None = None
    ) -> Evaluation:
        """The objective at (n, n_estimated) vectors, or at the nominal one.

        ``tangent_at``: a vector at which solutions are linearised, where their sensitivities can be had.
        Raises ValueError where a steady state that is asked for does not exist, with the reason.
        """
        failures: dict[int, str] = {}
        x = np.atleast_2d(self.nominal if vectors is None else np.asarray(vectors, float))
        n = len(x)
        values = {name: x[:, k] for k, name in enumerate(self.estimated)}
        llh, chi2 = np.zeros(n), np.zeros(n)
        simulated = np.full((n, len(self.tables.measurements)), np.nan)
        for experiment, rows in self._by_experiment.items():
            course = self._course(experiment, rows, values, n, rtol, tangent_at)
            for k in rows:
                row = self.tables.measurements[k]
                y, sigma = self._observed(row, course, values)
                observable = self.tables.observables[row.observable]
                density, residual = measured(row.value, y, sigma, observable.transform, observable.distribution)
                llh, chi2 = llh + density, chi2 + residual**2
                simulated[:, k] = y
            failures |= self._simulators[experiment].failures
        bad = sorted(failures)
        llh[bad], chi2[bad], simulated[bad] = np.nan, np.nan, np.nan
        return Evaluation(llh, chi2, self.log_prior(x), simulated, failures)

    def log_prior(self, vectors: np.ndarray) -> np.ndarray:
        """Log density of the priors, (n,); 0 where there are none."""
        total = np.zeros(len(vectors))
        for k, name in enumerate(self.estimated):
            prior = self.tables.parameters[name].prior
            if prior is not None:
                total = total + prior.log_density(np.asarray(vectors)[:, k])
        return total

    def log_priors(self) -> dict[str, float]:
        """The log density of each prior at the nominal values."""
        table = self.tables.parameters
        return {name: float(prior.log_density(np.array([table[name].nominal]))[0])
                for name in self.estimated if (prior := table[name].prior) is not None}  # fmt: skip

    def gradient(self, vector: np.ndarray | None = None, *, scaled: bool = False) -> np.ndarray:
        """d(log likelihood)/d(parameter), (n_estimated,).

        By sensitivities of the solution; through steady states and events by fourth-order differences of close solves, all
        in one batch.
        ``scaled``: by the parameters on their own scales (log10, say).
        """
        x = self._scaled(self.nominal if vector is None else np.asarray(vector, float))
        for step in STEPS:
            slopes = self._differences(x, step * np.maximum(1.0, np.abs(x)))
            if np.isfinite(slopes).all():  # a model may blow up a little further on
                break
        return slopes if scaled else slopes / self._stretch(x)

    def _differences(self, x: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Of the measurements' densities, along the tangent of the solution where sensitivities give it."""
        n = len(x)
        shifts = np.array([-2.0, -1.0, 1.0, 2.0])
        points = np.repeat(x[None], 4 * n, axis=0)
        for k in range(n):
            points[4 * k : 4 * k + 4, k] += shifts * step[k]
        values = self.evaluate(self._linear(points), rtol=CLOSE, tangent_at=self._linear(x)).log_likelihood.reshape(
            n, 4
        )
        return np.asarray((values @ np.array([1.0, -8.0, 8.0, -1.0])) / (12 * step))

    def fit(self, starts: Sequence[np.ndarray] | None = None, *, most: int = 200) -> Fit:
        """The largest posterior (likelihood, where no priors are given), searched from the nominal values or ``starts``."""
        from scipy.optimize import minimize

        parameters = [self.tables.parameters[name] for name in self.estimated]
        bounds = [tuple(_bound(p.scale, end) for end in (p.low, p.high)) for p in parameters]
        best: tuple[float, np.ndarray, bool] | None = None
        calls = 0

        def both(x: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal calls
            calls += 1
            n = len(x)
            step = FIT_STEP * np.maximum(1.0, np.abs(x))
            points = np.vstack([x[None], *(x[None] + s * np.diag(step) for s in (-1.0, 1.0))])
            try:
                evaluated = self.evaluate(self._linear(points)).log_posterior
            except (ValueError, NotAtRest):
                return 1e10, np.zeros(n)
            slope = (evaluated[1 + n :] - evaluated[1 : 1 + n]) / (2 * step)
            return (-float(evaluated[0]), -slope) if np.isfinite(evaluated).all() else (1e10, np.zeros(n))

        for start in starts or [self.nominal]:
            result = minimize(both, self._scaled(np.asarray(start, float)), jac=True, bounds=bounds, method="L-BFGS-B",
                              options={"maxiter": most})  # fmt: skip
            if best is None or result.fun < best[0]:
                best = float(result.fun), result.x, bool(result.success)
        assert best is not None
        x = self._linear(best[1])
        at = self.evaluate(x)
        return Fit(dict(zip(self.estimated, map(float, x), strict=True)), float(at.log_likelihood[0]),
                   float(at.log_posterior[0]), best[2], calls)  # fmt: skip

    def write(self, folder: str | Path, fit: Fit) -> Path:
        """The problem with a fit's estimates as nominal values, in a new folder. Gives its YAML file."""
        folder = Path(folder)
        folder.mkdir(parents=True)
        for file in self.path.parent.iterdir():
            if file.is_file():
                shutil.copy(file, folder / file.name)
        for file in folder.glob("*.tsv"):
            with file.open(newline="", encoding="utf-8-sig") as lines:
                rows = list(csv.DictReader(lines, delimiter="\t"))
            if rows and "nominalValue" in rows[0] and "parameterId" in rows[0]:
                for row in rows:
                    if row["parameterId"] in fit.estimates:
                        row["nominalValue"] = repr(fit.estimates[row["parameterId"]])
                with file.open("w", newline="", encoding="utf-8") as out:
                    writer = csv.DictWriter(out, list(rows[0]), delimiter="\t", lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)
        return folder / self.path.name

    # ---- scales ------------------------------------------------------------------------------------------------------
    def _scaled(self, x: np.ndarray) -> np.ndarray:
        columns = [TRANSFORMS[self.tables.parameters[name].scale](x[..., k]) for k, name in enumerate(self.estimated)]
        return np.stack(columns, axis=-1) if columns else x

    def _linear(self, x: np.ndarray) -> np.ndarray:
        columns = [_BACK[self.tables.parameters[name].scale](x[..., k]) for k, name in enumerate(self.estimated)]
        return np.stack(columns, axis=-1) if columns else x

    def _stretch(self, x: np.ndarray) -> np.ndarray:
        """d(linear)/d(scaled)."""
        linear = self._linear(x)
        factor = {"lin": np.ones_like(linear), "log": linear, "log10": linear * math.log(10)}
        return np.array([factor[self.tables.parameters[name].scale][k] for k, name in enumerate(self.estimated)])

    # ---- inside ------------------------------------------------------------------------------------------------------
    @cached_property
    def _by_experiment(self) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = {}
        for k, row in enumerate(self.tables.measurements):
            groups.setdefault(row.experiment, []).append(k)
        return groups

    def _formulas(self, row: Measurement) -> tuple[Expr, Expr]:
        observable = self.tables.observables[row.observable]
        return observable.formula, observable.noise

    def _simulator(self, experiment: str, rows: Sequence[int]) -> Simulator:
        if experiment not in self._simulators:
            wanted: dict[str, None] = {}
            for k in rows:
                row = self.tables.measurements[k]
                for expr in (*self._formulas(row), *row.overrides.values()):
                    wanted |= dict.fromkeys(symbols(expr))
            self._simulators[experiment] = Simulator(
                self.content, self.tables.experiments[experiment], tuple(wanted), self.fixed, self.estimated
            )
        return self._simulators[experiment]

    def _course(
        self, experiment: str, rows: Sequence[int], values: Mapping[str, np.ndarray], n: int, rtol: float,
        tangent_at: np.ndarray | None,
    ) -> dict:  # fmt: skip
        simulator = self._simulator(experiment, rows)
        times = [self.tables.measurements[k].time for k in rows]
        try:
            if tangent_at is not None and simulator.plain and all(map(math.isfinite, times)):
                at = dict(zip(self.estimated, tangent_at, strict=True))
                moves = np.column_stack([values[name] - at[name] for name in self.estimated])
                course = simulator.tangent(at, times, moves, self.estimated, RTOL)
            else:
                course = simulator.solve(values, times, n, rtol)
        except NotAtRest as reason:
            raise ValueError(f"experiment {experiment}: {reason}; it has no steady state to start from") from None
        settings = {**self.fixed, **simulator.system.parameters, **simulator.system.inputs}
        return {
            time: {**settings, **values, **{name: got[k] for name, got in course.values.items()}}
            for k, time in enumerate(course.times)
        }

    def _observed(
        self, row: Measurement, course: dict, values: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The observable and its sigma at a measurement."""
        known = dict(course[row.time])
        for name, expr in row.overrides.items():
            known[name] = evaluate(expr, known, row.time)
        formula, noise = self._formulas(row)
        n = len(next(iter(values.values()))) if values else 1
        y = np.broadcast_to(np.asarray(evaluate(formula, known, row.time), float), (n,))
        sigma = evaluate(noise, {**known, row.observable: y}, row.time)
        return y, np.broadcast_to(np.asarray(sigma, float), (n,))

    def _check_names(self) -> None:
        """Whether every formula's names are known somewhere. Raises InputError."""
        known = {*self.content.variables, *self.content.rules, *self.content.rates, *self.content.reactions}
        known |= {*self.tables.parameters}
        known |= {t for e in self.tables.experiments.values() for _, ts in e.periods for t in ts}
        problems = []
        for name, observable in self.tables.observables.items():
            own = {*observable.placeholders, *observable.noise_placeholders, name}
            for expr in (observable.formula, observable.noise):
                for missing in sorted({*symbols(expr)} - known - own):
                    why = "neither the model nor the parameter table has it."
                    problems.append(Problem("observables", name, missing, why, "Correct the name."))
        if problems:
            raise InputError(*problems)


def _bound(scale: str, end: float) -> float | None:
    """A bound on the parameter's scale; None where there is none."""
    if scale != "lin" and end <= 0:
        return None
    value = float(TRANSFORMS[scale](np.array(end)))
    return value if math.isfinite(value) else None
