"""What is wrong with an answer, by name: collapsed effects, directions the data say nothing of, exchanged rates,
wrong starts.

A fit that ends at such a point is no answer until somebody has looked; each finding says what was seen and what to
do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from respine.fit.population.estimate import Estimate, walk
from respine.fit.population.quasi_newton import Search
from respine.fit.population.uncertainty import Uncertainty
from respine.model.expression import evaluate, mentions_time, symbols
from respine.model.system import System

COLLAPSED = 1e-3  # of the standard deviation at the start, or of 1 where that is less
TIGHT = 0.999  # correlation of effects
FLAT = 0.05  # change of the objective that says nothing
WALK = 0.2  # how far a flat direction is followed, in x (log scales: 20 %)
LOOSE = 1e-2  # eigenvalues of the scaled curvature that are looked into
NEAR = 3.84  # objectives nearer than this are not told apart by the data


@dataclass(frozen=True)
class Finding:
    """``kind`` is one of the words of `KINDS`; ``names`` the parameters concerned; ``fatal``: the estimates are no
    answer.
    """

    kind: str
    names: tuple[str, ...]
    why: str
    cure: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.kind}: {self.why} {self.cure}"


KINDS = (
    "failed", "not-converged", "slopes", "mode", "collapsed", "correlation", "unidentifiable", "no-influence", "flip-flop",
    "several-answers", "bound",
)  # fmt: skip


def look(estimate: Estimate, certain: Uncertainty | None) -> list[Finding]:
    """All findings about the end of a search; ``certain`` may be missing."""
    findings = [
        Finding("failed", (label,), f"Subject {label}: {why}.", "Correct the record, the model or the start.")
        for label, why in list(estimate.value.failures.items())[:20]
    ]
    evaluated = estimate.objective.problem.estimation.max_evaluations == 0
    if not estimate.converged and not evaluated:
        findings.append(Finding("not-converged", (), f"The search did not end at a minimum: {estimate.why}.",
                                "Start elsewhere, allow more evaluations, or simplify the model."))  # fmt: skip
    for check in estimate.checks:
        if not check.agrees:
            seen = f"At the {check.where} the slope is {check.exact:.4g}"
            why = f"{seen} and differences of the objective say {check.difference:.4g}."
            findings.append(
                Finding("slopes", (), why, "The objective has jumps or kinks there; do not trust the estimates.")
            )
    if estimate.value.unsettled:
        labels = ", ".join(estimate.value.unsettled[:8])
        why = f"The random effects of subjects {labels} were not found exactly."
        findings.append(Finding("mode", estimate.value.unsettled, why,
                                "Look at their data and the model's prediction for them.", fatal=False))  # fmt: skip
    if evaluated or not np.isfinite(estimate.total):
        return findings
    findings += _effects(estimate)
    findings += _bounds(estimate)
    if certain is not None and np.isfinite(certain.curvature).all() and len(certain.curvature):
        findings += _flat(estimate, certain.curvature)
    findings += _several(estimate)
    return findings


def _effects(estimate: Estimate) -> list[Finding]:
    """Variances that went to zero, correlations that went to one."""
    findings = []
    blocks, begin = estimate.objective.blocks, estimate.outer.begin
    for k, names in enumerate(blocks.names):
        if blocks.fixed[k]:
            continue
        sd, was = np.sqrt(np.diag(estimate.point.blocks[k])), np.sqrt(np.diag(begin.blocks[k]))
        for name, now, before in zip(names, sd, was, strict=True):
            if now < COLLAPSED * min(before, 1.0) or now < 1e-5:
                why = f"The variance of {name} went to zero ({now**2:.3g}); the data show no such variability."
                findings.append(Finding("collapsed", (name,), why, f"Remove {name} (variance 0) and fit again."))
        for i in range(len(names)):
            for j in range(i):
                r = estimate.point.blocks[k][i, j] / (sd[i] * sd[j])
                if abs(r) > TIGHT:
                    why = f"The correlation of {names[j]} and {names[i]} is {r:+.4f}: they are one effect."
                    cure = "Use one effect for both, or make them independent."
                    findings.append(Finding("correlation", (names[j], names[i]), why, cure))
    return findings


def _bounds(estimate: Estimate) -> list[Finding]:
    findings = []
    for k, theta in estimate.vector.thetas:
        value = estimate.point.fixed[k]
        for bound in (theta.lower, theta.upper):
            size = max(abs(theta.start - bound), abs(bound), 1e-12) if np.isfinite(bound) else np.inf
            if np.isfinite(bound) and abs(value - bound) < 1e-4 * size:
                why = f"{theta.name} ended at its bound {bound:g}."
                findings.append(
                    Finding("bound", (theta.name,), why, "Fix it there, move the bound, or simplify the model.")
                )
    return findings


def _flat(estimate: Estimate, second: np.ndarray) -> list[Finding]:
    """Directions along which the objective hardly changes, checked by going there."""
    size = np.sqrt(np.maximum(np.abs(np.diag(second)), 1e-300))
    names = estimate.vector.names
    findings = []
    silent, logs = [], _logs(estimate)
    for k, own in enumerate(size):
        far = WALK * max(1.0, abs(estimate.x[k]))  # on its way to an end of its scale a parameter is far from 0
        if own * far < (np.sqrt(FLAT) if logs[k] else 1e-3) and _change(estimate, np.eye(len(names))[k], far) < FLAT:
            silent.append(k)
            why = f"The objective does not depend on {names[k]} near {estimate.vector.natural(estimate.point)[k]:.4g}."
            findings.append(Finding("no-influence", (names[k],), why, "Fix it, or use data that tell of it."))
    scaled = second / np.outer(size, size)
    values, vectors = np.linalg.eigh(scaled)
    units = np.where(logs, 1.0, np.maximum(np.abs(estimate.x), np.abs(estimate.vector.pack(estimate.outer.begin))))
    units = np.where(units > 0, units, 1.0)
    for value, vector in zip(values, vectors.T, strict=True):
        if value > LOOSE:
            continue
        direction = vector / size
        share = np.abs(direction) / units
        confounded = [names[k] for k in np.flatnonzero(share > 0.1 * share.max()) if k not in silent]
        far = WALK * float(np.max(np.abs(direction)) / share.max())
        # a valley that bends rises with the fourth power of the way, a bowl with the second
        if len(confounded) > 1 and (
            _change(estimate, direction, far) < FLAT or _change(estimate, direction, far / 10) < FLAT / 400
        ):
            why = f"{' and '.join(confounded)} cannot be told apart: the objective stays the same when they change together."
            findings.append(
                Finding("unidentifiable", tuple(confounded), why, "Fix one of them, or write their combination.")
            )
    return findings


def _logs(estimate: Estimate) -> np.ndarray:
    """(n,) whether an entry of x has a natural unit of its own: all but fixed effects without a bound."""
    count = len(estimate.vector.thetas)
    free = [not (np.isfinite(t.lower) or np.isfinite(t.upper) or t.scale == "log") for _, t in estimate.vector.thetas]
    return np.array([not own for own in free] + [True] * (estimate.vector.size - count))


def _change(estimate: Estimate, direction: np.ndarray, far: float = WALK) -> float:
    """The larger rise of the objective on both sides, ``far`` away in x."""
    scaled = direction * far / max(float(np.max(np.abs(direction))), 1e-300)
    values = [estimate.outer.value(estimate.x + sign * scaled) for sign in (1, -1)]
    rises = [value - estimate.total for value in values]
    return float(np.max(np.where(np.isfinite(rises), rises, np.inf)))


def _several(estimate: Estimate) -> list[Finding]:
    """Starts that ended elsewhere at an objective as good."""
    findings = []
    best = estimate.vector.natural(estimate.point)
    for number, other in enumerate(estimate.searches):
        if not (other.converged and other.value - estimate.total < NEAR):
            continue
        values = estimate.vector.natural(estimate.outer.point(other.x))
        apart = np.abs(values - best) > 0.1 * np.maximum(np.abs(values), np.abs(best))
        away = np.max(np.abs(other.x - estimate.x), initial=0.0) > 0.3
        if apart.any() and away and other.value - estimate.total < 0.1 * NEAR:
            names = [estimate.vector.names[k] for k in np.flatnonzero(apart)]
            text = ", ".join(f"{n} {best[estimate.vector.names.index(n)]:.4g} or {values[estimate.vector.names.index(n)]:.4g}"
                             for n in names[:4])  # fmt: skip
            seen = f"Start {number + 1} ended elsewhere with the objective {other.value:.3f}"
            why = f"{seen} ({estimate.total:.3f} is the best): {text}."
            findings.append(
                Finding("several-answers", tuple(names), why, "Choose by what is known, with bounds or a prior.")
            )
    return findings


# ---- flip-flop ---------------------------------------------------------------------------------------------------------
def rates_of(estimate: Estimate, x: np.ndarray) -> list[tuple[str, float, float]]:
    """(state, its absorption rate, the slowest rate of the rest) of the typical subject; none where the model is not
    linear.
    """
    problem = estimate.objective.problem
    system = problem.system
    if system is None:
        return []
    dosed = {state for state in problem.dose_state if state}
    matrix = _matrix(estimate, system, x)
    if matrix is None:
        return []
    states = list(system.states)
    result = []
    for state in states:
        k = states.index(state)
        inflow = np.delete(matrix[k], k)
        feeds = np.delete(matrix[:, k], k)
        if state not in dosed or np.any(inflow != 0) or not np.any(feeds > 0):
            continue
        rest = np.delete(np.delete(matrix, k, axis=0), k, axis=1)
        moving = [abs(v.real) for v in np.linalg.eigvals(rest) if abs(v.real) > 1e-12]
        if moving and -matrix[k, k] > 0:
            result.append((state, float(-matrix[k, k]), float(min(moving))))
    return result


def _matrix(estimate: Estimate, system: System, x: np.ndarray) -> np.ndarray | None:
    """d(rates)/d(states) of the typical subject, None where it depends on the states."""
    objective, problem = estimate.objective, estimate.objective.problem
    if any(map(mentions_time, (*system.rates.values(), *system.rules.values()))):
        return None
    fixed = estimate.outer.point(x).fixed
    layout = objective.predictor.layout(np.array([0]))
    zero = np.zeros((1, objective.d.n_random))
    lane = objective.predictor.lane_values(layout, fixed, zero, "nothing")
    row = objective.predictor.record_values(layout, np.array([0]), lane, zero, "nothing")
    values = {**system.parameters, **system.inputs}
    values |= {name: float(np.ravel(value.value)[0]) for name, value in row.items()}
    states, found_matrices = list(system.states), []

    def rates(at: np.ndarray) -> np.ndarray:
        known = {**values, **dict(zip(states, at, strict=True))}
        for name, rule in system.rules.items():
            if name not in problem.individual and all(s in known for s in symbols(rule)):
                known[name] = float(evaluate(rule, known, 0.0))
        return np.array([float(evaluate(system.rates[s], known, 0.0)) for s in states])

    for base in (np.ones(len(states)), 3.0 * np.ones(len(states))):
        columns = [rates(base + e) - rates(base) for e in np.eye(len(states))]
        found_matrices.append(np.stack(columns, axis=1))
    first, second = found_matrices
    return first if np.allclose(first, second, rtol=1e-6, atol=1e-9) and np.isfinite(first).all() else None


def flip_flop(estimate: Estimate) -> tuple[list[Finding], Search | None]:
    """Whether absorption came out slower than elimination; then the fit is begun again from the exchanged rates.

    Returns the findings, and the other search where it ended better.
    """
    hit = next(((s, a, e) for s, a, e in rates_of(estimate, estimate.x) if a < e), None)
    if hit is None:
        return [], None
    state, absorption, elimination = hit
    start = _exchanged(estimate, state, elimination, absorption)
    other = walk(estimate.outer, start, None, None) if start is not None else None
    seen = f"Absorption from {state} ({absorption:.4g}) is slower than elimination ({elimination:.4g}): flip-flop."
    if other is None or not np.isfinite(other.value):
        why = f"{seen} The same curves arise with the two exchanged."
        return [Finding("flip-flop", (state,), why, "Start from a fast absorption, or bind it from below.")], None
    if other.value < estimate.total - 1e-3:
        change = f"the objective is {other.value:.4f} instead of {estimate.total:.4f}"
        why = f"{seen} With the two exchanged {change}; that answer is given."
        return [Finding("flip-flop", (state,), why, "Start from a fast absorption.", fatal=False)], other
    why = f"{seen} With the two exchanged the objective is {other.value:.4f} instead of {estimate.total:.4f}."
    cure = "Decide by what is known (intravenous data, the half-life): bind the rates, or accept: [flip-flop]."
    return [Finding("flip-flop", (state,), why, cure)], None


def _exchanged(estimate: Estimate, state: str, absorption: float, elimination: float) -> np.ndarray | None:
    """x with the rates of the typical subject as wished for, as near as possible in the fixed effects."""
    x, count = estimate.x.copy(), len(estimate.vector.thetas)
    x[count:] = estimate.vector.pack(estimate.outer.begin)[count:]  # variances may have collapsed on the way
    wanted = np.log([absorption, elimination])

    def now(at: np.ndarray) -> np.ndarray | None:
        pair = next(((a, e) for s, a, e in rates_of(estimate, at) if s == state), None)
        return None if pair is None else np.log(pair)

    for _ in range(25):
        here = now(x)
        if here is None:
            return None
        away = wanted - here
        if np.max(np.abs(away)) < 1e-6:
            return x
        slopes: list[Sequence[float]] = []
        for k in range(count):
            step = np.zeros(len(x))
            step[k] = 1e-5
            there = now(x + step)
            slopes.append([0.0, 0.0] if there is None else list((there - here) / 1e-5))
        move = np.linalg.lstsq(np.array(slopes).T, away, rcond=None)[0]
        x[:count] += move * min(1.0, 1.0 / max(float(np.max(np.abs(move))), 1e-12))
    return None
