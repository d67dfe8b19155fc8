"""Fit a mixed model for repeated measures to arrays: which columns can be told apart, which covariance could be estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from respine.trial.analysis.arrays import Array, Ints
from respine.trial.analysis.mmrm.covariance import BY_NAME, Structure
from respine.trial.analysis.mmrm.likelihood import Likelihood
from respine.trial.analysis.mmrm.maximise import Groups, Maximum, NoEstimate, maximise
from respine.trial.analysis.mmrm.patterns import Patterns, group

ALIASED = 1e-9  # what is left of a column after those before it, relative to its length


@dataclass(frozen=True)
class Tried:
    """A covariance structure that could not be estimated, and why."""

    structure: str
    reason: str


class NoCovariance(ValueError):
    """None of the structures could be estimated; ``tried`` has each with its reason."""

    def __init__(self, tried: Sequence[Tried]) -> None:
        self.tried = tuple(tried)
        super().__init__("; ".join(f"{t.structure}: {t.reason}" for t in tried))


@dataclass(frozen=True)
class Data:
    """One table as arrays: N rows of n subjects at m visits.

    ``y`` (N,), ``x`` (N, q), ``subject`` (N,) codes 0..n-1, ``visit`` (N,) codes 0..m-1; ``group`` (n,) codes of groups with
    covariance matrices of their own; ``weights`` (N,); ``coordinates`` (N, d) for spatial structures.
    """

    y: Array
    x: Array
    subject: Ints
    visit: Ints
    visits: tuple[str, ...]
    columns: tuple[str, ...]
    group: Ints | None = None
    groups: tuple[str, ...] = ("",)
    weights: Array | None = None
    coordinates: Array | None = None


@dataclass(frozen=True)
class Basis:
    """X without its aliased columns as Q R with orthonormal Q, and y centred and scaled: y = Q qy + scale * y_star."""

    kept: Ints
    q: Array
    r: Array
    qy: Array
    scale: float
    y_star: Array


@dataclass
class Fit:
    """A fitted mixed model for repeated measures.

    ``coefficients`` (q,) in the order of ``columns``, those of aliased columns left out; ``vcov`` their model-based
    covariance; ``covariances`` (G, m, m) that of the visits in each group (spatial structures: of the first pattern).
    """

    data: Data
    structure: Structure
    reml: bool
    tried: tuple[Tried, ...]
    groups: Groups
    basis: Basis
    likelihood: Likelihood
    maximum: Maximum
    _cache: dict[str, Array] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        return [self.data.columns[i] for i in self.basis.kept]

    @property
    def aliased(self) -> list[str]:
        return [name for i, name in enumerate(self.data.columns) if i not in set(self.basis.kept)]

    @property
    def coefficients(self) -> Array:
        b = self.basis
        return np.asarray(np.linalg.solve(b.r, b.qy + b.scale * self.maximum.value.beta))

    @property
    def vcov(self) -> Array:
        half = np.linalg.inv(self.basis.r)
        return np.asarray(self.basis.scale**2 * half @ self.maximum.value.information @ half.T)

    @property
    def log_likelihood(self) -> float:
        return -0.5 * self.deviance

    @property
    def deviance(self) -> float:
        """-2 log (restricted) likelihood, as SAS PROC MIXED and R's nlme and mmrm give it."""
        b = self.basis
        free = len(self.data.y) - (len(b.kept) if self.reml else 0)
        volume = 2 * np.log(np.abs(np.diag(b.r))).sum() if self.reml else 0.0
        return float(self.maximum.value.deviance + 2 * free * np.log(b.scale) + volume)

    @property
    def covariances(self) -> Array:
        sigma = self.groups.working(self.maximum.theta).sigma
        first = [int(np.flatnonzero(self.groups.group == g)[0]) for g in range(self.groups.n_groups)]
        return np.asarray(self.basis.scale**2 * sigma[first])

    @property
    def n_subjects(self) -> int:
        return int(self.likelihood.patterns.count.sum())

    def parameters(self) -> list[tuple[str, float]]:
        """Covariance parameters as SAS reports them."""
        r = self.groups.per_group
        result = []
        for g, label in enumerate(self.data.groups):
            theta = self.structure.rescaled(self.maximum.theta[g * r : (g + 1) * r], self.groups.m, self.basis.scale)
            suffix = f" [{label}]" if label else ""
            result += [(name + suffix, value) for name, value in self.structure.table(theta, self._labels())]
        return result

    def _labels(self) -> list[str]:
        return [str(i + 1) for i in range(self.groups.m)] if self.structure.spatial else list(self.data.visits)


