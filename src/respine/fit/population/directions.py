"""What a problem is differentiated by, and on what each of its formulas depends.

Directions 0 .. Q-1 are the random effects of a subject: those between subjects, then those of its first, second ...
occasion. Directions Q .. Q+M-1 are the free fixed effects and the free covariances of residual effects. Effects
without any variability are no directions; they are 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from respine.fit.population.formulas import Formula
from respine.fit.population.observation import sigma
from respine.fit.population.problem import Block, PopulationProblem, needs
from respine.fit.population.read import TIME_NAMES
from respine.model.expression import Expr, symbols


@dataclass
class Directions:
    """Numbers of directions by name, and occasions of records.

    ``eta`` and ``kappa`` number the active effects; ``fixed`` are all values of fixed effects and residual
    covariances in order, ``free`` the places among them that are estimated. ``occasion`` (n_records,) counts a
    subject's occasions from 0.
    """

    problem: PopulationProblem
    eta: dict[str, int] = field(init=False)
    kappa: dict[str, int] = field(init=False)
    resting: tuple[str, ...] = field(init=False)
    fixed: tuple[str, ...] = field(init=False)
    free: tuple[int, ...] = field(init=False)
    occasion: np.ndarray = field(init=False)
    n_occasions: int = field(init=False)

    def __post_init__(self) -> None:
        problem = self.problem
        self.eta = {name: k for k, name in enumerate(_active(problem.omega))}
        self.kappa = {name: k for k, name in enumerate(_active(problem.iov))}
        every = [name for block in (*problem.omega, *problem.iov) for name in block.names]
        self.resting = tuple(name for name in every if name not in self.eta and name not in self.kappa)
        names, free = [theta.name for theta in problem.thetas], [not theta.fixed for theta in problem.thetas]
        for block in problem.sigma:
            for i, a in enumerate(block.names):
                for b in block.names[: i + 1]:
                    names.append(sigma(a, b))
                    free.append(not block.fixed)
        self.fixed, self.free = tuple(names), tuple(k for k, is_free in enumerate(free) if is_free)
        self.occasion, self.n_occasions = _occasions(problem) if self.kappa else (np.zeros(0, np.int64), 0)

    @property
    def n_random(self) -> int:
        """Q, the random effects of a subject."""
        return len(self.eta) + self.n_occasions * len(self.kappa)

    @property
    def n_free(self) -> int:
        """M, the free fixed effects and residual covariances."""
        return len(self.free)

    @property
    def start(self) -> np.ndarray:
        """Values of ``fixed`` at the start, (n_fixed,)."""
        values = [theta.start for theta in self.problem.thetas]
        for block in self.problem.sigma:
            values += [block.matrix[i, j] for i in range(len(block.names)) for j in range(i + 1)]
        return np.array(values, float)

    def random_names(self) -> list[str]:
        """A name for each random effect of a subject; ``kappa_CL 2`` is that of its second occasion."""
        later = [f"{name} {occ + 1}" for occ in range(self.n_occasions) for name in self.kappa]
        return [*self.eta, *later]

    def of(self, expr: Expr, formulas: Mapping[str, Formula], own: str = "") -> set[int]:
        """Directions a formula depends on; ``own``: its name, which may stand for a parameter in it."""
        columns: set[int] = set()
        place = {self.fixed[k]: self.n_random + m for m, k in enumerate(self.free)}
        for name in self.names(expr, formulas, own):
            if name in self.eta:
                columns.add(self.eta[name])
            elif name in self.kappa:
                first = len(self.eta) + self.kappa[name]
                columns |= {first + occ * len(self.kappa) for occ in range(self.n_occasions)}
            elif name in place:
                columns.add(place[name])
        return columns

    def names(self, expr: Expr, formulas: Mapping[str, Formula], own: str = "") -> set[str]:
        """Every name a formula needs, through other formulas; a parameter that shares its name with a formula comes
        in there.
        """
        names = needs(expr, {name: formula for name, formula in formulas.items() if name != own})
        return names | ({own} if own in set(symbols(expr)) else set())

    def changes(self, names: Iterable[str]) -> bool:
        """Whether any of these names changes along the records of some subject."""
        data = self.problem.data
        for name in names:
            if name in self.kappa or name in TIME_NAMES:
                return True
            values = self.problem.covariates.get(name)
            if values is not None and name not in self.eta and name not in self.fixed:
                step = np.diff(values) != 0
                step[data.first[1:] - 1] = False
                if step.any():
                    return True
        return False


def _active(blocks: Iterable[Block]) -> list[str]:
    return [name for block in blocks if not block.zero for name in block.names]


def _occasions(problem: PopulationProblem) -> tuple[np.ndarray, int]:
    """(n_records,) the number of each record's occasion among its subject's, in order of appearance; and the most of
    any.
    """
    data = problem.data
    number, most = np.zeros(data.n_records, np.int64), 1
    for s in range(data.n_subjects):
        seen: dict[int, int] = {}
        for r in range(data.first[s], data.last[s]):
            number[r] = seen.setdefault(int(data.occasion[r]), len(seen))
        most = max(most, len(seen))
    return number, most
