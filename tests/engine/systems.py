"""Small systems written as text, for tests."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from respine.model.expression import Expr, num, sym
from respine.model.system import System

_OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
_RELATIONS = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne"}


def formula(text: str) -> Expr:
    """A Python expression as a formula; ``t`` is time, ``a if c else b`` a choice."""
    return _convert(ast.parse(text, mode="eval").body)


def _convert(node: ast.expr) -> Expr:
    match node:
        case ast.Constant(value):
            return num(value)
        case ast.Name("t"):
            return ("time",)
        case ast.Name(name):
            return sym(name)
        case ast.UnaryOp(ast.USub(), operand):
            return ("neg", _convert(operand))
        case ast.BinOp(left, operator, right):
            return (_OPERATORS[type(operator)], _convert(left), _convert(right))
        case ast.Compare(left, [relation], [right]):
            return (_RELATIONS[type(relation)], _convert(left), _convert(right))
        case ast.IfExp(test, then, otherwise):
            return ("if", _convert(test), _convert(then), _convert(otherwise))
        case ast.Call(ast.Name(name), arguments):
            return (name, *map(_convert, arguments))
    raise ValueError(ast.dump(node))


def system(
    rates: Mapping[str, str],
    start: Mapping[str, float | str],
    parameters: Mapping[str, float] | None = None,
    inputs: Mapping[str, float] | None = None,
    rules: Mapping[str, str] | None = None,
) -> System:
    """A system from texts."""
    return System(
        "test",
        "hour",
        dict(parameters or {}),
        dict(inputs or {}),
        {k: formula(v) for k, v in (rules or {}).items()},
        {k: formula(v) for k, v in rates.items()},
        {k: formula(v) if isinstance(v, str) else num(v) for k, v in start.items()},
    )


def one_compartment() -> System:
    """Oral one-compartment model: depot -> central -> out."""
    return system(
        {"depot": "-ka*depot", "central": "ka*depot - CL/V*central"},
        {"depot": 0.0, "central": 0.0},
        {"ka": 1.5, "CL": 1.1, "V": 20.0},
        rules={"concentration": "central/V"},
    )