def fit(data: Data, covariance: Sequence[str] | str = "unstructured", reml: bool = True) -> Fit:
    """The model with the first of the named covariance structures that can be estimated.

    Raises NoCovariance, with what was tried, if there is none.
    """
    names = [covariance] if isinstance(covariance, str) else list(covariance)
    basis = orthonormal(data.x, data.y)
    tried: list[Tried] = []
    if len(data.y) - len(basis.kept) < 1 or basis.scale == 0:
        reason = "the fixed effects reproduce every outcome, so nothing is left to estimate a variance from"
        raise NoCovariance([Tried(name, reason) for name in names])
    for name in names:
        structure = BY_NAME[name]
        if len(data.visits) == 1 and not structure.spatial:
            structure = BY_NAME["independent"]  # one visit has one variance, whatever the name
        try:
            groups, patterns = _grouped(data, structure, basis)
            likelihood = Likelihood(patterns, reml)
            _enough(structure, patterns)
            start = _start(groups, patterns, basis, data.group)
            maximum = maximise(likelihood, groups, start)
        except NoEstimate as error:
            tried.append(Tried(structure.name, str(error)))
            continue
        return Fit(data, structure, reml, tuple(tried), groups, basis, likelihood, maximum)
    raise NoCovariance(tried)


def orthonormal(x: Array, y: Array) -> Basis:
    """X = Q R in the order of the columns; a column that those before it add up to is left out, as R and SAS do."""
    q, r = np.linalg.qr(x)
    if len(x) >= x.shape[1] and (np.abs(np.diag(r)) > 10 * ALIASED * np.linalg.norm(x, axis=0)).all():
        kept = np.arange(x.shape[1])
    else:
        q, r, kept = _gram_schmidt(x)
    qy = q.T @ y
    rest = y - q @ qy
    more = q.T @ rest
    rest -= q @ more
    size = float(np.sqrt(rest @ rest / max(len(y), 1)))
    scale = size if size > 1e-12 * (1e-300 + float(np.abs(y).max(initial=0.0))) else 0.0
    return Basis(kept.astype(np.int64), q, r, qy + more, scale, rest / (scale or 1.0))


def _gram_schmidt(x: Array) -> tuple[Array, Array, Ints]:
    """Q, R and the columns kept."""
    kept: list[int] = []
    q = np.zeros_like(x)
    r = np.zeros((x.shape[1], x.shape[1]))
    for i in range(x.shape[1]):
        rest = x[:, i].copy()
        length = float(np.linalg.norm(rest))
        before = q[:, : len(kept)]
        share = np.zeros(len(kept))
        for _ in range(2):
            more = before.T @ rest
            rest -= before @ more
            share += more
        left = float(np.linalg.norm(rest))
        if left > ALIASED * length:
            n = len(kept)
            q[:, n] = rest / left
            r[:n, n] = share
            r[n, n] = left
            kept.append(i)
    n = len(kept)
    return q[:, :n], r[:n, :n], np.array(kept, dtype=np.int64)


