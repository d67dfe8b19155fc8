"""Formulas as one hash-consed graph: equal sub-expressions are one node, constants are folded as nodes are made.

A node is an integer; ``graph.nodes[i]`` is ``(op, *operands)`` with the leaves ``("const", value)``, ``("state", k)``,
``("time",)``, ``("slow", name)`` (constant between events, may differ between subjects) and ``("uniform", name)`` (one
number for all subjects of a run). Comparisons and logic give mask nodes, which only ``select`` and logic may consume.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping

from respine.model.expression import Expr

LEAVES = frozenset(("const", "state", "time", "slow", "uniform"))
COMPARISONS = frozenset(["lt", "le", "gt", "ge", "eq", "ne"])
BLUNTED = frozenset(("sqrt", "log2"))  # may name, beside what they are of, a distance from zero: see differentiate.py
MASKS = COMPARISONS | {"and", "or", "xor", "not"}
LOG2_E, LN_2 = 1 / math.log(2), math.log(2)
SERIES_SINH, SERIES_ATANH = 0.75, 0.3  # up to where the series of sinh and atanh have all digits
SMALLEST = 1e-100  # stands in for 0 under a logarithm or a reciprocal

_FOLD: dict[str, Callable[[float, float], bool]] = {
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
}  # fmt: skip


class Graph:
    """A growing set of nodes; every constructor returns the node's number."""

    def __init__(self) -> None:
        self.nodes: list[tuple] = []
        self._index: dict[tuple, int] = {}
        self._moving: list[bool] = []  # whether a node depends on a state
        self.zero, self.one = self.const(0.0), self.const(1.0)

    def _node(self, *key: object) -> int:
        number = self._index.get(key)
        if number is None:
            number = self._index[key] = len(self.nodes)
            self.nodes.append(key)
            self._moving.append(key[0] == "state" or any(self._moving[part] for part in self.operands(number)))
        return number

    def const(self, value: float) -> int:
        """A number."""
        value = float(value) + 0.0  # -0.0 and 0.0 are one constant
        return self._node("const", value if value == value else "nan")

    def value(self, node: int) -> float | None:
        """The number a constant node stands for, None for all others."""
        op = self.nodes[node]
        if op[0] != "const":
            return None
        return math.nan if op[1] == "nan" else op[1]

    def state(self, k: int) -> int:
        """State number ``k``."""
        return self._node("state", k)

    def time(self) -> int:
        """Time, in the system's unit."""
        return self._node("time")

    def slow(self, name: str) -> int:
        """Parameter or input number ``k``: constant between events."""
        return self._node("slow", name)

    def uniform(self, name: str) -> int:
        """A number that all subjects share."""
        return self._node("uniform", name)

    # ---- arithmetic -------------------------------------------------------------------------------------------------
    def add(self, a: int, b: int) -> int:
        """a + b"""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.const(x + y)
        if x == 0:
            return b
        if y == 0:
            return a
        if self.nodes[b][0] == "neg":
            return self.sub(a, self.nodes[b][1])
        if self.nodes[a][0] == "neg":
            return self.sub(b, self.nodes[a][1])
        return self._node("add", *sorted((a, b)))

    def sub(self, a: int, b: int) -> int:
        """a - b"""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.const(x - y)
        if y == 0:
            return a
        if x == 0:
            return self.neg(b)
        if a == b:
            return self.zero
        if self.nodes[b][0] == "neg":
            return self.add(a, self.nodes[b][1])
        return self._node("sub", a, b)

    def neg(self, a: int) -> int:
        """-a"""
        x = self.value(a)
        if x is not None:
            return self.const(-x)
        op = self.nodes[a]
        if op[0] == "neg":
            return op[1]
        if op[0] == "sub":
            return self._node("sub", op[2], op[1])
        return self._node("neg", a)

    def mul(self, a: int, b: int) -> int:
        """a * b"""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.const(x * y)
        if x == 0 or y == 0:
            return self.zero
        if x == 1:
            return b
        if y == 1:
            return a
        if x == -1:
            return self.neg(b)
        if y == -1:
            return self.neg(a)
        if self.nodes[a][0] == "neg":
            return self.neg(self.mul(self.nodes[a][1], b))
        if self.nodes[b][0] == "neg":
            return self.neg(self.mul(a, self.nodes[b][1]))
        return self._node("mul", *sorted((a, b)))

    def reciprocal(self, a: int) -> int:
        """1 / a"""
        x = self.value(a)
        if x is not None:
            return self.const(1 / x if x else math.copysign(math.inf, x))
        if self.nodes[a][0] == "reciprocal":
            return self.nodes[a][1]
        return self._node("reciprocal", a)

    def div(self, a: int, b: int) -> int:
        """a / b"""
        x, y = self.value(a), self.value(b)
        if y is not None and x is not None and y != 0:
            return self.const(x / y)
        if y == 0:  # 0/0 must stay undefined, a/0 infinite: the shortcut 0 * anything = 0 does not hold
            return self._node("mul", *sorted((a, self.const(math.inf)))) if x is None else self.const(_divide(x))
        if x is not None and x == 0:
            return self.zero
        return self.mul(a, self.reciprocal(b))

    def minimum(self, a: int, b: int) -> int:
        """The smaller of two."""
        return self._extreme("min", a, b)

    def maximum(self, a: int, b: int) -> int:
        """The larger of two."""
        return self._extreme("max", a, b)

    def _extreme(self, op: str, a: int, b: int) -> int:
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.const(min(x, y) if op == "min" else max(x, y))
        first, second = (b, a) if y is not None else (a, b)  # the machine passes on the second if it is NaN
        return a if a == b else self._node(op, first, second)

    # ---- functions --------------------------------------------------------------------------------------------------
    def unary(self, op: str, a: int) -> int:
        """``exp2 log2 sin cos floor ceil abs sqrt asin acos atan`` of a node; log2 and sqrt within their range only."""
        x = self.value(a)
        return self._node(op, a) if x is None else self.const(_unary_value(op, x))

    def exp(self, a: int) -> int:
        """Exponential."""
        return self.unary("exp2", self.mul(self.const(LOG2_E), a))

    def log2(self, a: int, blunt: int) -> int:
        """log2 of a number above zero, whose slope for steps is at most 1/``blunt`` (see differentiate.py)."""
        x = self.value(a)
        if x is not None or self.value(blunt) == SMALLEST:
            return self.unary("log2", a)
        return self._node("log2", a, blunt)

    def ln(self, a: int) -> int:
        """Natural logarithm."""
        magnitude = self.mul(self.const(LN_2), self.log2(self.maximum(a, self.const(SMALLEST)), self.as_zero(a)))
        below = self.select(self.compare("eq", a, self.zero), self.const(-math.inf), self.const(math.nan))
        return self.select(self.compare("gt", a, self.zero), magnitude, below)

    def square_root(self, a: int) -> int:
        """Square root."""
        near = self.as_zero(a)
        inside = self.maximum(a, self.zero)
        x = self.value(inside)
        root = (
            self._node("sqrt", inside, self.unary("sqrt", near)) if x is None else self.const(_unary_value("sqrt", x))
        )
        return self.select(self.compare("gt", a, self.neg(near)), root, self.const(math.nan))

    def as_zero(self, a: int) -> int:
        """How far a number may lie from zero and still mean it: what a step may err by in the state it is a multiple of.

        Of a state times what rests; anything else is measured by the state with the largest tolerance.
        """
        op, *parts = self.nodes[a]
        if op == "state":
            return self.uniform(f"#zero {parts[0]}")
        if op == "mul":
            moving = [part for part in parts if self._moving[part]]
            if len(moving) == 1:
                (rest,) = [part for part in parts if part != moving[0]]
                return self.mul(self.as_zero(moving[0]), self.unary("abs", rest))
        return self.uniform("#zero")

    def power(self, a: int, b: int) -> int:
        """a^b, real and safe near zero: a base that undershoots 0 by less than the tolerance counts as 0.

        A more negative base gives NaN unless the exponent is a whole number, so that the step is rejected, not the
        answer bent.
        """
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.const(_power_value(x, y))
        if y is not None and y == int(y) and abs(y) <= 16:
            return self._whole_power(a, int(y))
        if y == 0.5:
            return self.square_root(a)
        base = a if self.nonnegative(a) else self.unary("abs", a)
        root = self.compare("lt", b, self.one) if y is None else self.mask(0 < y < 1)
        root = self.logic("and", self.compare("gt", b, self.zero), root) if y is None else root
        blunt = self.select(root, self.as_zero(a), self.const(SMALLEST))
        result = self.unary("exp2", self.mul(b, self.log2(self.maximum(base, self.const(SMALLEST)), blunt)))
        at_zero = self.select(self.compare("gt", b, self.zero), self.zero, self.const(math.inf))
        at_zero = self.select(self.compare("eq", b, self.zero), self.one, at_zero)
        if base == a:
            return self.select(self.compare("eq", a, self.zero), at_zero, result)
        # what depends on the exponent alone is numbers, not choices, so that it leaves the time loop
        whole = self.compare("eq", self.unary("floor", b), b)
        half = self.mul(self.const(0.5), b)
        odd = self.compare("ne", self.unary("floor", half), half)
        sign = self.select(whole, self.select(odd, self.const(-1.0), self.one), self.const(math.nan))
        near = self.select(whole, self.zero, self.as_zero(a))
        below = self.const(math.nan) if self.value(sign) != self.value(sign) else self.mul(sign, result)
        negative = self.select(self.compare("ge", a, self.neg(near)), at_zero, below)
        return self.select(self.compare("gt", a, self.zero), result, negative)

    def nonnegative(self, node: int) -> bool:
        """Whether a node is 0 or more (or no number) whatever the states: by its form alone."""
        op, *parts = self.nodes[node]
        if op == "const":
            return parts[0] != "nan" and parts[0] >= 0
        if op == "max":
            return any(map(self.nonnegative, parts))
        if op == "select":
            return all(map(self.nonnegative, parts[1:]))
        if op == "mul" and parts[0] == parts[1]:
            return True
        if op in ("add", "mul", "min"):
            return all(map(self.nonnegative, parts))
        return op in ("abs", "sqrt", "exp2")

    def _whole_power(self, a: int, n: int) -> int:
        result, square, left = self.one, a, abs(n)
        while left:
            if left & 1:
                result = self.mul(result, square)
            left >>= 1
            if left:
                square = self.mul(square, square)
        return result if n >= 0 else self.reciprocal(result)

    # ---- hyperbolic functions; near zero by their series, as exponentials and logarithms cancel there ------------------
    def _odd_series(self, x: int, coefficients: Iterable[float]) -> int:
        """x (1 + c1 x^2 + c2 x^4 + ...)."""
        square, total = self.mul(x, x), self.zero
        for c in reversed(list(coefficients)):
            total = self.mul(square, self.add(self.const(c), total))
        return self.mul(x, self.add(self.one, total))

    def _near_zero(self, x: int, width: float, near: int, far: int) -> int:
        return self.select(self.compare("lt", self.unary("abs", x), self.const(width)), near, far)

    def _small_sinh(self, x: int) -> int:
        return self._odd_series(x, (1 / math.factorial(k) for k in range(3, 20, 2)))

    def sinh(self, x: int) -> int:
        """Hyperbolic sine, exact near zero."""
        far = self.mul(self.const(0.5), self.sub(self.exp(x), self.exp(self.neg(x))))
        return self._near_zero(x, SERIES_SINH, self._small_sinh(x), far)

    def cosh(self, x: int) -> int:
        """Hyperbolic cosine."""
        return self.mul(self.const(0.5), self.add(self.exp(x), self.exp(self.neg(x))))

    def tanh(self, x: int) -> int:
        """Hyperbolic tangent, exact near zero."""
        doubled = self.exp(self.mul(self.const(2.0), x))  # 1 - 2/(e^2x + 1) does not overflow
        far = self.sub(self.one, self.mul(self.const(2.0), self.reciprocal(self.add(doubled, self.one))))
        return self._near_zero(x, SERIES_SINH, self.div(self._small_sinh(x), self.cosh(x)), far)

    def _small_atanh(self, x: int) -> int:
        return self._odd_series(x, (1 / k for k in range(3, 34, 2)))

    def atanh(self, x: int) -> int:
        """Inverse hyperbolic tangent, exact near zero."""
        far = self.mul(self.const(0.5), self.ln(self.div(self.add(self.one, x), self.sub(self.one, x))))
        return self._near_zero(x, SERIES_ATANH, self._small_atanh(x), far)

    def asinh(self, x: int) -> int:
        """Inverse hyperbolic sine, exact near zero."""
        size, square = self.unary("abs", x), self.add(self.mul(x, x), self.one)
        near = self._small_atanh(self.div(x, self.square_root(square)))
        up = self.select(
            self.compare("lt", size, self.const(1e8)),
            self.ln(self.add(size, self.square_root(square))),
            self.add(self.ln(size), self.const(LN_2)),
        )
        return self._near_zero(x, SERIES_ATANH, near, self.select(self.compare("lt", x, self.zero), self.neg(up), up))

    def acosh(self, x: int) -> int:
        """Inverse hyperbolic cosine."""
        half = self.mul(self.const(0.5), self.sub(x, self.one))
        return self.mul(self.const(2.0), self.asinh(self.square_root(half)))

    # ---- logic ------------------------------------------------------------------------------------------------------
    def compare(self, op: str, a: int, b: int) -> int:
        """A mask: a compared with b."""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.mask(_FOLD[op](x, y))
        if a == b and op in ("eq", "le", "ge"):
            return self.mask(True)
        return self._node(op, a, b)

    def mask(self, truth: bool) -> int:
        """A mask that is always true or false."""
        return self._node("true" if truth else "false")

    def logic(self, op: str, *masks: int) -> int:
        """Masks joined by and, or, not."""
        truths = [self.truth(m) for m in masks]
        if all(t is not None for t in truths):
            a, *rest = (bool(t) for t in truths)
            return self.mask({"not": lambda: not a, "and": lambda: a and rest[0], "or": lambda: a or rest[0],
                              "xor": lambda: a != rest[0]}[op]())  # fmt: skip
        return self._node(op, *masks)

    def truth(self, mask: int) -> bool | None:
        """A mask of a number: not zero."""
        return {"true": True, "false": False}.get(self.nodes[mask][0])

    def is_mask(self, node: int) -> bool:
        """Whether a node is a mask."""
        return self.nodes[node][0] in MASKS or self.truth(node) is not None

    def as_mask(self, node: int) -> int:
        """The node as a mask."""
        return node if self.is_mask(node) else self.compare("ne", node, self.zero)

    def as_number(self, node: int) -> int:
        """The node as a number: 1 or 0 of a mask."""
        return self.select(node, self.one, self.zero) if self.is_mask(node) else node

    def select(self, mask: int, then: int, otherwise: int) -> int:
        """a where the mask holds, else b."""
        truth = self.truth(mask)
        if truth is not None:
            return then if truth else otherwise
        return then if then == otherwise else self._node("select", mask, then, otherwise)

    # ---- from formulas ----------------------------------------------------------------------------------------------
    def build(self, expr: Expr, names: Mapping[str, int]) -> int:
        """The node of a formula; ``names`` gives the node of each symbol. Raises KeyError on an unknown symbol."""
        op = expr[0]
        if op == "num":
            return self.const(expr[1])
        if op == "sym":
            return names[expr[1]]
        if op == "time":
            return self.time()
        if op == "if":
            test, then, otherwise = (self.build(part, names) for part in expr[1:])
            return self.select(self.as_mask(test), self.as_number(then), self.as_number(otherwise))
        parts = [self.build(part, names) for part in expr[1:]]
        if op in ("and", "or", "xor", "not"):
            return self.logic(op, *map(self.as_mask, parts))
        return self._function(op, [self.as_number(p) for p in parts])

    def _function(self, op: str, a: list[int]) -> int:
        if op in COMPARISONS:
            return self.compare(op, *a)
        own: dict[str, Callable[..., int]] = {
            "add": self.add, "sub": self.sub, "mul": self.mul, "div": self.div, "pow": self.power, "neg": self.neg,
            "min": self.minimum, "max": self.maximum, "exp": self.exp, "ln": self.ln, "sqrt": self.square_root,
        }  # fmt: skip
        if op in own:
            return own[op](*a)
        (x,) = a
        if op == "tan":
            return self.div(self.unary("sin", x), self.unary("cos", x))
        hyperbolic: dict[str, Callable[[int], int]] = {
            "sinh": self.sinh, "cosh": self.cosh, "tanh": self.tanh,
            "asinh": self.asinh, "acosh": self.acosh, "atanh": self.atanh,
        }  # fmt: skip
        if op in hyperbolic:
            return hyperbolic[op](x)
        return self.unary(op, x)

    def moves(self, node: int) -> bool:
        """Whether a node depends on a state."""
        return self._moving[node]

    def order(self, roots: Iterable[int], stops: Collection[int] = ()) -> list[int]:
        """All nodes the roots need, operands before users; what lies behind ``stops`` is left out."""
        seen: set[int] = set()
        result: list[int] = []
        stack = [(root, False) for root in reversed(list(roots))]
        while stack:
            node, ready = stack.pop()
            if ready:
                result.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                if node not in stops:
                    stack.extend((part, False) for part in reversed(self.operands(node)))
        return result

    def operands(self, node: int) -> tuple[int, ...]:
        """Nodes that a node reads."""
        op, *parts = self.nodes[node]
        if op in LEAVES:
            return ()
        return (parts[0],) if op in BLUNTED else tuple(parts)  # what blunts a slope is no part of the value


_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "log2": math.log2, "sin": math.sin, "cos": math.cos, "floor": math.floor, "ceil": math.ceil, "abs": abs,
    "sqrt": math.sqrt, "asin": math.asin, "acos": math.acos, "atan": math.atan,
}  # fmt: skip


def _divide(x: float) -> float:
    return math.nan if x == 0 or x != x else math.copysign(math.inf, x)


def _power_value(x: float, y: float) -> float:
    try:
        result = x**y
    except ZeroDivisionError:
        return math.inf
    except OverflowError:
        return math.inf
    return math.nan if isinstance(result, complex) else result


def _unary_value(op: str, x: float) -> float:
    try:
        if op == "exp2":
            return 2.0**x
        return _FUNCTIONS[op](x)
    except OverflowError:
        return math.inf if op == "exp2" else math.nan
    except ValueError:
        return math.nan
