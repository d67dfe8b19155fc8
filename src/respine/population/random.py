"""Random numbers that belong to the subject and the purpose, never to the worker, the batch or the arm.

Every (seed, purpose, column) has its own Philox 4x64 stream [1]; subject ``i`` owns its ``i``-th number. So the same
subject has the same numbers in every arm, at any core count, batch size or order, and a new column or purpose moves no
other.

[1] Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3. doi:10.1145/2063384.2063405
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import pairwise

import numpy as np

Array = np.ndarray
GAP = 4096  # subjects apart; numbers between nearer ones are drawn and left out, which is cheaper than a new start
KEPT = 4000  # numbers at most in a set that is kept


def uniforms(seed: int, purpose: str, first: int, last: int, width: int = 1) -> Array:
    """Numbers in the open interval (0, 1) for subjects ``first`` to ``last`` (excluded), ``(last - first, width)``.

    Raises ValueError for a negative subject or an empty purpose.
    """
    if first < 0 or last < first or width < 0 or not purpose:
        raise ValueError(
            f"subjects {first} to {last}, width {width}, purpose {purpose!r}: counts from 0 and a purpose are needed"
        )
    result = np.empty((last - first, width))
    for column in range(width):
        result[:, column] = _stream(seed, purpose, column, first, last)
    return result


def normals(seed: int, purpose: str, first: int, last: int, width: int = 1) -> Array:
    """Standard normal numbers for subjects ``first`` to ``last`` (excluded), ``(last - first, width)``."""
    if 0 <= first <= last and (last - first) * width <= KEPT:
        return _few(seed, purpose, first, last, width).copy()
    return inverse_normal(uniforms(seed, purpose, first, last, width))


@lru_cache(maxsize=2048)
def _few(seed: int, purpose: str, first: int, last: int, width: int) -> Array:
    """Small sets are asked for again with every parameter vector of a fit."""
    return inverse_normal(uniforms(seed, purpose, first, last, width))


def uniforms_of(seed: int, purpose: str, subjects: Array, width: int = 1) -> Array:
    """What ``uniforms`` gives these ``subjects`` (n,), ascending and with gaps between them, ``(n, width)``.

    Raises ValueError for subjects that do not ascend, a negative one or an empty purpose.
    """
    subjects = np.asarray(subjects, np.int64)
    if not len(subjects):
        return np.empty((0, width))
    steps = np.diff(subjects)
    if subjects[0] < 0 or not purpose or (steps <= 0).any():
        raise ValueError(f"purpose {purpose!r}: ascending subjects from 0 on and a purpose are needed")
    cuts = [0, *(np.flatnonzero(steps > GAP) + 1).tolist(), len(subjects)]
    result = np.empty((len(subjects), width))
    for column in range(width):
        key = _key(seed, purpose, column)
        for a, b in pairwise(cuts):
            first = int(subjects[a])
            result[a:b, column] = _numbers(key, first, int(subjects[b - 1]) + 1)[subjects[a:b] - first]
    return result


def normals_of(seed: int, purpose: str, subjects: Array, width: int = 1) -> Array:
    """What ``normals`` gives these ``subjects`` (n,), ascending and with gaps between them, ``(n, width)``."""
    if len(subjects) * width <= KEPT:
        return _few_of(seed, purpose, np.asarray(subjects, np.int64).tobytes(), width).copy()
    return inverse_normal(uniforms_of(seed, purpose, subjects, width))


@lru_cache(maxsize=2048)
def _few_of(seed: int, purpose: str, subjects: bytes, width: int) -> Array:
    return inverse_normal(uniforms_of(seed, purpose, np.frombuffer(subjects, np.int64), width))


def _stream(seed: int, purpose: str, column: int, first: int, last: int) -> Array:
    return _numbers(_key(seed, purpose, column), first, last)


def _key(seed: int, purpose: str, column: int) -> int:
    digest = hashlib.sha256(f"{seed}\n{column}\n{purpose}".encode()).digest()
    return int.from_bytes(digest[:16], "little")


def _numbers(key: int, first: int, last: int) -> Array:
    # one counter of Philox gives four numbers
    bits = np.random.Philox(key=key, counter=first // 4).random_raw(last - first + first % 4)[first % 4 :]
    return ((bits >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53  # never 0 or 1: the tails stay finite


# Wichura 1988, Algorithm AS 241 (PPND16), Applied Statistics 37:477. doi:10.2307/2347330. Relative error about 1e-16.
_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_MIDDLE = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def _ratio(pair: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    above, below = np.full_like(x, pair[0][-1]), np.full_like(x, pair[1][-1])
    for a, b in zip(reversed(pair[0][:-1]), reversed(pair[1][:-1]), strict=True):
        above *= x
        above += a
        below *= x
        below += b
    above /= below
    return above


def inverse_normal(p: Array) -> Array:
    """Quantiles of the standard normal for probabilities in (0, 1), any shape; -inf and inf at 0 and 1."""
    p = np.asarray(p, float)
    q = p - 0.5
    result = np.asarray(_ratio(_CENTRE, 0.180625 - q * q) * q)
    outside = ~(np.abs(q) <= 0.425)  # the tails are a seventh of all: only they take roots and logarithms
    tail = p[outside]
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.sqrt(-np.log(np.minimum(tail, 1 - tail)))
        result[outside] = np.sign(q[outside]) * np.where(r <= 5, _ratio(_MIDDLE, r - 1.6), _ratio(_TAIL, r - 5))
    result[p == 0] = -np.inf
    result[p == 1] = np.inf
    return result


def normal_probability(z: Array) -> Array:
    """Probability that a standard normal lies below ``z``, any shape; through the error function of the C library."""
    from math import erfc

    return 0.5 * np.asarray(np.frompyfunc(erfc, 1, 1)(-np.asarray(z, float) * 0.7071067811865476), float)
