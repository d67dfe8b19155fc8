"""Real eigenvalues of compartment systems in closed form, one subject at a time.

The states fall into strongly connected blocks, upstream before downstream. A block whose exchanges can be scaled to a
symmetric matrix (any tree of compartments: mammillary, catenary) has real eigenvalues and orthogonal eigenvectors, found
by Jacobi rotations (one for two compartments); from block to block they go on by division. Where two eigenvalues that feed
each other lie so near that digits would be lost, this says so and the subject is solved by scaling and squaring.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from respine.engine.exact.exponential import exponential

MOST_LOST = 1e3  # by how much rounding may be enlarged
SYMMETRIC = 1e-12  # share by which a scaled exchange may differ from its return
SWEEPS = 30


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def decompose(
    a: np.ndarray,  # (n, n)
    members: np.ndarray,  # the states, block by block
    first: np.ndarray,  # where each block begins among them, and the end
    roots: np.ndarray,  # (n,) the eigenvalues, in the order of members: the result
    v: np.ndarray,  # (n, n) eigenvectors as columns
    w: np.ndarray,  # ... their inverse
    s: np.ndarray,  # (n, n) scratch
    q: np.ndarray,
    scale: np.ndarray,  # (n,)
) -> bool:
    """Whether a = v diag(roots) w was found without losing digits."""
    n = a.shape[0]
    for i in range(n):
        for j in range(n):
            v[i, j] = 0.0
            w[i, j] = 0.0
    for c in range(first.shape[0] - 1):
        begin, end = first[c], first[c + 1]
        if end - begin == 1:
            state = members[begin]
            roots[begin] = a[state, state]
            v[state, begin] = 1.0
            w[begin, state] = 1.0
        elif not _symmetric_block(a, members, begin, end, roots, v, w, s, q, scale):
            return False
        if begin > 0 and not _downstream(a, members, begin, end, roots, v, w):
            return False
    return _lost(roots, v, w, s) <= MOST_LOST


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _symmetric_block(
    a: np.ndarray, members: np.ndarray, begin: int, end: int, roots: np.ndarray, v: np.ndarray, w: np.ndarray,
    s: np.ndarray, q: np.ndarray, scale: np.ndarray,
) -> bool:  # fmt: skip
    """Eigenvalues and vectors of one block; False where it cannot be made symmetric."""
    for k in range(begin, end):
        scale[k] = 0.0
    for root in range(begin, end):  # scale each connected part from its first state on
        if scale[root] > 0.0:
            continue
        scale[root] = 1.0
        grown = True
        while grown:
            grown = False
            for k in range(begin, end):
                if scale[k] > 0.0:
                    for j in range(begin, end):
                        there, back = a[members[j], members[k]], a[members[k], members[j]]
                        if scale[j] == 0.0 and there * back > 0.0:
                            scale[j] = scale[k] * np.sqrt(there / back)
                            grown = True
    m = end - begin
    for i in range(m):
        for j in range(m):
            s[i, j] = a[members[begin + i], members[begin + j]] * scale[begin + j] / scale[begin + i]
            q[i, j] = 1.0 if i == j else 0.0
    for i in range(m):
        for j in range(i):
            if not abs(s[i, j] - s[j, i]) <= SYMMETRIC * (abs(s[i, j]) + abs(s[j, i])):
                return False
            s[i, j] = s[j, i]
    if not _rotate(s, q, m):
        return False
    for k in range(m):
        roots[begin + k] = s[k, k]
        for i in range(m):
            v[members[begin + i], begin + k] = scale[begin + i] * q[i, k]
            w[begin + k, members[begin + i]] = q[i, k] / scale[begin + i]
    return True


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _rotate(s: np.ndarray, q: np.ndarray, m: int) -> bool:
    """Jacobi rotations until a symmetric matrix is diagonal: Golub GH, Van Loan CF, Matrix Computations, 8.5."""
    for _ in range(SWEEPS):
        left = False
        for i in range(m - 1):
            for j in range(i + 1, m):
                if abs(s[i, j]) <= 1e-17 * np.sqrt(abs(s[i, i] * s[j, j])):
                    s[i, j] = s[j, i] = 0.0
                    continue
                left = True
                turn = (s[j, j] - s[i, i]) / (2.0 * s[i, j])
                t = (1.0 if turn >= 0.0 else -1.0) / (abs(turn) + np.sqrt(1.0 + turn * turn))
                cosine = 1.0 / np.sqrt(1.0 + t * t)
                sine = t * cosine
                s[i, i] -= t * s[i, j]
                s[j, j] += t * s[i, j]
                s[i, j] = s[j, i] = 0.0
                for k in range(m):
                    if k not in (i, j):
                        x, y = s[k, i], s[k, j]
                        s[k, i] = s[i, k] = cosine * x - sine * y
                        s[k, j] = s[j, k] = sine * x + cosine * y
                    x, y = q[k, i], q[k, j]
                    q[k, i], q[k, j] = cosine * x - sine * y, sine * x + cosine * y
        if not left:
            return True
    return False


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _downstream(
    a: np.ndarray, members: np.ndarray, begin: int, end: int, roots: np.ndarray, v: np.ndarray, w: np.ndarray
) -> bool:
    """How the eigenvectors of the blocks before go on in this one; False where two eigenvalues meet."""
    for j in range(begin):
        for k in range(begin, end):
            fed = 0.0  # of the mode k by the mode j
            for i in range(begin, end):
                row, into = members[i], 0.0
                for u in range(begin):
                    into += a[row, members[u]] * v[members[u], j]
                fed += w[k, row] * into
            if fed == 0.0:
                continue
            gap = roots[j] - roots[k]
            if gap == 0.0:
                return False
            share = fed / gap
            for i in range(begin, end):
                v[members[i], j] += v[members[i], k] * share
            for u in range(begin):
                w[k, members[u]] -= share * w[j, members[u]]
    return True


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _lost(roots: np.ndarray, v: np.ndarray, w: np.ndarray, left: np.ndarray) -> float:
    """By how much rounding is enlarged at most: the terms of each response against its size at the times of the modes."""
    n = roots.shape[0]
    for u in range(n):
        for k in range(n):
            left[u, k] = exponential(-roots[k] / roots[u]) if roots[u] < 0.0 else 1.0
    worst = 1.0
    for i in range(n):
        for j in range(n):
            terms = 0.0
            for k in range(n):
                terms += abs(v[i, k] * w[k, j])
            largest = 1.0 if i == j else 0.0
            if terms <= worst * largest:
                continue
            for u in range(n):
                total = 0.0
                for k in range(n):
                    total += v[i, k] * w[k, j] * left[u, k]
                largest = max(largest, abs(total))
            worst = max(worst, terms / largest if largest > 0.0 else np.inf)
    return worst
