"""The state x with which a dosing interval begins when it no longer changes: (I - e^(A tau)) x = b.

``b`` is what one interval leaves of nothing. I - e^(A tau) = -A times the integral of e^(A s) over the interval, which loses
nothing however slow A is; by eigenvalues it is -expm1(root tau).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from respine.engine.exact.doubling import Chain, over
from respine.engine.status import Status

SETTLED = 1 - 1e-13  # largest eigenvalue of what an interval leaves, above which nothing is eliminated
SQUARINGS = 50
OK, NO_STEADY_STATE = int(Status.OK), int(Status.NO_STEADY_STATE)
DECLINED = 100  # a subject that is to be solved in steps

_part = njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@_part
def steady_by_modes(
    roots: np.ndarray, v: np.ndarray, w: np.ndarray, interval: float, y: np.ndarray, start: np.ndarray, z: np.ndarray
) -> int:
    """``y`` (n,): b on entry, then x; what nothing feeds goes on from ``start``."""
    n = y.shape[0]
    for q in range(n):
        z[q] = 0.0
        fed, own = 0.0, 0.0
        for j in range(n):
            fed += w[q, j] * y[j]
            own += w[q, j] * start[j]
        left = np.exp(roots[q] * interval)
        if fed != 0.0:
            if not left <= SETTLED:
                return NO_STEADY_STATE
            z[q] = -fed / np.expm1(roots[q] * interval)
        elif own != 0.0 and left > SETTLED:
            if roots[q] != 0.0:
                return NO_STEADY_STATE
            z[q] = own
    for i in range(n):
        total = 0.0
        for q in range(n):
            total += v[i, q] * z[q]
        y[i] = total
    return OK


@_part
def steady_by_chain(
    c: Chain, a: np.ndarray, by: np.ndarray, interval: float, y: np.ndarray, start: np.ndarray, room: np.ndarray
) -> int:
    """The same by the doublings of A; `DECLINED` where what nothing feeds goes its own way from its start.

    ``room``: (5, n, n) scratch.
    """
    n = y.shape[0]
    e, p, left, reached = room[0], room[1], room[2], room[3, 0]
    for i in range(n):
        reached[i] = 1.0 if y[i] != 0.0 else 0.0
    for _ in range(n):
        for i in range(n):
            for j in range(n):
                if reached[j] > 0.0 and a[i, j] != 0.0:
                    reached[i] = 1.0
    for i in range(n):
        if reached[i] == 0.0 and start[i] != 0.0:
            return DECLINED
    if not over(c, a, by, interval, e, p):
        return NO_STEADY_STATE
    for i in range(n):
        if reached[i] == 0.0:
            for j in range(n):
                e[i, j] = e[j, i] = 0.0
    if not _fades(e, room[4]):
        return NO_STEADY_STATE
    for i in range(n):
        for j in range(n):
            left[i, j] = 0.0
            if reached[i] * reached[j] > 0.0:
                for m in range(n):
                    left[i, j] -= a[i, m] * p[m, j] * reached[m]
            elif i == j:
                left[i, j] = 1.0
        if reached[i] == 0.0:
            y[i] = 0.0
    return OK if solve_left(room, y) else NO_STEADY_STATE


@_part
def _fades(x: np.ndarray, new: np.ndarray) -> bool:
    """Whether the powers of a matrix go to zero; it is lost."""
    n = x.shape[0]
    for _ in range(SQUARINGS):
        size = 0.0
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += abs(x[i, j])
            size = max(size, total)
        if size < 0.5:
            return True
        if not size < 1e150:
            return False
        for i in range(n):
            for j in range(n):
                total = 0.0
                for m in range(n):
                    total += x[i, m] * x[m, j]
                new[i, j] = total
        for i in range(n):
            for j in range(n):
                x[i, j] = new[i, j]
    return False


@_part
def solve_left(room: np.ndarray, y: np.ndarray) -> bool:
    """Solve with the matrix that `steady_by_chain` left in ``room``, by elimination with pivots. False where it is singular."""
    n = y.shape[0]
    left = room[3]
    for i in range(n):
        for j in range(n):
            left[i, j] = room[2, i, j]
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(left[i, k]) > abs(left[best, k]):
                best = i
        if not abs(left[best, k]) > 0.0:
            return False
        if best != k:
            for j in range(n):
                left[k, j], left[best, j] = left[best, j], left[k, j]
            y[k], y[best] = y[best], y[k]
        for i in range(k + 1, n):
            share = left[i, k] / left[k, k]
            if share != 0.0:
                for j in range(k, n):
                    left[i, j] -= share * left[k, j]
                y[i] -= share * y[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            y[k] -= left[k, j] * y[j]
        y[k] /= left[k, k]
    for i in range(n):  # noqa: SIM110 - numba
        if not np.isfinite(y[i]):
            return False
    return True
