"""Formulas as nested tuples: the form in which equations travel from text or SBML to the engine.

``("num", 2.0)``, ``("sym", "spine_thin")``, ``("time",)``; every other node is ``(op, *operands)`` with ``op`` one of

* arithmetic: ``add sub mul div pow`` (binary), ``neg`` (unary), ``min max`` (binary);
* functions (unary): ``exp ln sqrt abs floor ceil sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh``;
* logic, as 0 or 1: ``lt le gt ge eq ne`` ``and or xor`` (binary), ``not`` (unary);
* ``("if", condition, then, otherwise)``.

One tuple may stand in several places of a formula. Every walk here visits it once and needs no recursion, so that
neither shared nor deep formulas cost more than the nodes they have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from respine.model.evaluation import NUMPY as _NUMPY  # noqa: F401
    from respine.model.evaluation import evaluate as evaluate

Expr = tuple[Any, ...]

BINARY = frozenset({
    "add", "sub", "mul", "div", "pow", "min", "max", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor",
})  # fmt: skip
UNARY = frozenset({
    "neg", "exp", "ln", "sqrt", "abs", "floor", "ceil", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
    "cosh", "tanh", "asinh", "acosh", "atanh", "not",
})  # fmt: skip
LEAVES = frozenset({"num", "sym", "time"})
RATE_OF = "rateOf:"  # marks a symbol that means the rate of change of another; the reader of SBML resolves it


def num(value: float) -> Expr:
    """A literal number."""
    return ("num", float(value))


def sym(name: str) -> Expr:
    """A reference to a state, rule, parameter or input."""
    return ("sym", name)


def postorder(*roots: Expr) -> Iterator[Expr]:
    """Every node of the formulas once, operands before the nodes that use them, from left to right."""
    done: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready or node[0] in LEAVES:
            if id(node) not in done:
                done.add(id(node))
                yield node
        elif id(node) not in done:
            stack.append((node, True))
            stack.extend((part, False) for part in reversed(node[1:]))


def symbols(expr: Expr) -> Iterator[str]:
    """Every symbol a formula mentions, from left to right; one that is written in several places may come again."""
    stack, done = [expr], set()
    while stack:
        node = stack.pop()
        if node[0] == "sym":
            yield node[1]
        elif node[0] not in LEAVES and id(node) not in done:
            done.add(id(node))
            stack.extend(reversed(node[1:]))


def mentions_time(expr: Expr) -> bool:
    """Whether a formula depends on the time itself."""
    return any(node[0] == "time" for node in postorder(expr))


def rebuild(expr: Expr, leaf: Callable[[Expr], Expr], node: Callable[[Expr], Expr] = tuple) -> Expr:
    """The formula with ``leaf`` applied to its numbers, symbols and times, and ``node`` to every node made anew."""
    made: dict[int, Expr] = {}
    for old in postorder(expr):
        if old[0] in LEAVES:
            made[id(old)] = leaf(old)
            continue
        parts = [made[id(part)] for part in old[1:]]
        same = all(new is part for new, part in zip(parts, old[1:], strict=True))
        made[id(old)] = node(old if same else (old[0], *parts))
    return made[id(expr)]


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """The formula with symbols replaced by other formulas; what is shared stays shared."""
    return rebuild(expr, lambda leaf: values.get(leaf[1], leaf) if leaf[0] == "sym" else leaf)


def fold(op: str, parts: Sequence[Expr]) -> Expr:
    """One operator over many operands: from the left, or as a balanced tree where the left fold would nest too deep."""
    if len(parts) <= 32:
        return reduce(lambda a, b: (op, a, b), parts)
    half = len(parts) // 2
    return (op, fold(op, parts[:half]), fold(op, parts[half:]))


def __getattr__(name: str) -> Any:
    """Numpy is imported by the first formula that is evaluated: whoever only reads formulas need not wait for it."""
    if name in ("evaluate", "_NUMPY"):
        evaluation = import_module("respine.model.evaluation")  # it knows expressions; asked for by name
        return evaluation.evaluate if name == "evaluate" else evaluation.NUMPY
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
