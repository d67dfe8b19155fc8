"""One fit from a problem: estimates with their errors, the objective, random effects, and what is wrong with the
answer.
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.fit.population.estimate import Estimate, Outer, Watch, estimate, finish
from respine.fit.population.findings import Finding, flip_flop, look
from respine.fit.population.marginal import Integral, Marginal
from respine.fit.population.objective import Objective, Point
from respine.fit.population.problem import PopulationProblem
from respine.fit.population.quasi_newton import Search
from respine.fit.population.saem import Saem, average
from respine.fit.population.uncertainty import Uncertainty, uncertainty
from respine.fit.population.vector import Vector

if TYPE_CHECKING:
    import pandas as pd

Z95 = 1.959963984540054
AGREE_ERRORS, AGREE_SHARE = 0.5, 0.02  # two banks agree within this many standard errors, or this share of x


@dataclass
class Fit:
    """The result of `fit` or `evaluate`.

    ``objective`` is what the method minimises (-2 log likelihood without n log 2 pi, with what priors add),
    ``objective_error`` its Monte Carlo standard error. ``findings`` say what is wrong; with a fatal one `is_answer`
    is False and the estimates are no answer. ``settings`` name every choice that was made.
    """

    problem: PopulationProblem
    method: str
    optimum: Estimate
    objective: float
    certain: Uncertainty | None
    findings: list[Finding]
    converged: bool
    seconds: float
    objective_error: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    banks: list[np.ndarray] = field(default_factory=list)
    history: np.ndarray | None = None

    @property
    def point(self) -> Point:
        return self.optimum.point

    @property
    def vector(self) -> Vector:
        return self.optimum.vector

    @cached_property
    def objective_focei(self) -> float:
        """The FOCEI objective at the estimates, what nlmixr2 lists beside imp; NaN where it has no value."""
        if self.method == "focei":
            return self.objective
        objective = Objective(self.problem, "focei", predictor=self.optimum.objective.predictor)
        return objective.at(self.point).total + self.optimum.prior

    @property
    def is_answer(self) -> bool:
        """Whether the search ended well and nothing fatal was found."""
        return self.converged and not any(finding.fatal for finding in self.findings)

    @property
    def estimates(self) -> pd.DataFrame:
        """One row a parameter: name, kind, estimate, se, rse (per cent), low, high (95 %), fixed, start; then sd of
        variances.
        """
        import pandas as pd

        vector = self.vector
        values, starts = vector.natural(self.point), vector.natural(self.optimum.outer.begin)
        errors = self.certain.errors if self.certain is not None else np.full(len(values), np.nan)
        low, high = self._limits()
        rows = [
            {"name": entry.name, "kind": entry.kind, "estimate": value, "se": se,
             "rse": 100 * se / abs(value) if value else np.nan, "low": a, "high": b, "fixed": False, "start": start}
            for entry, value, se, a, b, start in zip(vector.entries, values, errors, low, high, starts, strict=True)
        ] + self._fixed()  # fmt: skip
        frame = pd.DataFrame(rows, columns=["name", "kind", "estimate", "se", "rse", "low", "high", "fixed", "start"])
        spread = [np.sqrt(v) if k != "fixed" and "," not in n and v >= 0 else np.nan
                  for n, k, v in zip(frame["name"], frame["kind"], frame["estimate"], strict=True)]  # fmt: skip
        return frame.assign(sd=spread)

    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        """95 % limits, symmetric on the search's scale, so that they keep to the bounds.

        Errors from the subjects' slopes (sandwich, S) are too small where subjects are few: limits take them larger by
        n/(n - p) and use the t distribution (Mancl & DeRouen 2001, doi 10.1111/j.0006-341X.2001.00126.x).
        """
        n, vector = self.vector.size, self.vector
        none = np.full(n, np.nan)
        if self.certain is None or not np.isfinite(self.certain.of_x).all() or n == 0:
            return none, none.copy()
        values, low, high = vector.natural(self.point), none.copy(), none.copy()
        stretch = np.diag(vector.jacobian(self.point))
        own = np.sqrt(np.maximum(np.diag(self.certain.covariance), 0.0)) * self._widening() / Z95
        for k, entry in enumerate(vector.entries):
            if entry.kind == "fixed":
                step = np.zeros(n)
                step[k] = Z95 * own[k] / abs(stretch[k])
                ends = [vector.natural(self.optimum.outer.point(self.optimum.x + s * step))[k] for s in (-1, 1)]
            elif "," in entry.name:
                ends = [values[k] - Z95 * own[k], values[k] + Z95 * own[k]]
            else:
                factor = np.exp(Z95 * own[k] / values[k])
                ends = [values[k] / factor, values[k] * factor]
            low[k], high[k] = min(ends), max(ends)
        return low, high

    def _widening(self) -> float:
        """How many standard errors the limits lie away."""
        if self.certain is None or self.certain.kind == "R":
            return Z95
        people = len(self.optimum.slopes)
        free = max(people - self.vector.size, 0.5 * people)
        return float(np.sqrt(people / free)) * t95(free)

    def _fixed(self) -> list[dict[str, Any]]:
        problem, none = self.problem, {"se": np.nan, "rse": np.nan, "low": np.nan, "high": np.nan}
        rows = [
            {"name": t.name, "kind": "fixed", "estimate": t.start, **none, "fixed": True, "start": t.start}
            for t in problem.thetas if t.fixed
        ]  # fmt: skip
        for kind, label, blocks in (
            ("random", "OMEGA", (*problem.omega, *problem.iov)),
            ("residual", "SIGMA", problem.sigma),
        ):
            for block in blocks:
                if block.fixed:
                    rows += [{"name": f"{label}({a})", "kind": kind, "estimate": block.matrix[i, i], **none, "fixed": True,
                              "start": block.matrix[i, i]} for i, a in enumerate(block.names)]  # fmt: skip
        return rows

    @property
    def random_effects(self) -> pd.DataFrame:
        """One row a subject: ID, its random effects, their standard errors (``se eta``), its share of the objective."""
        import pandas as pd

        value = self.optimum.value
        names = self.optimum.objective.d.random_names()
        frame = pd.DataFrame(value.random, columns=names)
        frame.insert(0, "ID", self.problem.data.labels)
        if len(names):
            safe = np.where(np.isfinite(value.curvature), value.curvature, np.nan)
            spread = np.full((len(safe), len(names)), np.nan)
            for s, matrix in enumerate(safe):
                if np.isfinite(matrix).all() and np.linalg.matrix_rank(matrix) == len(names):
                    spread[s] = np.sqrt(np.maximum(np.diag(np.linalg.inv(matrix)), 0.0))
            for k, name in enumerate(names):
                frame[f"se {name}"] = spread[:, k]
        return frame.assign(OBJ=value.each)

    @property
    def shrinkage(self) -> pd.DataFrame:
        """Of each random effect: 1 - SD of the modes / SD of the population, in per cent (NONMEM's ETASHRINKSD); its
        mean and p.
        """
        import pandas as pd

        objective, rows = self.optimum.objective, []
        omega = objective.blocks.whole(self.point.blocks) if objective.d.n_random else np.zeros((0, 0))
        n = len(self.optimum.value.random)
        for k, name in enumerate(objective.d.random_names()):
            own = self.optimum.value.random[:, k]
            sd = float(np.std(own, ddof=1)) if n > 1 else 0.0
            mean, error = float(np.mean(own)), sd / np.sqrt(n) if n else np.nan
            rows.append({"name": name, "shrinkage": 100 * (1 - sd / np.sqrt(omega[k, k])), "mean": mean, "se": error})
        return pd.DataFrame(rows, columns=["name", "shrinkage", "mean", "se"])

    @property
    def individual(self) -> pd.DataFrame:
        """One row a subject: ID and individual parameters at the modes, where these are one number a subject."""
        import pandas as pd

        objective = self.optimum.objective
        layout = objective.predictor.layout(objective.subjects)
        values = objective.predictor.lane_values(layout, self.point.fixed, self.optimum.value.random, "nothing")
        frame = pd.DataFrame({"ID": self.problem.data.labels})
        for name in self.problem.individual:
            if name in values and name not in objective.predictor.changing:
                frame[name] = np.broadcast_to(values[name].value, (len(frame),))
        return frame

    def at_estimates(self) -> PopulationProblem:
        """The problem with the estimates as its start, to evaluate or simulate."""
        return at_point(self.problem, self.point)

    def _repr_html_(self) -> str:
        from respine.fit.population.text import html

        return html(self)

    def __repr__(self) -> str:
        state = "an answer" if self.is_answer else "no answer"
        return f"Fit({self.problem.title or 'problem'}, {self.method}, objective {self.objective:.4f}, {state})"

    def __str__(self) -> str:
        from respine.fit.population.text import text

        return text(self)


def t95(free: float) -> float:
    """The 97.5 % quantile of the t distribution (Cornish-Fisher; 1e-3 off at 4 degrees of freedom, less above)."""
    z = Z95
    return (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    )


def at_point(problem: PopulationProblem, point: Point) -> PopulationProblem:
    """The problem with a point as its start."""
    thetas = tuple(replace(t, start=float(v)) for t, v in zip(problem.thetas, point.fixed, strict=False))
    matrices = iter(point.blocks)
    groups = [
        tuple(b if b.zero else replace(b, matrix=next(matrices)) for b in blocks)
        for blocks in (problem.omega, problem.iov)
    ]
    at, sigma = len(problem.thetas), []
    for block in problem.sigma:
        n = len(block.names)
        matrix = np.zeros((n, n))
        matrix[np.tril_indices(n)] = point.fixed[at : at + n * (n + 1) // 2]
        sigma.append(replace(block, matrix=matrix + np.tril(matrix, -1).T))
        at += n * (n + 1) // 2
    return replace(problem, thetas=thetas, omega=groups[0], iov=groups[1], sigma=tuple(sigma))


def with_options(problem: PopulationProblem, **options: Any) -> PopulationProblem:
    """The problem with other options of estimation, checked. Raises ValueError (pydantic) for what cannot be meant."""
    merged = {**problem.estimation.model_dump(), **options}
    return replace(problem, estimation=type(problem.estimation).model_validate(merged))


def evaluate(problem: PopulationProblem | Fit, method: str | None = None, *, covariance: bool = False) -> Fit:
    """The objective at the start values of a problem, or at the estimates of a fit, without estimation (NONMEM's
    MAXEVAL=0); ``covariance``: with standard errors there.
    """
    if isinstance(problem, Fit):
        problem = problem.at_estimates()
    fitted = fit(with_options(problem, max_evaluations=0, starts=1), "imp" if method == "saem" else method)
    if covariance and np.isfinite(fitted.objective):
        fitted.certain = uncertainty(fitted.optimum, problem.estimation.covariance)
    return fitted


def fit(
    problem: PopulationProblem,
    method: str | None = None,
    *,
    folder: str | Path | None = None,
    watch: Watch | None = None,
) -> Fit:
    """Estimate a problem. ``method`` overrides that of the problem; ``folder`` keeps checkpoints of SAEM; ``watch``
    hears of progress.

    Never raises for an objective that cannot be minimised: look at `Fit.is_answer` and `Fit.findings`. Raises
    InputError for a problem that cannot be solved at all.
    """
    begun = clock.perf_counter()
    name = method or problem.estimation.method
    if name == "saem":
        return _by_saem(problem, Path(folder) if folder is not None else None, watch, begun)
    estimated = estimate(problem, name, watch)
    extra: list[Finding] = []
    searched = problem.estimation.max_evaluations > 0
    if searched and estimated.converged:
        extra, other = flip_flop(estimated)
        if other is not None:
            estimated = finish(estimated.outer, [*estimated.searches, other], estimated.checks, estimated.seconds)
    certain = None
    if searched and problem.estimation.covariance != "none" and np.isfinite(estimated.total):
        certain = uncertainty(estimated, problem.estimation.covariance)
    findings = _accepted(problem, [*look(estimated, certain), *extra])
    value = estimated.value
    error = value.total_error if isinstance(value, Integral) else 0.0
    return Fit(problem, name, estimated, estimated.total, certain, findings, estimated.converged or not searched,
               clock.perf_counter() - begun, error, _settings(problem, name))  # fmt: skip


def _accepted(problem: PopulationProblem, findings: list[Finding]) -> list[Finding]:
    """Findings whose kind the problem accepts do not stand in the way of an answer."""
    return [replace(f, fatal=False) if f.kind in problem.estimation.accept else f for f in findings]


def _settings(problem: PopulationProblem, method: str) -> dict[str, Any]:
    options = problem.estimation
    chosen: dict[str, Any] = {"method": method, "rtol": options.rtol, "seed": options.seed, "starts": options.starts,
                              "max_evaluations": options.max_evaluations, "covariance": options.covariance}  # fmt: skip
    if method == "agq":
        chosen["nodes"] = options.nodes
    if method in ("imp", "saem"):
        chosen["samples"] = options.samples
    if method == "saem":
        chosen |= {"burn_in": options.burn_in, "averaging": options.averaging, "chains": options.chains}
    return chosen


def _by_saem(problem: PopulationProblem, folder: Path | None, watch: Watch | None, begun: float) -> Fit:
    """Two banks of SAEM, then the likelihood at their mean by importance sampling; slopes there give the standard
    errors.
    """
    saem = Saem(problem, folder)
    banks = [saem.run(bank, watch) for bank in (0, 1)]
    x = average(saem, banks)
    outer = Outer(problem, "imp")
    value = outer.objective.at(outer.point(x), slopes=True)
    assert isinstance(outer.objective, Marginal) and isinstance(value, Integral)
    assert value.by_fixed is not None and value.by_blocks is not None
    each = outer.vector.slopes(outer.point(x), value.by_fixed, value.by_blocks)
    search = Search(
        x, value.total, each.sum(axis=0), True, "all steps were taken", 0.0, value.evaluations, np.eye(len(x))
    )
    estimated = Estimate(
        outer, outer.point(x), value, 0.0, each, True, search.why, [], [search], value.evaluations, 0.0, np.eye(len(x))
    )
    certain = uncertainty(estimated, "S") if problem.estimation.covariance != "none" else None
    apart = np.abs(banks[0].x - banks[1].x)
    errors = np.sqrt(np.maximum(np.diag(certain.of_x), 0.0)) if certain is not None else np.zeros(len(x))
    allowed = np.maximum(AGREE_ERRORS * np.where(np.isfinite(errors), errors, 0.0), AGREE_SHARE)
    far = [saem.vector.names[k] for k in np.flatnonzero(apart > allowed)]
    findings = _accepted(problem, look(estimated, None))
    if far:
        why = f"Two independent banks ended apart in {', '.join(far)}."
        findings.append(
            Finding("not-converged", tuple(far), why, "Allow more burn_in and averaging, or simplify the model.")
        )
    seconds = clock.perf_counter() - begun
    fitted = Fit(problem, "saem", estimated, value.total, certain, findings, not far, seconds, value.total_error,
                 _settings(problem, "saem"), [bank.x for bank in banks], banks[0].path)  # fmt: skip
    return fitted
