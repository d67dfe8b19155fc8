"""Formulas as the problem file writes them, and what is done with them on the way: folding, zero residual effects, logarithms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from respine.model.expression import Expr, num, postorder, symbols
from respine.model.infix import number

_SIGNS = {
    "or": ("or", 1), "and": ("and", 2), "lt": ("<", 4), "le": ("<=", 4), "gt": (">", 4), "ge": (">=", 4), "eq": ("==", 4),
    "ne": ("!=", 4), "add": ("+", 5), "sub": ("-", 5), "mul": ("*", 6), "div": ("/", 6), "pow": ("**", 8),
}  # fmt: skip
_IF, _NOT, _NEGATIVE, _ALONE = 0, 3, 7, 9
_ZERO, _ONE = num(0), num(1)
DEEPEST = 150  # operators in operators


class TooDeep(ValueError):
    """A formula that is nested deeper than can be written."""


def text(expr: Expr) -> str:
    """The formula in the language of problem files. Raises TooDeep."""
    return _text(expr, 0)[0]


def _text(expr: Expr, depth: int) -> tuple[str, int]:
    if depth > DEEPEST:
        raise TooDeep
    op = expr[0]
    if op == "num":
        return number(expr[1]), _ALONE if expr[1] >= 0 else _NEGATIVE
    if op == "sym":
        return expr[1], _ALONE
    if op == "time":
        return "TIME", _ALONE

    def part(inner: Expr, rank: int) -> str:
        found, own = _text(inner, depth + 1)
        return found if own >= rank else f"({found})"

    if op == "if":
        return f"{part(expr[2], 1)} if {part(expr[1], 1)} else {part(expr[3], 0)}", _IF
    if op == "neg":
        return f"-{part(expr[1], _NEGATIVE)}", _NEGATIVE
    if op == "not":
        return f"not {part(expr[1], _NOT)}", _NOT
    if op in _SIGNS:
        sign, rank = _SIGNS[op]
        from_left = op in ("add", "sub", "mul", "div", "and", "or")
        left, right = part(expr[1], rank if from_left else rank + 1), part(expr[2], rank + 1)
        return (f"{left}{sign}{right}" if op in ("mul", "div", "pow") else f"{left} {sign} {right}"), rank
    inner = ", ".join(_text(one, depth + 1)[0] for one in expr[1:])
    return f"{'log' if op == 'ln' else op}({inner})", _ALONE


def mapped(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The formula with every node rebuilt from changed parts and then changed itself."""
    memo: dict[int, Expr] = {}
    stack = [(expr, False)]
    while stack:
        node, ready = stack.pop()
        if id(node) in memo:
            continue
        if node[0] in ("num", "sym", "time"):
            memo[id(node)] = change(node)
        elif ready:
            parts = tuple(memo[id(part)] for part in node[1:])
            same = all(a is b for a, b in zip(parts, node[1:], strict=True))
            memo[id(node)] = change(node if same else (node[0], *parts))
        else:
            stack.append((node, True))
            stack.extend((part, False) for part in node[1:] if id(part) not in memo)
    return memo[id(expr)]


def renamed(expr: Expr, names: Mapping[str, Expr]) -> Expr:
    """With symbols replaced."""
    return mapped(expr, lambda node: names.get(node[1], node) if node[0] == "sym" else node)


def without(expr: Expr, effects: set[str]) -> Expr:
    """The formula where these effects are 0, and terms that are 0 left out."""

    def change(node: Expr) -> Expr:
        op = node[0]
        if op == "sym":
            return _ZERO if node[1] in effects else node
        if op == "add":
            return node[2] if node[1] == _ZERO else node[1] if node[2] == _ZERO else node
        if op == "sub":
            return node[1] if node[2] == _ZERO else node
        if op == "mul":
            if _ZERO in node[1:]:
                return _ZERO
            return node[2] if node[1] == _ONE else node[1] if node[2] == _ONE else node
        if op == "div":
            return _ZERO if node[1] == _ZERO else node[1] if node[2] == _ONE else node
        if op == "exp" and node[1] == _ZERO:
            return _ONE
        if op == "neg" and node[1] == _ZERO:
            return _ZERO
        if op == "if" and node[2] == node[3]:
            return node[2]
        return node

    return mapped(expr, change) if effects & set(symbols(expr)) else expr


def folded(expr: Expr, truth: Callable[[Expr], bool | None]) -> Expr:
    """Without branches that are never taken; ``truth`` says whether a condition always or never holds, or None."""

    def change(node: Expr) -> Expr:
        if node[0] == "if":
            holds = truth(node[1])
            if holds is not None:
                return node[2] if holds else node[3]
        return node

    return mapped(expr, change)


def replaced(expr: Expr, part: Expr, by: Expr) -> Expr:
    """With every occurrence of a part replaced."""
    return by if expr == part else mapped(expr, lambda node: by if node == part else node)


def logarithm(expr: Expr) -> Expr:
    """ln of a likelihood, taken inside where that is exact: of branches, exponentials and normal probabilities."""
    op = expr[0]
    if op == "if":
        return ("if", expr[1], logarithm(expr[2]), logarithm(expr[3]))
    if op == "exp":
        return expr[1]
    if op == "phi":
        return ("log_phi", expr[1])
    if op == "mul" and "exp" in (expr[1][0], expr[2][0]):
        return ("add", logarithm(expr[1]), logarithm(expr[2]))
    return ("ln", expr)


def always(values: np.ndarray | None) -> bool | None:
    """Whether a condition holds in all rows or in none; None where it is mixed or not known."""
    if values is None or not len(values):
        return None
    holds = values != 0
    return True if holds.all() else False if not holds.any() else None


def size(expr: Expr) -> int:
    """How many nodes the formula has when written out."""
    count: dict[int, int] = {}
    for node in postorder(expr):
        leaf = node[0] in ("num", "sym", "time")
        count[id(node)] = 1 if leaf else min(1 + sum(count[id(part)] for part in node[1:]), 10**9)
    return count[id(expr)]
