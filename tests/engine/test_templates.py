"""Elementary functions as spelled out for both kinds of processor, computed by numpy: AVX-512 is judged on any machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from respine.engine.codegen.functions import templates
from respine.engine.codegen.target import Target

HOST = {"cpu": "generic", "features": "", "triple": "x86_64-unknown-linux-gnu"}


def target(precision: str, avx512: bool) -> Target:
    return Target(precision, (8 if precision == "float64" else 16) // (1 if avx512 else 2), avx512, **HOST)


def spelled(name: str, of: Target, x: np.ndarray) -> np.ndarray:
    """The function's value, operation by operation in the target's own precision."""
    kind = np.dtype(of.dtype).type
    signed, unsigned = (np.int64, np.uint64) if of.double else (np.int32, np.uint32)
    known: list[np.ndarray] = []
    do: dict[str, Callable] = {
        "const": lambda v: np.full(x.shape, kind(float(v))),
        "add": lambda a, b: known[a] + known[b],
        "sub": lambda a, b: known[a] - known[b],
        "mul": lambda a, b: known[a] * known[b],
        "div": lambda a, b: known[a] / known[b],
        "fma": lambda a, b, c: (known[a].astype(np.longdouble) * known[b] + known[c]).astype(kind),
        "min": lambda a, b: np.where(known[a] < known[b], known[a], known[b]),
        "max": lambda a, b: np.where(known[a] > known[b], known[a], known[b]),
        "lt": lambda a, b: known[a] < known[b],
        "select": lambda m, a, b: np.where(known[m], known[a], known[b]),
        "as_bits": lambda a: known[a].view(signed),
        "as_number": lambda a: known[a].view(kind),
        "integer_add": lambda a, n: known[a] + signed(n),
        "bit_and": lambda a, n: known[a] & signed(n),
        "bit_or": lambda a, n: known[a] | signed(n),
        "bit_xor_values": lambda a, b: known[a] ^ known[b],
        "shift_left": lambda a, n: known[a] << signed(n),
        "shift_right": lambda a, n: (known[a].view(unsigned) >> unsigned(n)).view(signed),
        "table": lambda index, *values: np.array(values, kind)[known[index] & 15],
        "exponent": lambda a: np.floor(np.log2(np.abs(known[a]))).astype(kind),
        "mantissa": lambda a: (np.frexp(known[a])[0] * 2).astype(kind),
        "scale": lambda a, b: np.ldexp(known[a], np.floor(known[b]).astype(int)).astype(kind),
    }
    for operation, *a in templates(of)[name].operations:
        known.append(x if operation == "argument" else do[operation](*a))
    return known[-1]


@pytest.mark.parametrize("avx512", [True, False])
@pytest.mark.parametrize("precision,digits", [("float64", 1e-15), ("float32", 4e-7)])
def test_functions_reach_the_digits_of_their_numbers(precision, digits, avx512):
    of, random = target(precision, avx512), np.random.default_rng(3)
    wide = random.uniform(-50, 50, 100_000).astype(of.dtype)
    exact = wide.astype(np.longdouble)
    assert np.max(np.abs(spelled("exp2", of, wide) / np.exp2(exact) - 1)) < digits
    for name in ("sin", "cos"):
        assert np.max(np.abs(spelled(name, of, wide) - getattr(np, name)(exact))) < digits
    for x in (np.exp2(wide), random.uniform(0.5, 2, 100_000).astype(of.dtype)):
        x = x[np.abs(np.frexp(x)[0] - 0.5) > 1e-6].astype(of.dtype)  # numpy's own exponent of a power of two may be off
        want = np.log2(x.astype(np.longdouble))
        assert np.max(np.abs(spelled("log2", of, x) - want) / np.maximum(1, np.abs(want))) < digits
