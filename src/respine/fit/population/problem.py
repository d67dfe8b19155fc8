"""A population problem as a value: data, structural model, parameters, random effects, observations, priors.

>>> problem = PopulationProblem.from_yaml("theophylline.yaml")                       # doctest: +SKIP
>>> problem = PopulationProblem.of(data=frame, model=text, parameters={...}, ...)     # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from respine.fit.population.dataset import Dataset
from respine.fit.population.formulas import Formula
from respine.fit.population.observation import ObservationModel
from respine.fit.population.schema import Estimation, FitFile
from respine.model.expression import Expr, symbols
from respine.model.system import System


@dataclass(frozen=True)
class Theta:
    """A fixed effect: its start, its bounds (infinite where none) and on which scale the search walks."""

    name: str
    start: float
    lower: float = -np.inf
    upper: float = np.inf
    fixed: bool = False
    scale: str = "linear"
    label: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Block:
    """Random effects that vary together: names and their covariance matrix at the start, (n, n)."""

    names: tuple[str, ...]
    matrix: np.ndarray
    fixed: bool = False

    @property
    def zero(self) -> bool:
        """No variability at all: the effects are 0 for everybody."""
        return not self.matrix.any()


@dataclass(frozen=True)
class Absorbed:
    """How doses enter a state over time: a law and its formulas."""

    law: str
    formulas: Mapping[str, Formula]
    fraction: Formula | None = None
    lag: Formula | None = None


@dataclass(frozen=True)
class DoseRules:
    """Formulas of doses into one state; None: no lag, all of it, no modelled duration or rate."""

    lag: Formula | None = None
    bioavailability: Formula | None = None
    duration: Formula | None = None
    rate: Formula | None = None
    absorbed: tuple[Absorbed, ...] = ()

    @property
    def formulas(self) -> dict[str, Formula]:
        every = {"lag": self.lag, "bioavailability": self.bioavailability, "duration": self.duration, "rate": self.rate}
        formulas = {name: formula for name, formula in every.items() if formula is not None}
        for k, part in enumerate(self.absorbed):
            formulas |= {f"{k} {name}": formula for name, formula in part.formulas.items()}
            formulas |= {f"{k} fraction": part.fraction} if part.fraction is not None else {}
            formulas |= {f"{k} lag": part.lag} if part.lag is not None else {}
        return formulas


@dataclass(frozen=True)
class NormalPrior:
    """(p - mean)' covariance^-1 (p - mean) is added to the objective for these fixed effects."""

    names: tuple[str, ...]
    mean: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class WishartPrior:
    """(degrees + n + 1) log|O| + degrees tr(matrix O^-1) is added to the objective for this block of random effects."""

    names: tuple[str, ...]
    matrix: np.ndarray
    degrees: float


@dataclass(frozen=True)
class PopulationProblem:
    """Everything a fit needs; `from_yaml` and `of` make and check one.

    ``individual`` are the formulas of individual parameters, in an order in which they can be evaluated; ``doses``
    maps a state to the formulas of doses into it; ``dose_state`` (n_records,) is the state a record's dose goes into,
    empty for none. ``rows`` maps each observation to its records; ``covariates`` are the columns (n_records,)
    formulas use; ``form`` is what it was made from.
    """

    title: str
    system: System | None
    data: Dataset
    thetas: tuple[Theta, ...]
    omega: tuple[Block, ...]
    iov: tuple[Block, ...]
    sigma: tuple[Block, ...]
    individual: Mapping[str, Formula]
    doses: Mapping[str, DoseRules]
    dose_state: tuple[str, ...]
    observations: tuple[ObservationModel, ...]
    rows: Mapping[str, np.ndarray]
    covariates: Mapping[str, np.ndarray]
    normal_priors: tuple[NormalPrior, ...] = ()
    wishart_priors: tuple[WishartPrior, ...] = ()
    estimation: Estimation = field(default_factory=Estimation)
    long_lag: str = "nonmem"
    notes: tuple[str, ...] = ()
    file: Path | None = None
    form: FitFile | None = None

    @staticmethod
    def from_yaml(path: str | Path) -> PopulationProblem:
        """Read and check a problem file. Raises InputError with every mistake of the file and of its data."""
        made: PopulationProblem = _reader().read(Path(path))
        return made

    @staticmethod
    def of(*, data: Any, model: str | System | None = None, **fields: Any) -> PopulationProblem:
        """A problem made in Python: ``data`` a file, a mapping as in the file, or a pandas DataFrame; ``model`` a
        System, text, file or library name; other fields as in the problem file. Raises InputError as `from_yaml`.
        """
        made: PopulationProblem = _reader().make(data=data, model=model, fields=fields)
        return made

    @property
    def eta_names(self) -> tuple[str, ...]:
        """Effects between subjects, in the order of the matrix."""
        return tuple(name for block in self.omega for name in block.names)

    @property
    def kappa_names(self) -> tuple[str, ...]:
        """Effects between occasions."""
        return tuple(name for block in self.iov for name in block.names)

    @property
    def theta_names(self) -> tuple[str, ...]:
        return tuple(theta.name for theta in self.thetas)

    def only(self, subjects: Sequence[int] | np.ndarray) -> PopulationProblem:
        """The problem with some of the subjects (the same may come again), in this order."""
        chosen = np.asarray(subjects, int)
        rows = np.concatenate([np.arange(self.data.first[s], self.data.last[s]) for s in chosen])
        place = {name: np.isin(np.arange(self.data.n_records), own) for name, own in self.rows.items()}
        return replace(
            self,
            data=self.data.only(chosen),
            dose_state=tuple(self.dose_state[r] for r in rows),
            rows={name: np.flatnonzero(mask[rows]) for name, mask in place.items()},
            covariates={name: values[rows] for name, values in self.covariates.items()},
        )


def in_order(formulas: Mapping[str, Formula]) -> list[str]:
    """Names so that each comes after those its formula uses (itself apart). Raises ValueError for a circle."""
    order: list[str] = []
    pending = dict(formulas)
    while pending:
        ready = [
            name for name, formula in pending.items()
            if not any(other in pending and other != name for other in symbols(formula.expr))
        ]  # fmt: skip
        if not ready:
            raise ValueError(f"{', '.join(pending)} need each other's values")
        order += ready
        for name in ready:
            del pending[name]
    return order


def needs(expr: Expr, formulas: Mapping[str, Formula]) -> set[str]:
    """Every name a formula depends on, through other formulas as well."""
    needed: set[str] = set()
    stack = list(symbols(expr))
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            if name in formulas:
                stack += [other for other in symbols(formulas[name].expr) if other != name]
    return needed


def _reader() -> Any:
    """What reads problem files: it must know problems, so it is asked for by name."""
    return import_module("respine.fit.population.read")
