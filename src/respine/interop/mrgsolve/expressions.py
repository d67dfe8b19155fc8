"""Expressions of C++ as models use them: text to the expression tuples of the model room."""

from __future__ import annotations

import math
import re

from respine.model.expression import Expr, num, sym

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)[fFL]?|((?:std::)?[A-Za-z_]\w*)|(&&|\|\||[=!<>]=|.))",
    re.DOTALL,
)
_BINARY = {"||": (1, "or"), "&&": (2, "and"), "==": (3, "eq"), "!=": (3, "ne"), "<": (4, "lt"), "<=": (4, "le"),
           ">": (4, "gt"), ">=": (4, "ge"), "+": (5, "add"), "-": (5, "sub"), "*": (6, "mul"), "/": (6, "div")}  # fmt: skip
_FUNCTIONS = {"log": (1, "ln"), "fabs": (1, "abs"), "abs": (1, "abs"), "pow": (2, "pow"), "min": (2, "min"), "max": (2, "max"),
              "fmin": (2, "min"), "fmax": (2, "max")}  # fmt: skip
_FUNCTIONS |= {f: (1, f) for f in ("exp", "sqrt", "floor", "ceil", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
                                   "tanh", "asinh", "acosh", "atanh")}  # fmt: skip
_NAMES: dict[str, Expr] = {"SOLVERTIME": ("time",), "TIME": ("time",), "T": ("time",), "INFINITY": num(math.inf),
                           "NAN": num(math.nan), "M_PI": num(math.pi), "true": num(1), "false": num(0)}  # fmt: skip
_DEEPEST = 200


class ExpressionError(ValueError):
    """What is no expression that is read; the message says why."""


def parse(text: str) -> Expr:
    """The expression of C++ text. Raises ExpressionError."""
    tokens = [(m[1], m[2], m[3]) for m in _TOKEN.finditer(text.strip())]
    parser = _Parser(tokens)
    expr = parser.ternary(0)
    if parser.k < len(tokens):
        raise ExpressionError(f'"{parser.here()}" is not understood')
    return expr


class _Parser:
    def __init__(self, tokens: list[tuple[str | None, str | None, str | None]]) -> None:
        self.tokens, self.k = tokens, 0

    def here(self) -> str:
        return next((part for part in self.tokens[self.k] if part), "") if self.k < len(self.tokens) else "the end"

    def take(self, sign: str) -> bool:
        if self.k < len(self.tokens) and self.tokens[self.k][2] == sign:
            self.k += 1
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.take(sign):
            raise ExpressionError(f'"{sign}" is missing before "{self.here()}"')

    def ternary(self, depth: int) -> Expr:
        if depth > _DEEPEST:
            raise ExpressionError("it is nested too deeply")
        test = self.binary(1, depth)
        if not self.take("?"):
            return test
        then = self.ternary(depth + 1)
        self.need(":")
        return ("if", test, then, self.ternary(depth + 1))

    def binary(self, least: int, depth: int) -> Expr:
        left = self.unary(depth)
        while self.k < len(self.tokens) and (self.tokens[self.k][2] or "") in _BINARY:
            rank, op = _BINARY[self.tokens[self.k][2] or ""]
            if rank < least:
                break
            self.k += 1
            left = (op, left, self.binary(rank + 1, depth + 1))
        return left

    def unary(self, depth: int) -> Expr:
        if depth > _DEEPEST:
            raise ExpressionError("it is nested too deeply")
        if self.take("-"):
            inner = self.unary(depth + 1)
            return num(-inner[1]) if inner[0] == "num" else ("neg", inner)
        if self.take("+"):
            return self.unary(depth + 1)
        if self.take("!"):
            return ("not", self.unary(depth + 1))
        if self.take("("):
            inner = self.ternary(depth + 1)
            self.need(")")
            return inner
        if self.k >= len(self.tokens):
            raise ExpressionError("it ends too early")
        number, name, _ = self.tokens[self.k]
        if number is not None:
            self.k += 1
            return num(float(number))
        if name is None:
            raise ExpressionError(f'"{self.here()}" is not understood')
        self.k += 1
        return self.call(name.removeprefix("std::"), depth) if self.take("(") else _NAMES.get(name, sym(name))

    def call(self, name: str, depth: int) -> Expr:
        parts = []
        if not self.take(")"):
            parts.append(self.ternary(depth + 1))
            while self.take(","):
                parts.append(self.ternary(depth + 1))
            self.need(")")
        known = _FUNCTIONS.get(name)
        if known is None or known[0] != len(parts):
            if name == "log10" and len(parts) == 1:
                return ("div", ("ln", parts[0]), num(math.log(10)))
            raise ExpressionError(f"{name} with {len(parts)} arguments is not read")
        return (known[1], *parts)