def _grouped(data: Data, structure: Structure, basis: Basis) -> tuple[Groups, Patterns]:
    n = int(data.subject.max()) + 1
    of_subject = data.group if data.group is not None else np.zeros(n, dtype=np.int64)
    n_groups = len(data.groups)
    z = np.column_stack([basis.q, basis.y_star])
    if not structure.spatial:
        m = len(data.visits)
        groups = Groups(structure, m, np.arange(n_groups), n_groups, np.zeros((1, m, m)))
        return groups, group(z, data.subject, data.visit, m, of_subject, data.weights)
    if data.coordinates is None:
        raise NoEstimate("it needs the coordinates of every row")
    order = np.argsort(data.visit, kind="stable")
    position = np.empty(len(data.y), dtype=np.int64)
    upto = np.zeros(n, dtype=np.int64)
    for i in order:
        position[i] = upto[data.subject[i]]
        upto[data.subject[i]] += 1
    m = int(upto.max())
    places = np.zeros((n, m, data.coordinates.shape[1]))
    places[data.subject, position] = data.coordinates
    distance = np.sqrt(((places[:, :, None] - places[:, None]) ** 2).sum(axis=3))
    present = np.arange(m) < upto[:, None]
    distance *= present[:, :, None] & present[:, None, :]
    keys = np.column_stack([of_subject, distance.reshape(n, -1)])
    unique, template = np.unique(keys, axis=0, return_inverse=True)
    groups = Groups(structure, m, unique[:, 0].astype(np.int64), n_groups, unique[:, 1:].reshape(-1, m, m))
    return groups, group(z, data.subject, position, m, template.ravel().astype(np.int64), data.weights)


def _enough(structure: Structure, patterns: Patterns) -> None:
    """Every covariance of the structure needs patients who were seen at both visits."""
    if structure.correlation is not None:
        return
    for t in np.unique(patterns.template):
        own = patterns.template == t
        both = np.einsum(
            "p,pj,pk->jk", patterns.count[own], patterns.mask[own].astype(float), patterns.mask[own].astype(float)
        )
        j, k = np.unravel_index(int(np.argmin(both)), both.shape)
        if both[j, k] == 0:
            raise NoEstimate(f"no patient was seen at both visit {min(j, k) + 1} and visit {max(j, k) + 1}")


def _start(groups: Groups, patterns: Patterns, basis: Basis, group_of: Ints | None) -> Array:
    """Moments of the residuals of ordinary least squares, drawn towards independence until positive definite."""
    dense = np.where(patterns.rows >= 0, basis.y_star[patterns.rows], 0.0)
    present = (patterns.rows >= 0).astype(float)
    result = []
    for g in range(groups.n_groups):
        own = slice(None) if group_of is None else group_of == g
        e, o = dense[own], present[own]
        pairs = o.T @ o
        moments = np.where(pairs > 1, (e.T @ e) / np.maximum(pairs, 1), 0.0)
        overall = float((e**2).sum() / max(o.sum(), 1)) or 1.0
        variance = np.where(np.diag(moments) > 1e-6 * overall, np.diag(moments), overall)
        sd = np.sqrt(variance)
        correlation = np.clip(moments / np.outer(sd, sd), -0.95, 0.95)
        np.fill_diagonal(correlation, 1.0)
        lowest = float(np.linalg.eigvalsh(correlation)[0])
        keep = 1.0 if lowest > 0.01 else 0.95 * 0.95 / (1.0 - lowest)
        correlation = keep * correlation + (1 - keep) * np.eye(len(sd))
        distance = groups.distance[groups.group == g] if groups.structure.spatial else groups.distance
        result.append(_inside(groups, correlation * np.outer(sd, sd), distance))
    return np.concatenate(result)


def _inside(groups: Groups, moments: Array, distance: Array) -> Array:
    """Start values, their correlations halved until the matrix they make is positive definite."""
    structure, m = groups.structure, groups.m
    theta = structure.start(moments, distance)
    if structure.correlation is None:
        return theta
    first = m if structure.heterogeneous else 1
    for _ in range(20):
        sigma = structure.working(theta, m, distance).sigma
        if structure.spatial or np.linalg.eigvalsh(sigma)[:, 0].min() > 0.01 * float(np.diagonal(sigma[0]).min()):
            break
        theta[first:] *= 0.5
    return theta
