"""Formulas as a person writes them, in Antimony's infix."""

from __future__ import annotations

import math

from respine.model.expression import Expr

_SIGN = {
    "or": ("||", 1), "and": ("&&", 2), "lt": ("<", 3), "le": ("<=", 3), "gt": (">", 3), "ge": (">=", 3),
    "eq": ("==", 3), "ne": ("!=", 3), "add": ("+", 4), "sub": ("-", 4), "mul": ("*", 5), "div": ("/", 5),
    "pow": ("^", 7),
}  # fmt: skip
_NEGATIVE, _ALONE = 6, 9
_NAMES = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "not": "!",
}


def infix(expr: Expr) -> str:
    """The formula as text for people; Antimony reads it back, save for a comparison of comparisons."""
    return _text(expr)[0]


def number(value: float) -> str:
    """A number in its shortest exact form."""
    whole = math.isfinite(value) and value == int(value) and abs(value) < 1e15
    return str(int(value)) if whole else repr(float(value))


def _text(expr: Expr) -> tuple[str, int]:
    """The text and how strongly its outermost operator binds."""
    op = expr[0]
    if op == "num":
        return number(expr[1]), _ALONE if expr[1] >= 0 else _NEGATIVE
    if op == "sym":
        return expr[1], _ALONE
    if op == "time":
        return "time", _ALONE
    if op == "if":
        condition, then, otherwise = (_text(part)[0] for part in expr[1:])
        return f"piecewise({then}, {condition}, {otherwise})", _ALONE
    if op == "neg":
        return f"-{_bracket(expr[1], _NEGATIVE)}", _NEGATIVE
    if op in _SIGN:
        sign, rank = _SIGN[op]
        from_left = op in (
            "add",
            "sub",
            "mul",
            "div",
            "and",
            "or",
        )  # a - b - c is (a - b) - c, but a < b < c is a chain
        left, right = _bracket(expr[1], rank if from_left else rank + 1), _bracket(expr[2], rank + 1)
        return f"{left}^{right}" if op == "pow" else f"{left} {sign} {right}", rank
    rank = _NEGATIVE if op == "not" else _ALONE  # !(a)^b reads as !((a)^b)
    return f"{_NAMES.get(op, op)}({', '.join(_text(part)[0] for part in expr[1:])})", rank


def _bracket(expr: Expr, rank: int) -> str:
    text, own = _text(expr)
    return text if own >= rank else f"({text})"
