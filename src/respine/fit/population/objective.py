"""Objective functions at given parameters, as NONMEM defines them, with their exact slopes.

For a subject with data y, random effects e ~ N(0, O) and l(e) = -2 log p(y | e) (without n log 2 pi; Wang, J
Pharmacokinet Pharmacodyn 34, 2007):

* FO: y linearised at e = 0; log|O| + log|M| + l(0) - b'M^-1 b with M = O^-1 + sum f'f'^T/v and b = sum f'(y - f)/v.
* FOCE, FOCEI, Laplace: l(e*) + e*'O^-1 e* + log|O| + log|M| at the mode e*, where M is O^-1 plus half the second
  derivatives of l (Laplace), or their first-order part: sum f'f'^T/v (FOCE), + sum v'v'^T/(2 v^2) (FOCEI). Without
  interaction the variances v are those at e = 0.

Data that are not normal (BLQ by M3 and M4, event times, counts) enter M with their whole second derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from respine.fit.population.conditional import Conditional, Frozen, Rows, by_lane, conditional, failures, freeze
from respine.fit.population.covariances import Blocks
from respine.fit.population.modes import Modes, find_modes
from respine.fit.population.prediction import Predictor
from respine.fit.population.problem import PopulationProblem

STEP = 5e-4  # of differences along random effects, in their standard deviations
LEAST_SPREAD, MOST_SPREAD = 0.05, 2.0


@dataclass(frozen=True)
class Way:
    """A method: linearised at 0 (``first_order``), or at the mode with the ``exact`` curvature or its first-order
    part; with residual variances that follow the random effects (``interaction``) or rest where these are 0.
    """

    first_order: bool = False
    exact: bool = False
    interaction: bool = True


WAYS = {
    "fo": Way(first_order=True, interaction=False), "foce": Way(interaction=False), "focei": Way(),
    "laplace": Way(exact=True), "laplace-no-interaction": Way(exact=True, interaction=False),
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """Parameter values: ``fixed`` (n_fixed,) fixed effects and residual covariances, ``blocks`` the matrices of
    random effects.
    """

    fixed: np.ndarray
    blocks: tuple[np.ndarray, ...]


@dataclass
class Value:
    """An objective at a point. By subject: ``each`` (n,), ``random`` (n, Q) the modes, ``curvature`` (n, Q, Q) M at
    them.

    ``by_fixed`` (n, M) and ``by_blocks`` (a list of (n, b, b)) are the slopes of ``each`` where they were asked for.
    ``failures``: subjects without a value, by label, and why; ``each`` is NaN there. ``unsettled`` are subjects whose
    mode was not found.
    """

    each: np.ndarray
    random: np.ndarray
    curvature: np.ndarray
    failures: Mapping[str, str] = field(default_factory=dict)
    unsettled: tuple[str, ...] = ()
    by_fixed: np.ndarray | None = None
    by_blocks: list[np.ndarray] | None = None
    exact: np.ndarray | None = None
    evaluations: int = 0

    @property
    def total(self) -> float:
        """The objective; NaN where a subject failed."""
        return float(np.sum(self.each))


class Objective:
    """The objective of one method for a problem; keeps the modes of the last point to begin the next search from."""

    def __init__(
        self, problem: PopulationProblem, method: str = "focei", *, predictor: Predictor | None = None
    ) -> None:
        self.problem, self.way = problem, WAYS[method]
        self.method = method
        self.predictor = predictor or Predictor(problem)
        self.d = self.predictor.directions
        self.blocks = Blocks.of(self.d)
        self.subjects = np.arange(problem.data.n_subjects)
        self.normal = all(model.gaussian and model.blq in (None, "M1") for model in problem.observations)
        self.last: Modes | None = None
        self._anchor: _Anchor | None = None

    @property
    def by_differences(self) -> bool:
        """Whether slopes of the objective come from differences of its values: second derivatives in the curvature, of
        Laplace or of data that are not normal, would need third ones.
        """
        return self.way.exact or not (self.normal or self.way.first_order)

    # ---- lanes --------------------------------------------------------------------------------------------------------
    def lanes(
        self, subjects: np.ndarray, point: Point, random: np.ndarray, want: str, frozen: Frozen | None
    ) -> Conditional:
        """-2 log p(y | random) of lanes."""
        k = {"nothing": 0, "random": self.d.n_random, "all": self.d.n_random + self.d.n_free}[want]
        prediction = self.predictor.predict(subjects, point.fixed, random, want)
        return conditional(self.problem, prediction, k, frozen)

    def frozen(self, point: Point, want: str) -> Frozen | None:
        """Variances where random effects are 0, if the method wants these."""
        if self.way.interaction or self.way.first_order:
            return None
        zero = np.zeros((len(self.subjects), self.d.n_random))
        prediction = self.predictor.predict(self.subjects, point.fixed, zero, want)
        return freeze(self.problem, prediction, self.d.n_random)

    def spread(self, omega: np.ndarray) -> np.ndarray:
        """Steps of differences along each random effect."""
        return STEP * np.clip(np.sqrt(np.diag(omega)), LEAST_SPREAD, MOST_SPREAD)

    # ---- the objective ------------------------------------------------------------------------------------------------
    def at(self, point: Point, *, slopes: bool = False, start: np.ndarray | None = None) -> Value:
        """The objective at a point, with slopes if asked for; ``start`` (n, Q) of the search for modes (0, or the
        last ones).
        """
        with np.errstate(all="ignore"):  # subjects without a value are told apart, not warned of
            return self._at(point, slopes, start)

    def _at(self, point: Point, slopes: bool, start: np.ndarray | None) -> Value:
        n, q = len(self.subjects), self.d.n_random
        omega = self.blocks.whole(point.blocks)
        if q == 0:
            return self._without_random(point, slopes)
        precision = np.linalg.inv(omega)
        if self.way.first_order:
            return self._first_order(point, omega, precision, slopes)
        frozen = self.frozen(point, "all" if slopes else "nothing")
        still = None if frozen is None else Frozen(frozen.variance, None)
        begin, matrix = np.zeros((n, q)), None
        if start is not None:
            begin = start
        elif self._anchor is not None and self.last is not None:
            begin, matrix = self._anchor.modes(point, omega), self._anchor.hessian
        elif self.last is not None and len(self.last.random) == n:
            begin, matrix = self.last.random, self.last.matrix
        modes = find_modes(lambda s, e: self.lanes(s, point, e, "random", still), precision, begin, matrix)
        if self.last is not None and start is None and not modes.settled.all():
            modes = self._again(point, precision, still, modes)
        value = self._at_modes(point, omega, precision, frozen, modes.random, slopes)
        value.evaluations += modes.evaluations
        value.unsettled = tuple(self.problem.data.labels[s] for s in np.flatnonzero(~modes.settled))
        matrix = modes.matrix if value.exact is None else _positive(value.exact, modes.matrix)
        self.last = Modes(modes.random, modes.value, matrix, modes.settled, modes.decrease)
        return value

    def forget(self) -> None:
        """Begin the next search for modes at 0."""
        self.last = self._anchor = None

    def _again(self, point: Point, precision: np.ndarray, frozen: Frozen | None, modes: Modes) -> Modes:
        """Subjects whose mode was not found from the last one begin at 0."""
        lost = np.flatnonzero(~modes.settled)
        fresh = find_modes(
            lambda s, e: self.lanes(lost[s], point, e, "random", frozen),
            precision,
            np.zeros((len(lost), self.d.n_random)),
        )
        better = fresh.value < modes.value[lost]
        for name in ("random", "value", "matrix", "settled", "decrease"):
            getattr(modes, name)[lost[better]] = getattr(fresh, name)[better]
        modes.evaluations += fresh.evaluations
        return modes

    def _without_random(self, point: Point, slopes: bool) -> Value:
        n = len(self.subjects)
        lanes = self.lanes(self.subjects, point, np.zeros((n, 0)), "all" if slopes else "nothing", None)
        value = Value(lanes.value, np.zeros((n, 0)), np.zeros((n, 0, 0)), failures(self.problem, lanes, self.subjects))
        value.each = np.where(lanes.bad, np.nan, lanes.value)
        if slopes:
            value.by_fixed, value.by_blocks = lanes.slope.T.copy(), []
        return value

    def _at_modes(
        self,
        point: Point,
        omega: np.ndarray,
        precision: np.ndarray,
        frozen: Frozen | None,
        random: np.ndarray,
        slopes: bool,
    ) -> Value:
        _n, q = random.shape
        at = self.lanes(self.subjects, point, random, "all" if slopes else "random", frozen)
        first = at.curvature(q) + precision
        around: _Around | None = None
        if slopes or self.way.exact or not self.normal:
            around = self._around(point, omega, frozen, random, "all" if slopes else "random")
        if self.way.exact:
            assert around is not None
            first = around.exact + precision
        elif around is not None and not self.normal:
            first = first + around.rest
        sign, log = np.linalg.slogdet(first)
        each = at.value + np.sum((random @ precision) * random, axis=1) + np.linalg.slogdet(omega)[1] + log
        bad = at.bad | (sign <= 0) | ~np.isfinite(each)
        reasons = dict(failures(self.problem, at, self.subjects))
        for s in np.flatnonzero((sign <= 0) & ~at.bad):
            reasons[self.problem.data.labels[s]] = "the curvature at the mode is not positive definite"
        value = Value(np.where(bad, np.nan, each), random, first, reasons)
        value.exact = None if around is None else around.exact + precision
        if slopes and not self.way.exact:
            assert around is not None
            self._slopes(value, at, around, precision)
            hessian = _positive(around.exact + precision, first)
            place = np.array(self.d.free, int)
            self._anchor = _Anchor(point, precision, random, hessian, around.cross, place)
        return value

    # ---- differences along the random effects ---------------------------------------------------------------------------
    def _around(self, point: Point, omega: np.ndarray, frozen: Frozen | None, random: np.ndarray, want: str) -> _Around:
        """Second derivatives from central differences of exact slopes: all lanes of all directions in one batch."""
        n, q = random.shape
        h = self.spread(omega)
        lanes = np.tile(self.subjects, 2 * q)
        moved = np.concatenate([random + sign * h[k] * np.eye(q)[k] for k in range(q) for sign in (1, -1)])
        at = self.lanes(lanes, point, moved, want, frozen)
        slope = at.slope.reshape(-1, q, 2, n)
        second = (slope[:, :, 0] - slope[:, :, 1]) / (2 * h[:, None])  # (k, q, n): d2 l / d direction d effect
        rest = at.rest.reshape(-1, q, 2, n)
        other = (rest[:, :, 0] - rest[:, :, 1]) / (2 * h[:, None])
        exact = 0.5 * np.moveaxis(_symmetric(second[:q]), 2, 0)
        return _Around(at, h, exact, 0.5 * np.moveaxis(_symmetric(other[:q]), 2, 0), 0.5 * second[q:], n, q)

    def _slopes(self, value: Value, at: Conditional, around: _Around, precision: np.ndarray) -> None:
        """d(each)/d(fixed) and d(each)/d(blocks): explicitly, and through the modes, which move with the parameters."""
        _n, q = value.random.shape
        inverse = np.linalg.inv(value.curvature)
        hessian = around.exact + precision
        explicit = at.slope[q:].T.copy()  # d l / d fixed
        along = around.along(inverse, self.normal)  # (n, q): d log|M| / d effect
        explicit += around.by_fixed(at, inverse)
        pull = np.linalg.solve(hessian, along[:, :, None])[:, :, 0]  # H^-1 c
        value.by_fixed = explicit - np.einsum("nq,mqn->nm", pull, around.cross)
        u, w = value.random @ precision, pull @ precision
        slope = precision - u[:, :, None] * u[:, None, :] - precision @ inverse @ precision
        both = w[:, :, None] * u[:, None, :]
        slope = slope + 0.5 * (both + np.swapaxes(both, 1, 2))
        value.by_blocks = self.blocks.parts(slope)

    # ---- first order ----------------------------------------------------------------------------------------------------
    def _first_order(self, point: Point, omega: np.ndarray, precision: np.ndarray, slopes: bool) -> Value:
        n, q = len(self.subjects), self.d.n_random
        zero = np.zeros((n, q))
        at = self.lanes(self.subjects, point, zero, "all" if slopes else "random", None)
        flat = _without_spread(at, q)
        first = flat.curvature(q) + precision
        b = np.zeros((n, q))
        for rows in flat.rows:
            b += by_lane(rows.mean_slope[:q] * (rows.residual / rows.variance), rows.lane, n).T
        inverse = np.linalg.inv(first)
        mode = np.einsum("nij,nj->ni", inverse, b)
        each = at.value - np.sum(mode * b, axis=1) + np.linalg.slogdet(omega)[1] + np.linalg.slogdet(first)[1]
        value = Value(np.where(at.bad, np.nan, each), mode, first, failures(self.problem, at, self.subjects))
        if slopes:
            around = self._around(point, omega, None, zero, "all")
            value.by_fixed = at.slope[q:].T + around.by_fixed(flat, inverse) + around.first_order(flat, mode)
            u = mode @ precision
            slope = precision - precision @ inverse @ precision - u[:, :, None] * u[:, None, :]
            value.by_blocks = self.blocks.parts(slope)
        return value


@dataclass(frozen=True)
class _Anchor:
    """Modes at a point and how they move with it (the implicit function theorem)."""

    point: Point
    precision: np.ndarray
    random: np.ndarray
    hessian: np.ndarray
    cross: np.ndarray
    place: np.ndarray

    def modes(self, point: Point, omega: np.ndarray) -> np.ndarray:
        """(n, Q): where the modes of a point nearby are expected, at most a standard deviation away."""
        step = point.fixed[self.place] - self.point.fixed[self.place]
        old = np.linalg.inv(self.precision)
        pull = np.einsum("mqn,m->nq", self.cross, step)
        pull -= self.random @ self.precision @ (omega - old) @ self.precision
        moved = -np.linalg.solve(self.hessian, pull[:, :, None])[:, :, 0]
        most = np.sqrt(np.diag(omega))
        return self.random + np.clip(np.where(np.isfinite(moved), moved, 0.0), -most, most)


@dataclass(frozen=True)
class _Around:
    """Slopes a step away from the modes along each random effect, and what follows from them.

    ``exact`` (n, Q, Q) half the second derivatives of l, ``rest`` the same of terms that are not normal; ``cross``
    (M, Q, n) half the mixed derivatives by fixed effects.
    """

    at: Conditional
    h: np.ndarray
    exact: np.ndarray
    rest: np.ndarray
    cross: np.ndarray
    n: int
    q: int

    def along(self, inverse: np.ndarray, normal: bool) -> np.ndarray:
        """(n, Q): tr(M^-1 dM/d effect)."""
        curve = self.at.curvature(self.q).reshape(self.q, 2, self.n, self.q, self.q)
        change = (curve[:, 0] - curve[:, 1]) / (2 * self.h[:, None, None, None])
        return np.einsum("nij,knij->nk", inverse, change)

    def second(self, which: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """d2 f and d2 v of one part's rows, (k, Q, n_rows): by direction and random effect; whether v moves at all."""
        rows = self.at.rows[which]
        size = len(rows.lane) // (2 * self.q)
        f = rows.mean_slope.reshape(-1, self.q, 2, size)
        v = rows.variance_slope.reshape(-1, self.q, 2, size)
        step = 2 * self.h[:, None]
        moves = bool(rows.variance_slope[: self.q].any())
        return (f[:, :, 0] - f[:, :, 1]) / step, (v[:, :, 0] - v[:, :, 1]) / step, moves

    def by_fixed(self, at: Conditional, inverse: np.ndarray) -> np.ndarray:
        """(n, M): tr(M^-1 dM/d fixed) at fixed random effects."""
        q, total = self.q, np.zeros((self.n, self.at.slope.shape[0] - self.q))
        for which, rows in enumerate(at.rows):
            f2, v2, _ = self.second(which)
            own = inverse[rows.lane]
            f, v = rows.mean_slope[:q], rows.variance_slope[:q]
            af = np.einsum("rij,jr->ir", own, f)
            av = np.einsum("rij,jr->ir", own, v)
            w = 1.0 / rows.variance
            row = 2 * np.einsum("mqr,qr->mr", f2[q:], af) * w
            row -= np.sum(f * af, axis=0) * rows.variance_slope[q:] * w * w
            if v.any():
                row += np.einsum("mqr,qr->mr", v2[q:], av) * w * w
                row -= np.sum(v * av, axis=0) * rows.variance_slope[q:] * w**3
            total += by_lane(row, rows.lane, self.n).T
        return total

    def first_order(self, at: Conditional, mode: np.ndarray) -> np.ndarray:
        """(n, M): d(-b'M^-1 b)/d fixed."""
        q, total = self.q, np.zeros((self.n, self.at.slope.shape[0] - self.q))
        for which, rows in enumerate(at.rows):
            f2, _, _ = self.second(which)
            own, w = mode[rows.lane].T, 1.0 / rows.variance
            shift = np.einsum("qr,qr->r", rows.mean_slope[:q], own)  # f' e
            moved = np.einsum("mqr,qr->mr", f2[q:], own)
            # b = sum f' r / v, M = O^-1 + sum f' f'^T / v
            slope_b = moved * (rows.residual * w) - shift * rows.mean_slope[q:] * w
            slope_b -= shift * (rows.residual * w * w) * rows.variance_slope[q:]
            slope_m = 2 * moved * (shift * w) - shift * shift * w * w * rows.variance_slope[q:]
            total += by_lane(-2 * slope_b + slope_m, rows.lane, self.n).T
        return total


