"""Elementary functions spelled out in vector operations, so that no lane ever waits for a library call.

With AVX-512 2^x and log2 use 16-entry tables held in a register and the exponent instructions; elsewhere integer
operations on the bits. Both reach about 1e-15 relative (2^x) and 1e-15 absolute (log2) in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.polynomial import Polynomial, chebyshev

from respine.engine.codegen.program import Program
from respine.engine.codegen.target import Target

LIBRARY_CALLS = ("asin", "acos", "atan")  # rare in models: one scalar call per lane


WAITING = frozenset(("exp2", "log2", "sin", "cos"))  # long chains of operations, each waiting for the one before it


@cache
def templates(target: Target) -> dict[str, Program]:
    """What each function is spelled out to; the first operation is the argument, the last the result."""
    made = {}
    for op in (*sorted(WAITING), "reciprocal", "rough"):
        template = Program()
        getattr(_Speller(template, target), op)(template.do("argument"))
        made[op] = template
    return made


@cache
def _fit(kind: str, half_width: float, degree: int) -> tuple[float, ...]:
    """Near-minimax polynomial (power basis, lowest first) by interpolation at Chebyshev nodes."""
    x = np.cos(np.pi * (np.arange(96) + 0.5) / 96).astype(np.longdouble)
    z = (x * np.longdouble(half_width)).astype(np.longdouble)
    if kind == "exp2":
        f = np.exp2(z)
    elif kind == "log2":  # log2(1 + z) / z
        f = np.where(z == 0, 1, np.log1p(z) / np.where(z == 0, 1, z)) / np.log(np.longdouble(2))
    elif kind == "atanh":  # log2((1 + r) / (1 - r)) / r with r = sqrt(z + half width)
        root = np.sqrt(np.maximum(z + np.longdouble(half_width), 1e-30))
        f = np.log1p(2 * root / (1 - root)) / root / np.log(np.longdouble(2))
    else:  # sin(sqrt(z + w)) / sqrt(z + w), w = half width
        root = np.sqrt(np.maximum(z + np.longdouble(half_width), 1e-30))
        f = np.sin(root) / root
    power = chebyshev.cheb2poly(chebyshev.chebfit(x.astype(float), f.astype(float), degree))
    return tuple(float(c / half_width**i) for i, c in enumerate(power))


def _shifted(coefficients: Sequence[float], by: float) -> list[float]:
    """The polynomial in x - by, as one in x."""
    total = Polynomial([0.0])
    for value in reversed(coefficients):
        total = total * Polynomial([-by, 1.0]) + value
    return [float(c) for c in total.coef[: len(coefficients)]]


class _Speller:
    def __init__(self, program: Program, target: Target) -> None:
        self.p, self.target, self.double = program, target, target.double

    def c(self, value: float) -> int:
        return self.p.const(value)

    def _polynomial(self, x: int, coefficients: Sequence[float]) -> int:
        """Lowest coefficient first. Even and odd powers apart, as one chain of multiply-adds would wait for itself."""
        square, halves = self.p.do("mul", x, x), []
        for part in (coefficients[::2], coefficients[1::2]):
            value = self.c(part[-1])
            for coefficient in part[-2::-1]:
                value = self.p.do("fma", value, square, self.c(coefficient))
            halves.append(value)
        return self.p.do("fma", halves[1], x, halves[0])

    # ---- reciprocals ------------------------------------------------------------------------------------------------
    def reciprocal(self, x: int) -> int:
        """1/x; the divider works beside the multipliers, so that refining a rough guess takes longer."""
        return self.p.do("div", self.c(1.0), x)

    def rough(self, x: int) -> int:
        """1/x to a few digits (error norms)."""
        return self.p.do("rough_reciprocal", x) if self.target.avx512 else self.p.do("div", self.c(1.0), x)

    # ---- powers and logarithms --------------------------------------------------------------------------------------
    def exp2(self, x: int) -> int:
        return self._exp2_table(x) if self.target.avx512 else self._exp2_bits(x)

    def _clamp(self, x: int, low: float, high: float) -> int:
        """Into [low, high]; NaN stays NaN (min and max give their second operand then)."""
        return self.p.do("min", self.c(high), self.p.do("max", self.c(low), x))

    def _exp2_table(self, x: int) -> int:
        p = self.p
        x = self._clamp(x, -1100.0, 1100.0) if self.double else self._clamp(x, -160.0, 160.0)
        magic = 1.5 * 2.0 ** (48 if self.double else 19)  # rounds to 1/16 and leaves 16*x in the low bits
        shifted = p.do("add", x, self.c(magic))
        nearest = p.do("sub", shifted, self.c(magic))
        rest = p.do("sub", x, nearest)
        table = p.do("table", p.do("as_bits", shifted), *(2.0 ** (i / 16) for i in range(16)))
        value = p.do("mul", table, self._polynomial(rest, _fit("exp2", 1 / 32, 6 if self.double else 3)))
        return p.do("scale", value, nearest)

    def _exp2_bits(self, x: int) -> int:
        """The exponent's field runs to its ends: all zeros make 0, all ones infinity."""
        p, mantissa, bias = self.p, 52 if self.double else 23, 1023 if self.double else 127
        x = self._clamp(x, -float(bias), bias + 1.0)
        magic = 1.5 * 2.0**mantissa
        shifted = p.do("add", x, self.c(magic))
        rest = p.do("sub", x, p.do("sub", shifted, self.c(magic)))
        value = self._polynomial(rest, _fit("exp2", 0.5, 10 if self.double else 6))
        exponent = p.do("shift_left", p.do("integer_add", p.do("as_bits", shifted), bias), mantissa)
        return p.do("mul", value, p.do("as_number", exponent))

    def log2(self, x: int) -> int:
        """log2 of a positive number (the graph keeps zero and below away)."""
        return self._log2_table(x) if self.target.avx512 else self._log2_bits(x)

    def _log2_table(self, x: int) -> int:
        p = self.p
        if not self.double:
            x = p.do("max", self.c(1e-30), x)
        centres = [1 / (1 + (i + 0.5) / 16) for i in range(16)]
        if not self.double:
            centres = [float(np.float32(v)) for v in centres]
        exponent, mantissa = p.do("exponent", x), p.do("mantissa", x)
        index = p.do("shift_right", p.do("as_bits", mantissa), 48 if self.double else 19)
        rest = p.do("fma", mantissa, p.do("table", index, *centres), self.c(-1.0))
        series = self._polynomial(rest, _fit("log2", 0.0313, 7 if self.double else 3))
        logs = p.do("table", index, *(-math.log2(v) for v in centres))
        return p.do("add", exponent, p.do("fma", rest, series, logs))

    def _log2_bits(self, x: int) -> int:
        p, mantissa = self.p, 52 if self.double else 23
        if not self.double:
            x = p.do("max", self.c(1e-30), x)
        one = (1023 << 52) if self.double else (127 << 23)
        root = math.sqrt(0.5)
        root_half = int(np.float64(root).view(np.int64) if self.double else np.float32(root).view(np.int32))
        shifted = p.do("integer_add", p.do("as_bits", x), one - root_half)
        wide = 0x4330000000000000 if self.double else 0x4B000000
        base = 2.0**mantissa + (1023 if self.double else 127)
        exponent = p.do("shift_right", shifted, mantissa)
        exponent = p.do("sub", p.do("as_number", p.do("bit_or", exponent, wide)), self.c(base))
        m = p.do("as_number", p.do("integer_add", p.do("bit_and", shifted, (1 << mantissa) - 1), root_half))
        ratio = p.do("div", p.do("sub", m, self.c(1.0)), p.do("add", m, self.c(1.0)))
        square = p.do("mul", ratio, ratio)
        width = ((math.sqrt(2) - 1) / (math.sqrt(2) + 1)) ** 2 / 2 * 1.001
        series = self._polynomial(square, _shifted(_fit("atanh", width, 6 if self.double else 3), width))
        value = p.do("fma", ratio, series, exponent)
        return p.do("select", p.do("lt", x, self.c(math.inf)), value, x)

    # ---- circles ----------------------------------------------------------------------------------------------------
    def cos(self, x: int) -> int:
        return self._sine(x, half=True)

    def sin(self, x: int) -> int:
        return self._sine(x, half=False)

    def _sine(self, x: int, *, half: bool) -> int:
        """sin(x), or cos(x) = sin(x + pi/2), by reduction to [-pi/2, pi/2] with pi in parts.

        For the cosine k is taken half a turn off, so that x itself is never shifted by a rounded pi/2.
        """
        p = self.p
        magic = 1.5 * 2.0 ** (52 if self.double else 23)
        turns = p.do("fma", x, self.c(1 / math.pi), self.c(0.5 if half else 0.0))
        shifted = p.do("add", turns, self.c(magic))
        k = p.do("sub", shifted, self.c(magic))
        exact = p.do("sub", k, self.c(0.5)) if half else k
        parts = (3.14159265160560607910e0, 1.98418714791870343106e-9, 1.14423774522196636802e-17)
        if not self.double:
            parts = (3.140625, 9.67653589793e-4, 0.0)
        rest = x
        for part in parts:
            rest = p.do("fma", exact, self.c(-part), rest) if part else rest
        square = p.do("mul", rest, rest)
        width = (math.pi / 2) ** 2 / 2 * 1.02
        centred = p.do("sub", square, self.c(width))
        value = p.do("mul", rest, self._polynomial(centred, _fit("sin", width, 7 if self.double else 4)))
        sign = p.do("shift_left", p.do("as_bits", shifted), 63 if self.double else 31)
        return p.do("as_number", p.do("bit_xor_values", p.do("as_bits", value), sign))
