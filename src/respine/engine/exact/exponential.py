"""e^x in plain arithmetic, so that a loop over it becomes vector code: a call to the library's would keep it from that.

x = k ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor series, 2^k by adding k to the exponent. The error is below 2e-16 of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # their sum is ln 2; the first ends in zeros
TO_WHOLE = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to a whole number, which its last bits then hold
LEAST, MOST = -708.0, 709.0


@intrinsic
def add_to_exponent(typing_context: Any, value: Any, whole: Any) -> tuple[Any, Callable[..., Any]]:
    """value * 2^k, where ``whole`` is k + `TO_WHOLE`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = ir.IntType(64)
        k = builder.shl(builder.bitcast(arguments[1], bits), ir.Constant(bits, 52))
        return builder.bitcast(builder.add(builder.bitcast(arguments[0], bits), k), ir.DoubleType())

    return types.float64(types.float64, types.float64), generate


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def exponential(x: float) -> float:
    """e^x; 0 below -708, infinity above 709, no number for none."""
    inside = min(max(x, LEAST), MOST)
    whole = inside * LOG2_E + TO_WHOLE
    k = whole - TO_WHOLE
    r = (inside - k * LN2_HIGH) - k * LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    value = add_to_exponent(1.0 + (r + r * r * p), whole)
    value = 0.0 if x < LEAST else value
    value = 1.0e308 * 10.0 if x > MOST else value
    return value if x == x else x