def _without_spread(at: Conditional, q: int) -> Conditional:
    """The same with variances that do not follow the random effects."""
    flat = []
    for rows in at.rows:
        slope = rows.variance_slope.copy()
        slope[:q] = 0.0
        flat.append(Rows(rows.lane, rows.residual, rows.variance, rows.mean_slope, slope))
    return Conditional(at.value, at.slope, at.rest, tuple(flat), at.bad, at.prediction)


def _symmetric(matrices: np.ndarray) -> np.ndarray:
    return 0.5 * (matrices + np.swapaxes(matrices, 0, 1))


def _positive(matrices: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Each matrix where it is positive definite and finite, else the other."""
    fine = np.isfinite(matrices).all(axis=(1, 2))
    least = np.linalg.eigvalsh(np.where(fine[:, None, None], matrices, np.eye(matrices.shape[1])))[:, 0]
    return np.where((fine & (least > 0))[:, None, None], matrices, otherwise)


def start_point(objective: Objective) -> Point:
    """The values at which a problem starts."""
    from respine.fit.population.covariances import starts

    return Point(objective.d.start, tuple(starts(objective.d)))


def evaluate_at(problem: PopulationProblem, methods: Sequence[str]) -> dict[str, float]:
    """Objectives at the start, by method."""
    predictor = Predictor(problem)
    totals = {}
    for method in methods:
        objective = Objective(problem, method, predictor=predictor)
        totals[method] = objective.at(start_point(objective)).total
    return totals
