"""Formulas of PEtab tables: text to the expression tuples of the model room."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable

from respine.model.expression import Expr, num, sym

_TOKEN = re.compile(
    r"(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||[!=<>]=|\S)"
)
_SIGNS = {"^": "**", "&&": " and ", "||": " or ", "!": "~"}
_CONSTANTS = {"true": 1.0, "false": 0.0, "inf": math.inf, "nan": math.nan, "pi": math.pi}
_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne",
}  # fmt: skip
_UNARY = frozenset(
    (
        "exp",
        "sqrt",
        "abs",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
    )
)
_RENAMED = {f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}
LONGEST = 20_000  # characters of a formula


class FormulaError(ValueError):
    """A text that is no PEtab formula; the message says why."""


def parse(text: str) -> Expr:
    """The expression of a PEtab formula (``^`` is a power, ``log`` is natural). Raises FormulaError."""
    if len(text) > LONGEST:
        raise FormulaError(f"it is longer than {LONGEST:,} characters")
    try:
        return _convert(ast.parse(_as_python(text), mode="eval").body)
    except FormulaError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormulaError("it is not a formula") from None


def _as_python(text: str) -> str:
    """Names get a prefix, so that those Python keeps for itself may be used; ``&&`` and ``||`` bind alike, from the left."""
    parts: list[str] = []
    starts, last = (
        [0],
        [""],
    )  # where the present operand of && and || began, and the last of these, for each open bracket
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in ("&&", "||"):
            if last[-1] not in ("", token):
                parts[starts[-1] :] = ["(", *parts[starts[-1] :], ")"]
            last[-1] = token
        parts.append(f"n_{token}" if match["name"] else _SIGNS.get(token, token))
        if token == "(":
            starts.append(len(parts))
            last.append("")
        elif token == ")" and len(starts) > 1:
            starts.pop()
            last.pop()
        elif token == ",":
            starts[-1], last[-1] = len(parts), ""
    return " ".join(parts)


def _convert(node: ast.expr) -> Expr:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return num(float(node.value))  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        name = node.id.removeprefix("n_")
        return ("time",) if name == "time" else num(_CONSTANTS[name]) if name in _CONSTANTS else sym(name)
    if isinstance(node, ast.UnaryOp):
        inner = _convert(node.operand)
        return (
            ("neg", inner)
            if isinstance(node.op, ast.USub)
            else ("not", inner)
            if isinstance(node.op, ast.Invert)
            else inner
        )
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return (_BINARY[type(node.op)], _convert(node.left), _convert(node.right))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        return (_COMPARE[type(node.ops[0])], _convert(node.left), _convert(node.comparators[0]))
    if isinstance(node, ast.BoolOp):
        op = "and" if isinstance(node.op, ast.And) else "or"
        first, *rest = map(_convert, node.values)
        for part in rest:
            first = (op, first, part)
        return first
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _call(node.func.id.removeprefix("n_"), [_convert(part) for part in node.args])
    raise FormulaError(f"{type(node).__name__} is no part of a PEtab formula")


def _call(name: str, parts: list[Expr]) -> Expr:
    name = _RENAMED.get(name, name)
    if name in _UNARY and len(parts) == 1:
        return (name, parts[0])
    if name in _COMPOSED and len(parts) == _COMPOSED[name][0]:
        return _COMPOSED[name][1](*parts)
    if name == "log" and len(parts) == 2:
        return ("div", ("ln", parts[0]), ("ln", parts[1]))
    if name in ("min", "max") and parts:
        first, *rest = parts
        for part in rest:
            first = (name, first, part)
        return first
    if name == "piecewise" and len(parts) % 2:
        total = parts[-1]
        for k in range(len(parts) - 3, -1, -2):
            total = ("if", parts[k + 1], parts[k], total)
        return total
    raise FormulaError(f"{name} with {len(parts)} arguments is no PEtab function")


def _sign(x: Expr) -> Expr:
    return ("sub", ("gt", x, num(0)), ("lt", x, num(0)))


def _reciprocal(x: Expr) -> Expr:
    return ("div", num(1), x)


_COMPOSED: dict[str, tuple[int, Callable[..., Expr]]] = {
    "log": (1, lambda x: ("ln", x)),
    "ln": (1, lambda x: ("ln", x)),
    "log2": (1, lambda x: ("div", ("ln", x), num(math.log(2)))),
    "log10": (1, lambda x: ("div", ("ln", x), num(math.log(10)))),
    "pow": (2, lambda x, y: ("pow", x, y)),
    "sign": (1, _sign),
    "heaviside": (1, lambda x: ("div", ("add", num(1), _sign(x)), num(2))),
    **{name: (1, lambda x, of=of: _reciprocal((of, x)))
       for name, of in (("sec", "cos"), ("csc", "sin"), ("cot", "tan"), ("sech", "cosh"), ("csch", "sinh"), ("coth", "tanh"))},
    **{f"arc{name}": (1, lambda x, of=of: (of, _reciprocal(x)))
       for name, of in (("sec", "acos"), ("csc", "asin"), ("cot", "atan"), ("sech", "acosh"), ("csch", "asinh"),
                        ("coth", "atanh"))},
}  # fmt: skip
