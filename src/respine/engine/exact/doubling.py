"""Exponentials by scaling and squaring, for any matrix: once per subject, then every interval is put together from its parts.

With h so short that a Taylor series has all digits, E_k = e^(A h 2^k) and P_k = integral of e^(A s) from 0 to h 2^k follow
from E_(k-1) and P_(k-1) by products. An interval of m h + r is r by the series, then the bits of m. With
sensitivities, D and Q are the derivatives of E and P by each parameter, found with them: Najfeld I, Havel TF (1995)
Adv Appl Math 16:321.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

SHORT = 0.5  # of the norm of A times h
TERMS = 16
LEVELS = 64  # doublings kept at most


class Chain(NamedTuple):
    """Room for the doublings of one subject."""

    e: np.ndarray  # (LEVELS, n, n)
    p: np.ndarray
    d: np.ndarray  # (LEVELS, n_parameters, n, n)
    q: np.ndarray
    known: np.ndarray  # (2,) doublings found so far, and h
    y: np.ndarray  # (4, n) scratch
    s: np.ndarray  # (2, n_parameters, n)
    t: np.ndarray  # (4, n, n)


def chain(n: int, parameters: int) -> Chain:
    """Room for n states and as many parameters to differentiate by."""
    levels, by = (LEVELS, n, n), (LEVELS, parameters, n, n)
    return Chain(np.zeros(levels), np.zeros(levels), np.zeros(by), np.zeros(by), np.zeros(2), np.zeros((4, n)),
                 np.zeros((2, parameters, n)), np.zeros((4, n, n)))  # fmt: skip


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def begin_chain(c: Chain, a: np.ndarray, by: np.ndarray) -> None:
    """Start anew with A (n, n) and its derivatives (n_parameters, n, n)."""
    n = a.shape[0]
    norm = 0.0
    for j in range(n):
        column = 0.0
        for i in range(n):
            column += abs(a[i, j])
        norm = max(norm, column)
    c.known[0] = 1.0
    c.known[1] = h = SHORT / norm if norm > 1e-290 else 1e290
    for k in range(-1, by.shape[0]):  # one call: two would be compiled twice
        derived, of = k >= 0, max(k, 0)
        _series(
            c,
            a,
            by[of] if derived else a,
            h,
            derived,
            c.d[0, of] if derived else c.e[0],
            c.q[0, of] if derived else c.p[0],
        )


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _series(c: Chain, a: np.ndarray, by: np.ndarray, h: float, derived: bool, e: np.ndarray, p: np.ndarray) -> None:
    """e^(A h) and its integral by their series; or, ``derived``, their derivatives where ``by`` is that of A."""
    n = a.shape[0]
    t, new, u, grown = c.t[0], c.t[1], c.t[2], c.t[3]
    for i in range(n):
        for j in range(n):
            t[i, j] = 1.0 if i == j else 0.0
            u[i, j] = 0.0
            e[i, j] = 0.0 if derived else t[i, j]
            p[i, j] = h * e[i, j]
    for k in range(1, TERMS + 1):
        for i in range(n):
            for j in range(n):
                x, z = 0.0, 0.0
                for m in range(n):
                    x += a[i, m] * t[m, j]
                    if derived:
                        z += by[i, m] * t[m, j] + a[i, m] * u[m, j]
                new[i, j] = x * h / k
                grown[i, j] = z * h / k
        for i in range(n):
            for j in range(n):
                t[i, j], u[i, j] = new[i, j], grown[i, j]
                x = u[i, j] if derived else t[i, j]
                e[i, j] += x
                p[i, j] += x * h / (k + 1)


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _double(c: Chain) -> None:
    """The next doubling."""
    k, n = np.int64(c.known[0]), c.e.shape[1]
    e, p, new, whole = c.e[k - 1], c.p[k - 1], c.e[k], c.p[k]
    for i in range(n):
        for j in range(n):
            x, z = 0.0, p[i, j]
            for m in range(n):
                x += e[i, m] * e[m, j]
                z += e[i, m] * p[m, j]
            new[i, j], whole[i, j] = x, z
    for w in range(c.d.shape[1]):
        d, q = c.d[k - 1, w], c.q[k - 1, w]
        for i in range(n):
            for j in range(n):
                x, z = 0.0, q[i, j]
                for m in range(n):
                    x += d[i, m] * e[m, j] + e[i, m] * d[m, j]
                    z += d[i, m] * p[m, j] + e[i, m] * q[m, j]
                c.d[k, w, i, j], c.q[k, w, i, j] = x, z
    c.known[0] = k + 1


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def pass_time(
    c: Chain,
    a: np.ndarray,  # (n, n)
    b: np.ndarray,  # (n,) what flows in
    by: np.ndarray,  # (n_parameters, n, n)
    b_by: np.ndarray,  # (n_parameters, n)
    time: float,
    y: np.ndarray,  # (n,) the state: changed
    s: np.ndarray,  # (n_parameters, n) its derivatives
) -> bool:
    """The state a time later; False where the time is too long against the equations."""
    h = c.known[1]
    whole = np.floor(time / h)
    if not whole < 2.0**62:
        return False
    _short(c, a, b, by, b_by, max(time - whole * h, 0.0), y, s)
    n, bits, k = y.shape[0], np.int64(whole), 0
    new, slopes = c.y[0], c.s[0]
    while bits > 0:
        if k == np.int64(c.known[0]):
            _double(c)
        if bits & 1:
            e, p = c.e[k], c.p[k]
            for i in range(n):
                x = 0.0
                for j in range(n):
                    x += e[i, j] * y[j] + p[i, j] * b[j]
                new[i] = x
            for w in range(s.shape[0]):
                for i in range(n):
                    x = 0.0
                    for j in range(n):
                        x += e[i, j] * s[w, j] + c.d[k, w, i, j] * y[j] + p[i, j] * b_by[w, j] + c.q[k, w, i, j] * b[j]
                    slopes[w, i] = x
            for i in range(n):
                y[i] = new[i]
                for w in range(s.shape[0]):
                    s[w, i] = slopes[w, i]
        bits >>= 1
        k += 1
    return True


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _short(
    c: Chain, a: np.ndarray, b: np.ndarray, by: np.ndarray, b_by: np.ndarray, time: float, y: np.ndarray, s: np.ndarray
) -> None:
    """The state a short time later, by its Taylor series."""
    if time <= 0.0:
        return
    n, count = y.shape[0], s.shape[0]
    term, new, slope, following = c.y[0], c.y[1], c.s[0], c.s[1]
    for i in range(n):
        term[i] = y[i]
        for w in range(count):
            slope[w, i] = s[w, i]
    for k in range(1, TERMS + 1):
        factor = time / k
        for i in range(n):
            x = b[i] if k == 1 else 0.0
            for j in range(n):
                x += a[i, j] * term[j]
            new[i] = factor * x
        for w in range(count):
            for i in range(n):
                x = b_by[w, i] if k == 1 else 0.0
                for j in range(n):
                    x += a[i, j] * slope[w, j] + by[w, i, j] * term[j]
                following[w, i] = factor * x
        for i in range(n):
            term[i] = new[i]
            y[i] += term[i]
            for w in range(count):
                slope[w, i] = following[w, i]
                s[w, i] += slope[w, i]


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def over(c: Chain, a: np.ndarray, by: np.ndarray, time: float, e: np.ndarray, p: np.ndarray) -> bool:
    """e^(A t) and its integral as matrices, column by column."""
    n = a.shape[0]
    y, b, none, no_slopes = c.y[2], c.y[3], by[:0], c.s[0, :0]
    for j in range(n):
        for inflow in range(2):
            for i in range(n):
                y[i] = b[i] = 0.0
            (b if inflow else y)[j] = 1.0
            if not pass_time(c, a, b, none, no_slopes, time, y, no_slopes):
                return False
            for i in range(n):
                (p if inflow else e)[i, j] = y[i]
    return True
