"""Formulas in drug files (``0.5*nasal_fraction_first``): text to the expression tuples of the model room."""

from __future__ import annotations

import ast

from respine.model.expression import Expr, num, sym

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
}  # fmt: skip
_FUNCTIONS = {"min": (2, "min"), "max": (2, "max"), "exp": (1, "exp"), "ln": (1, "ln"), "sqrt": (1, "sqrt")}


class FormulaError(ValueError):
    """A text that is no formula of numbers, names, + - * / ** ( ) min max exp ln sqrt."""


def parse(text: str | float) -> Expr:
    """The expression of a number or a formula text. Raises FormulaError."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return num(text)
    if not isinstance(text, str) or len(text) > 1000:
        raise FormulaError("a formula is a number or a short text")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _convert(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, FormulaError):
            raise
        raise FormulaError(f'"{text}" is not a formula') from None


def _convert(node: ast.expr) -> Expr:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return num(float(node.value))  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return sym(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = _convert(node.operand)
        return ("neg", inner) if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return (_OPERATORS[type(node.op)], _convert(node.left), _convert(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        count, op = _FUNCTIONS[node.func.id]
        if len(node.args) == count and not node.keywords:
            return (op, *(_convert(part) for part in node.args))
        raise FormulaError(f"{node.func.id} takes {count} value{'s' if count > 1 else ''}")
    raise FormulaError(f'"{ast.unparse(node)}" is not allowed: numbers, names, + - * / ** ( ) min max exp ln sqrt are')
